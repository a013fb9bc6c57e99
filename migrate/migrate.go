// Package migrate keeps users logged in through the switch from another
// session library: a request that brings that library's cookie gets its
// session, in a new session of this one, with a new token.
//
// Packages beego and scs read the stores of those two; a [Source] of your own
// reads any other. The middleware goes right behind the manager's own:
//
//	r.Use(m.Middleware, beego.Adopt(m, beego.Redis(pool), migrate.Options{Adopted: login}))
//
// # What is promised
//
// The old record is read and decoded. A mark in the new store reserves the adoption
// for this process. The values are stored in a new session, and the mark then names
// it. The old record is removed, and only then does the response, with the new
// cookie, begin.
//
//   - Of any number of requests, in any number of processes, one adopts a
//     session, and all of them get it. Options.Adopted runs once for it. No
//     other session of the user ends before the adoption is certain; then it
//     counts as a login for MaxPerUser.
//   - Nothing is lost if a store fails or the process dies, at whatever step: the
//     old record is there and the next request adopts it, after 13 seconds at
//     most if the process died in the middle of it, or the mark leads to the new session.
//   - The old cookie opens the new session until a response with the new cookie
//     has left for a client that was there to take it, and for 10 seconds more,
//     for the requests that the browser sent before it came. After that, or after
//     a logout, it is worth nothing. So a response that http.TimeoutHandler gave
//     up on, or whose client had gone, does not cost the user the session. One
//     that is lost on the way does, unless the user comes back within the 10
//     seconds.
//   - A session is only adopted where the browser will keep the new cookie (see
//     [ErrUndeliverable]): until then the old record stays, and the request is
//     one without a session.
//   - A session with a value that cannot be read, or that the new one cannot
//     keep, stays where it is (see Options.Lossy).
//   - If the new store fails right after the removal, the response has the new
//     cookie all the same: it is the manager's 503, or with session.OutageAnonymous
//     the page of a visitor. The next request is logged in.
//
// Requests that bring the same old cookie at the same time, as those of several
// tabs do, wait for the one that adopts, and get the same session and cookie.
//
// The mark is a record in the new store whose ID is a hash of the old ID, and
// what it says is sealed with a key that only the old ID yields. Counts see it.
// An adoption costs two calls of the old store and five of the new one.
//
// Stop the old application first: one that still runs writes its records back,
// and if both cookies have the same name, replaces the new cookie by one of its own.
//
// # Bytes from the old store
//
// Both libraries store gobs, which are not made for bytes that others can
// write. They are checked before encoding/gob sees them: their size, every
// count against the bytes that are left, nesting, the number of values. What
// remains is that encoding/gob itself runs, and with it the GobDecode and
// UnmarshalBinary methods of types that your program registers, on bytes that
// whoever can write the old store chooses; a panic of theirs is caught. The old
// library ran the same, without the checks. Take the middleware out when the
// longest old session has expired.
package migrate

import (
	"cmp"
	"context"
	"errors"
	"log/slog"
	"net/http"
	"time"

	"github.com/chisession/session"
)

// The defaults of [Options].
const (
	DefaultMaxBytes = 64 << 10
	DefaultTimeout  = 3 * time.Second

	maxDepth  = 32   // values in values
	maxValues = 1024 // a session
)

var (
	// ErrNotFound says that the old store has no live record of this ID.
	ErrNotFound = errors.New("migrate: no such session in the old store")

	// ErrChanged says that the record is not there any more, or not as it
	// was read, and was not removed; or that another process is adopting it
	// and takes too long.
	ErrChanged = errors.New("migrate: another request adopted or changed the old session")

	// ErrUnreadable says that the record is larger than allowed, or damaged.
	// It stays where it is, and the request goes on without a session.
	ErrUnreadable = errors.New("migrate: the old session cannot be read")

	// ErrSkipped says that a value could not be adopted, and that
	// Options.Lossy is not set. The record stays where it is, and the request
	// goes on without a session.
	ErrSkipped = errors.New("migrate: not all values of the old session can be adopted")
)

// A Source is the old library's store. It must be safe for concurrent use.
type Source interface {
	// Load returns the live record of id, as the old library wrote it, or
	// ErrNotFound. One that is longer than max bytes is ErrUnreadable. id has
	// been checked to be of the old library's form.
	Load(ctx context.Context, id string, max int) ([]byte, error)

	// Remove removes the record of id if it still is data, in one step: of
	// several calls at once, one succeeds and the others are ErrChanged.
	Remove(ctx context.Context, id string, data []byte) error
}

// Options say how old sessions become new ones. The zero value adopts the
// values and logs nobody in; most applications set Adopted.
type Options struct {
	// Adopted is called with the new session, before it is stored, and all
	// values of the old one, those in it and those that could not be taken
	// over, where these could be decoded. It is called once for an adoption,
	// however many requests and processes want it, and again only if that
	// failed. This is where the application says who is logged in:
	//
	//	func(r *http.Request, s *session.Session, old map[string]any) error {
	//		if name, ok := old["uid"].(string); ok {
	//			s.SetUser(name)
	//			s.SetLabel(r.UserAgent())
	//		}
	//		return nil
	//	}
	//
	// It may change and remove values, too, and Set others in their place.
	// An error keeps the old session from being adopted: it is logged, the
	// record stays, and the request goes on without a session. So does a
	// change that cannot be stored: a bad Set, too long a user name, more
	// than MaxBytes.
	Adopted func(r *http.Request, s *session.Session, old map[string]any) error

	// Skipped is told of each value that cannot be adopted, besides the log.
	Skipped func(Skip)

	// Lossy adopts a session without the values that cannot be adopted; they
	// are gone then. By default such a session stays in the old store, and the
	// request goes on without one: the log says what is wrong, and once the
	// program knows the type, say, the next request adopts it.
	Lossy bool

	// CookieName is the name of the old library's cookie. The default is the
	// name of the manager's cookie, which a program that has moved with its
	// configuration keeps, and beside it the old library's own default.
	CookieName string

	// IDPrefix is what the old library put before each of its IDs: Beego's
	// SessionIDPrefix. Default empty.
	IDPrefix string

	// MaxBytes is the size in bytes above which an old record is not read;
	// default 64 KiB.
	MaxBytes int

	// Timeout is how long a request waits for the adoption; default 3
	// seconds.
	Timeout time.Duration

	// ErrorHandler answers a request whose old session could not be looked
	// up, stored or removed, or that waited too long for another process's
	// adoption (ErrChanged), or that fetches a page ahead of time
	// (ErrUndeliverable); the default sends status 503 with Retry-After.
	// Failures are logged already.
	ErrorHandler func(w http.ResponseWriter, r *http.Request, err error)

	// Logger gets what the operator should know, never an ID or a value;
	// default slog.Default().
	Logger *slog.Logger
}

// A Skip is a value that was not adopted.
type Skip struct {
	Key  string // its key, as text
	Type string // its type's name
	Err  error  // why: the type is not registered with gob, say
}

// A Format is what an old library's cookies and records look like. Packages
// beego and scs have theirs.
type Format struct {
	// Name is what the log calls it.
	Name string

	// CookieName is the old library's own default.
	CookieName string

	// Form is what an ID looks like, for the log: "32 hexadecimal digits".
	Form string

	// Valid reports whether a cookie's value has the form of an ID. Any
	// other value never reaches the source.
	Valid func(id string) bool

	// Decode returns the values of a record, and the instant at which it
	// ends for good, zero if there is none. An error means that it is
	// damaged.
	Decode func(data []byte, max int) (Record, error)
}

// A Record is a decoded old session.
type Record struct {
	Values   map[string]any // with those that the new session cannot keep
	Skipped  []Skip         // what could not be decoded
	Deadline time.Time      // zero if it has none

	// Persistent says that the browser was to keep the session when it is
	// closed ("remember me"); with a Deadline, until then.
	Persistent bool
}

func (o Options) withDefaults() Options {
	o.MaxBytes = cmp.Or(o.MaxBytes, DefaultMaxBytes)
	o.Timeout = cmp.Or(o.Timeout, DefaultTimeout)
	if o.Logger == nil {
		o.Logger = slog.Default()
	}
	if o.ErrorHandler == nil {
		o.ErrorHandler = func(w http.ResponseWriter, _ *http.Request, _ error) {
			w.Header().Set("Retry-After", "1")
			w.Header().Set("Cache-Control", "no-store")
			http.Error(w, http.StatusText(http.StatusServiceUnavailable), http.StatusServiceUnavailable)
		}
	}
	return o
}

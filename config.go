package session

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"reflect"
	"time"

	"github.com/chisession/session/backend"
	"github.com/chisession/session/cookie"
	"github.com/chisession/session/internal/record"
)

// The defaults of [Config]. The timeouts are those of NIST SP 800-63B-4
// §2.2.3 for AAL2 (one hour of inactivity, 24 hours overall).
const (
	DefaultProvider        = "memory"
	DefaultIdleTimeout     = time.Hour
	DefaultAbsoluteTimeout = 24 * time.Hour
	DefaultStoreTimeout    = 3 * time.Second
	DefaultSweepEvery      = 5 * time.Minute
	DefaultMaxBytes        = 1 << 20

	maxTimeout    = record.MaxTimeout
	maxTouchEvery = time.Minute
)

// Config says where sessions are kept and how they behave. The zero value
// works and is the safe choice: sessions in memory, a cookie that only the
// server reads, one hour of inactivity, 24 hours at most.
//
// [New] checks it whole; an error names the field and the cure.
type Config struct {
	// Provider is the name of a backend, opened at SavePath: "memory" (the
	// default), "file", or one whose package is imported, such as "mysql"
	// and "redis". The manager opens it and closes it.
	Provider string

	// SavePath says where, in the backend's own terms: nothing for memory,
	// a directory for file (default "./tmp"), a DSN for mysql, host:port or
	// a URL for redis. It may hold a password, so printing a Config leaves
	// it out (but fmt does not ask a Config in an unexported field).
	SavePath string

	// Store is an opened store, instead of Provider and SavePath. It stays
	// its owner's: Close of the manager does not close it.
	Store backend.Store

	// WrapStore, if set, is called once by New with the opened store, and New
	// uses the store that it returns instead. It is how to use admin.Measure and
	// otelsession.Wrap where Provider and SavePath open the store. The store
	// inside is closed, or stays open, as without WrapStore.
	WrapStore func(backend.Store) backend.Store

	// Cookie is the cookie's name and attributes; the zero value is right
	// for most.
	Cookie cookie.Options

	// Transport is how tokens travel; the zero value is the cookie. See
	// HeaderTransport, BearerTransport and FirstOf.
	Transport Transport

	// IdleTimeout ends a session that long after its last activity; default
	// one hour, or AbsoluteTimeout if that is shorter. It is kept to within
	// TouchEvery, on the early side.
	IdleTimeout time.Duration

	// AbsoluteTimeout ends a session that long after its creation, however
	// active it is; default 24 hours, or IdleTimeout if that is longer.
	AbsoluteTimeout time.Duration

	// TouchEvery is how often, at most, activity that changes nothing is
	// written to the store; default a twentieth of the idle timeout, at
	// most a minute. It must be shorter than IdleTimeout.
	TouchEvery time.Duration

	// StoreTimeout is how long one request waits for the store in one go;
	// default 3 seconds. Loading and storing are two. Left at zero, a store
	// that ends each call by itself ([backend.Bounded]) is trusted to do so
	// within a few seconds, which saves a timer for every call.
	StoreTimeout time.Duration

	// SweepEvery is how often expired sessions are removed from a store
	// whose server does not do so by itself; default 5 minutes, less a
	// random part. Negative: never (somebody else calls Manager.Sweep).
	SweepEvery time.Duration

	// MaxBytes is the size in bytes of one session's keys and values, as
	// they are stored, above which a Set fails; default 1 MiB.
	MaxBytes int

	// MaxPerUser is how many sessions one user may have; a login above it
	// ends those that logged in longest ago, unless OnMaxPerUser says otherwise. 0
	// is no limit. The store must be a backend.UserIndex.
	MaxPerUser int

	// OnMaxPerUser says what a login above MaxPerUser does; default
	// MaxPerUserEndOldest.
	OnMaxPerUser MaxPerUserPolicy

	// NoSeal stores values readable for whoever can read the store. By
	// default only the browser that holds the cookie can open them. Readable
	// or not, they are authenticated: whoever can write to the store, and has no
	// cookie, can change neither a value nor the user of a session.
	NoSeal bool

	// OnOutage says what happens when a session cannot be loaded; default
	// OutageFail.
	OnOutage Outage

	// Skip, if it returns true, keeps sessions out of a request: no load,
	// no cookie. It is meant for static files.
	Skip func(*http.Request) bool

	// AllowCrossSite lets a request from another site start a session by a
	// plain Set, although the browser may have withheld a cookie that it holds:
	// the new cookie then replaces that one, and the user is logged out.
	// By default such a request (Sec-Fetch-Site: cross-site, none of the cookie
	// with it, and the cookie's SameSite the reason) gets 403 in place of the
	// handler's response, or if its method is a safe one (GET), the handler's
	// response with nothing stored; Err and Save return ErrCrossSite. SetUser with a name and
	// Renew always start a session: that is a login (SAML, Sign in with Apple).
	AllowCrossSite bool

	// On, if set, is told of what happens to sessions, after the fact, by the
	// goroutine that it happened in: for audit logs and metrics. ctx has the
	// values of the request's context, of what runs outside of the session's
	// middleware (chi's route context, a request ID, a trace) and the session; it
	// is not canceled when the client has gone. What On does delays the request.
	// It runs outside of all locks: it may call every method of the session
	// that only reads, and Identity, at any time; one that changes the session
	// may be refused (ErrNested).
	On func(ctx context.Context, e Event)

	// ErrorHandler responds to a request whose session could not be loaded or
	// stored; nothing has been sent yet. The default sends a plain status
	// text: 503 when the store failed, or when a new token would reach nobody, as
	// the request's context is done; 403 for ErrCrossSite and ErrTooManySessions;
	// 500 when the handler failed (it Set what cannot be stored). The error is logged already, and
	// Cache-Control is no-store, if the handler sets no other.
	ErrorHandler func(w http.ResponseWriter, r *http.Request, err error)

	// Logger gets what the operator should know, never a token or a value;
	// default slog.Default().
	Logger *slog.Logger

	// Disabled turns sessions off (Beego's sessionon = false): the
	// middleware steps aside, and a handler that uses a session all the
	// same is told so in the log.
	Disabled bool
}

// A MaxPerUserPolicy is what a login above Config.MaxPerUser does.
type MaxPerUserPolicy int

const (
	// MaxPerUserEndOldest ends the user's sessions that logged in longest ago.
	MaxPerUserEndOldest MaxPerUserPolicy = iota

	// MaxPerUserRefuse refuses the login: it is not stored, Save returns
	// ErrTooManySessions, and a handler that does not call Save has its response
	// replaced by 403. So Save after SetUser, and tell the user where to end a
	// session. The same user again in a session of its own is not refused.
	//
	// Of several logins at once that see one free place, those that find after
	// they are stored that there are too many are undone: their session ends, with
	// what it had before the login. So the limit holds, and at times all of them
	// are refused. It costs a login one list of the user's sessions more than
	// MaxPerUserEndOldest. What package migrate takes over is not refused, and
	// counts.
	MaxPerUserRefuse
)

// String returns the constant's name.
func (p MaxPerUserPolicy) String() string {
	switch p {
	case MaxPerUserEndOldest:
		return "MaxPerUserEndOldest"
	case MaxPerUserRefuse:
		return "MaxPerUserRefuse"
	}
	return fmt.Sprintf("MaxPerUserPolicy(%d)", int(p))
}

// An Outage is what to do with a request whose session cannot be loaded.
type Outage int

const (
	// OutageFail responds with 503 and does not run the handler.
	OutageFail Outage = iota

	// OutageAnonymous runs the handler with an empty session whose Unavailable
	// method says so. The cookie is left alone, so the session is there
	// again when the store is. If the handler calls any method that would
	// change such a session (Set, Delete, SetLabel, SetUser, Destroy, Update
	// and so on), the response is 503 in place of what it wrote, and Err and
	// Save return ErrUnavailable. So ask Unavailable before.
	OutageAnonymous
)

// String returns the constant's name.
func (o Outage) String() string {
	switch o {
	case OutageFail:
		return "OutageFail"
	case OutageAnonymous:
		return "OutageAnonymous"
	}
	return fmt.Sprintf("Outage(%d)", int(o))
}

// withDefaults returns c with the defaults filled in and everything checked
// that can be checked without opening the store.
func (c Config) withDefaults() (Config, error) {
	if c.Store == nil && c.Provider == "" && c.SavePath != "" {
		return c, errors.New(`session: Config.SavePath is set and Config.Provider is not: say which backend it is for ("file", "redis", "mysql")`)
	}
	if c.Store == nil {
		c.Provider = cmp.Or(c.Provider, DefaultProvider)
	}
	if c.IdleTimeout == 0 {
		c.IdleTimeout = DefaultIdleTimeout
		if c.AbsoluteTimeout > 0 {
			c.IdleTimeout = min(DefaultIdleTimeout, c.AbsoluteTimeout)
		}
	}
	c.AbsoluteTimeout = cmp.Or(c.AbsoluteTimeout, max(DefaultAbsoluteTimeout, c.IdleTimeout))
	c.TouchEvery = cmp.Or(c.TouchEvery, touchEvery(c.IdleTimeout))
	c.StoreTimeout = cmp.Or(c.StoreTimeout, DefaultStoreTimeout)
	c.SweepEvery = cmp.Or(c.SweepEvery, DefaultSweepEvery)
	c.MaxBytes = cmp.Or(c.MaxBytes, DefaultMaxBytes)
	if c.Logger == nil {
		c.Logger = slog.Default()
	}
	return c, c.validate()
}

func (c Config) validate() error {
	switch {
	case isNil(c.Store):
		return fmt.Errorf("session: Config.Store is a nil %T: check the error of what should have opened it", c.Store)
	case c.Store != nil && c.Provider != "":
		return fmt.Errorf("session: Config has both Store (%T) and Provider (%q): give one", c.Store, c.Provider)
	case c.Store != nil && c.SavePath != "":
		return fmt.Errorf("session: Config has both Store (%T) and SavePath: SavePath goes with Provider", c.Store)
	case c.MaxBytes < 0:
		return fmt.Errorf("session: Config.MaxBytes is %d: give a positive number of bytes, or 0 for %d", c.MaxBytes, DefaultMaxBytes)
	case c.MaxPerUser < 0:
		return fmt.Errorf("session: Config.MaxPerUser is %d: give a positive number, or 0 for no limit", c.MaxPerUser)
	case c.OnMaxPerUser != MaxPerUserEndOldest && c.OnMaxPerUser != MaxPerUserRefuse:
		return fmt.Errorf("session: Config.OnMaxPerUser is %v: use MaxPerUserEndOldest or MaxPerUserRefuse", c.OnMaxPerUser)
	case c.OnOutage != OutageFail && c.OnOutage != OutageAnonymous:
		return fmt.Errorf("session: Config.OnOutage is %v: use OutageFail or OutageAnonymous", c.OnOutage)
	}
	timeouts := errors.Join(
		checkTimeout("Config.IdleTimeout", c.IdleTimeout),
		checkTimeout("Config.AbsoluteTimeout", c.AbsoluteTimeout),
		checkTimeout("Config.StoreTimeout", c.StoreTimeout),
	)
	if timeouts == nil {
		timeouts = c.checkTimes()
	}
	return errors.Join(timeouts, c.Transport.validate())
}

// isNil reports whether store is a nil pointer in an interface.
func isNil(store backend.Store) bool {
	v := reflect.ValueOf(store)
	return v.Kind() == reflect.Pointer && v.IsNil()
}

func (c Config) checkTimes() error {
	switch {
	case c.AbsoluteTimeout > 0 && c.AbsoluteTimeout < c.IdleTimeout:
		return fmt.Errorf("session: Config.AbsoluteTimeout (%v) is shorter than Config.IdleTimeout (%v): a session could never be idle that long", c.AbsoluteTimeout, c.IdleTimeout)
	case c.TouchEvery < 0 || c.TouchEvery >= c.IdleTimeout:
		return fmt.Errorf("session: Config.TouchEvery is %v: it must be positive and shorter than Config.IdleTimeout (%v)", c.TouchEvery, c.IdleTimeout)
	case c.SweepEvery > 0 && c.SweepEvery < time.Millisecond:
		return fmt.Errorf("session: Config.SweepEvery is %v: that would sweep all the time; give minutes, or a negative value for never", c.SweepEvery)
	}
	return nil
}

// checkTimeout refuses what cannot be meant, such as a plain 3600 that became
// 3.6 µs.
func checkTimeout(field string, d time.Duration) error {
	switch {
	case d < 0:
		return fmt.Errorf("session: %s is %v: it must be positive, or 0 for the default", field, d)
	case d < time.Millisecond:
		return fmt.Errorf("session: %s is %v: less than a millisecond; write 3600 * time.Second, not 3600", field, d)
	case d > maxTimeout:
		return fmt.Errorf("session: %s is %v: more than 100 years", field, d)
	}
	return nil
}

// touchEvery returns how often a session with this idle timeout is touched at
// the most.
func touchEvery(idle time.Duration) time.Duration {
	return min(idle/20, maxTouchEvery)
}

// Format prints the configuration without SavePath, which may hold a
// password, whatever the verb.
func (c Config) Format(f fmt.State, _ rune) {
	place := c.Provider
	if c.Store != nil {
		place = fmt.Sprintf("%T", c.Store)
	}
	fmt.Fprintf(f, "session.Config{%s, cookie %q, idle %v, absolute %v}", cmp.Or(place, DefaultProvider), cmp.Or(c.Cookie.Name, cookie.DefaultName), c.IdleTimeout, c.AbsoluteTimeout)
}

// LogValue is what a log shows of c: what Format prints.
func (c Config) LogValue() slog.Value { return slog.StringValue(fmt.Sprint(c)) }

// MarshalJSON encodes what Format prints.
func (c Config) MarshalJSON() ([]byte, error) { return fmt.Appendf(nil, "%q", fmt.Sprint(c)), nil }

// Package backend is the contract between sessions and the places that keep
// them: [Store] is what a backend must do, the optional interfaces are what
// it may do besides ([AbilitiesOf] gathers them), and [Register] makes one known by name.
//
// A Store moves opaque records. It knows nothing of cookies, tokens, values
// or encryption, so writing one is a matter of five small methods; package
// backendtest holds the suite that proves them.
package backend

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/google/uuid"
)

// The outcomes that a caller of a [Store] must tell apart. A Store returns
// them as they are or wrapped, for [errors.Is]. Any other error means that
// the store could not answer, never that there is no session.
var (
	// ErrNotFound says that no live record has this ID: it never existed,
	// was deleted, or has expired.
	ErrNotFound = errors.New("backend: record not found")

	// ErrExists says that Create met a record that has this ID already.
	ErrExists = errors.New("backend: record exists")

	// ErrCorrupt is an ErrNotFound with a reason: there is something under
	// this ID, but it is no record, and can never become one. A store that
	// can tell says so, and the damage is logged and counted.
	ErrCorrupt = fmt.Errorf("%w: what is stored is damaged", ErrNotFound)

	// ErrConflict says that the stored version is not the one named:
	// somebody else stored a newer one meanwhile.
	ErrConflict = errors.New("backend: version conflict")

	// ErrTooLarge says that a record is larger than the store can hold. It
	// is reported before anything is written; nothing is ever truncated.
	ErrTooLarge = errors.New("session too large for its store, or for MaxBytes")

	// ErrUser says that the store cannot keep this user name exactly (see
	// [MaxUser]). Nothing is written.
	ErrUser = errors.New("backend: user name cannot be stored")

	// ErrNotReplicated says that a write has reached fewer servers than it was
	// to (see [Confirmer]): it may have been done here, and a failover may undo
	// it. What the store says of the record afterwards, ErrNotFound after a
	// Delete say, proves nothing before the same call, made again, has returned
	// nil: that covers whatever came before.
	ErrNotReplicated = errors.New("backend: the write is not on enough replicas: a failover may undo it")

	// ErrClosed says that the store was used after Close.
	ErrClosed = errors.New("backend: store is closed")
)

// MaxUser is the length in bytes up to which every store keeps a user name,
// whatever bytes it has, and never mixes it up with another (no collation, no
// trimming, no folding). The empty name is no user.
const MaxUser = 255

// HeadSize is how many bytes at the beginning of a record's Data a list of
// sessions needs: [UserIndex] may leave out what follows.
const HeadSize = 512

// A Record is one session as a store sees it.
type Record struct {
	// ID is the primary key, a UUIDv7. It is public: it opens nothing.
	ID uuid.UUID

	// Version counts the successful writes, from 1. Stores assign it.
	Version uint64

	// Expires is the instant from which the record no longer exists.
	// Callers hand over whole milliseconds; a store keeps at least those.
	Expires time.Time

	// User is the name that a [UserIndex] finds the record by; empty for
	// an anonymous session.
	User string

	// Data is opaque. Once handed over, in either direction, it is never
	// changed again, by anyone: a store may keep or hand out the slice itself.
	Data []byte

	// Shorten lets Update move Expires to an earlier instant. Without it,
	// Update keeps the later of the stored and the given one, so that a
	// write cannot undo a Touch that overtook it. Load never sets it; a
	// store does not keep it.
	Shorten bool

	// Confirm says that Create or Update logs somebody in, or replaces or ends
	// a token: what must not be undone by a failover. It means something to a
	// [Confirmer] alone. Load never sets it; a store does not keep it.
	Confirm bool
}

// Format prints what identifies r and how large it is, whatever the verb:
// Data may be readable.
func (r Record) Format(f fmt.State, _ rune) {
	fmt.Fprintf(f, "record(%v version %d, %d bytes)", r.ID, r.Version, len(r.Data))
}

// LogValue is what a log shows of r: what Format prints.
func (r Record) LogValue() slog.Value { return slog.StringValue(fmt.Sprint(r)) }

// A Store keeps records. It must be safe for concurrent use, by any number of
// goroutines and, unless it lives in memory, of processes.
//
// Every method ends soon after its context does, with the context's error
// (or one that wraps it). A [Bounded] store need not look at it: its calls end anyway.
//
// After any other error than those above, a Create or Update may have been
// done, not done, or where it has several parts, such as an entry in an index
// besides the record, done in part. The caller finds out with Load. If it finds
// the record of a User as written, it writes it once more, as an Update of that
// version; so each write does all its parts, whatever those before may have
// done, and a Store that remembers what it did forgets it when a call fails. A
// Store that is a [UserIndex] makes the entry before the record: the index may
// name a session that does not exist, and never lacks one that does.
type Store interface {
	// Load returns the live record of id, or ErrNotFound. Expiry is checked
	// here, against the clock; it does not wait for a sweep.
	Load(ctx context.Context, id uuid.UUID) (Record, error)

	// Create stores a new record, with Version 1 whatever rec.Version says.
	// If the ID is taken by a live record it is ErrExists and nothing
	// changes. One that has expired may be replaced or be ErrExists.
	Create(ctx context.Context, rec Record) error

	// Update replaces Expires (see Record.Shorten), User and Data of a live
	// record if the stored version is rec.Version, and adds one to it. It is
	// atomic: of several Updates that name one version exactly one succeeds.
	// ErrConflict if the version is another, ErrNotFound if there is no
	// live record. If the expiry that results has passed already (Shorten
	// with an instant in the past), the record is as good as deleted.
	Update(ctx context.Context, rec Record) error

	// Touch moves the expiry of a live record to expires if that is later
	// than the stored one, and does nothing, successfully, if it is not.
	// Version and Data do not change. ErrNotFound if there is no live
	// record.
	Touch(ctx context.Context, id uuid.UUID, expires time.Time) error

	// Delete removes the record. That there is none is no error.
	Delete(ctx context.Context, id uuid.UUID) error
}

// A VersionedDeleter can delete a record only if it has a certain version.
// It is optional: for a Store without it, a logout costs one more call.
type VersionedDeleter interface {
	// DeleteVersion removes the live record of id if its version is
	// version: ErrConflict if it is another, ErrNotFound if there is none.
	DeleteVersion(ctx context.Context, id uuid.UUID, version uint64) error
}

// A Sweeper can remove what has expired. Stores whose server does so by
// itself need not be one.
type Sweeper interface {
	// Sweep removes up to limit expired records and returns how many it
	// removed; fewer than limit means that there are no more for now.
	// Whether a record has expired is decided by the removing step itself,
	// so that one that was touched meanwhile stays. Several Sweeps at once,
	// in one process or many, do no harm.
	Sweep(ctx context.Context, limit int) (int, error)
}

// A UserIndex can find the sessions of a user. It is what Sessions,
// RevokeUser and MaxPerUser of the session manager need.
type UserIndex interface {
	// ByUser returns the live records whose User is exactly user, in no
	// particular order. None is no error. Data may be cut after its first
	// [HeadSize] bytes, so that listing a user's sessions does not read all
	// of their values.
	ByUser(ctx context.Context, user string) ([]Record, error)
}

// A Lister can list live records, whoever they are of. It is for operators, not
// for requests: see at each store what a list costs.
type Lister interface {
	// List returns, of the live records whose User begins with prefix, up to
	// limit of those that were created last, by their IDs, the newest first.
	// An empty prefix is all records, those without a User included. Data may
	// be cut as by [UserIndex].
	List(ctx context.Context, prefix string, limit int) ([]Record, error)
}

// A Counter can count the live records.
type Counter interface {
	// Count returns the number of live records. Records that expired a
	// moment ago may still be counted.
	Count(ctx context.Context) (int, error)
}

// MaxCompared is how many records [Comparer] may be asked about at once.
const MaxCompared = 500

// A Version names a record as somebody knows it.
type Version struct {
	ID      uuid.UUID
	Version uint64
}

// A Comparer can tell, of many records at once, which are no longer as somebody
// knows them. It is what makes it cheap to watch sessions (Session.Done): where
// nothing has changed, it should cost the process about a microsecond a record or
// less; it may be the server that compares.
type Comparer interface {
	// Changed returns the IDs of those of known, up to [MaxCompared], of which
	// there is no record, or one of another version. It may leave out those that
	// have expired, as the caller knows when that is, and, for half a minute, those
	// changed only by an Update with neither Confirm nor Shorten, which ended
	// nothing. It may also return IDs of known that have not changed, and one
	// more than once: the caller Loads all that are returned.
	Changed(ctx context.Context, known []Version) ([]uuid.UUID, error)
}

// An InProcess store lives in this process's memory and nowhere else.
// Whoever can read it can read the cookies of running requests too, so its
// records are not sealed.
type InProcess interface {
	// InProcess does nothing; having it is the statement.
	InProcess()
}

// A Confirmer can wait until a write is on other servers as well, so that it
// outlives the one that took it. If Confirms reports true, each Delete and
// DeleteVersion, and each Create and Update of a Record with Confirm, returns
// nil only then, or else [ErrNotReplicated]. Delete of a record that is not
// there is no exception: its nil says that no failover brings it back.
//
// A store should find out whether the other servers follow before it writes,
// so that ErrNotReplicated most often means that nothing was done.
type Confirmer interface {
	// Confirms reports whether the store waits.
	Confirms() bool
}

// A Bounded store ends each of its calls by itself within five seconds, even
// if its server hangs (by time-outs on the connection, say). For one that
// reports true, callers save themselves a deadline for every call, unless they
// want less: a context's deadline holds for every Store.
type Bounded interface {
	// Bounded reports whether every call ends by itself.
	Bounded() bool
}

// A Durable store can say what becomes of a write that it has acknowledged, a
// logout say, when a server fails: it depends on settings that no program sees.
// The session manager logs it at start.
type Durable interface {
	// Durability says it in a sentence, as the settings were when the Store
	// was opened; "" if they are not known.
	Durability() string
}

package stored

import (
	"crypto/cipher"
	"time"

	"github.com/chisession/session/backend"
	"github.com/chisession/session/internal/record"
)

// A Change is what a session is to be once it is stored.
type Change struct {
	Values *record.Changes // over what was loaded

	// Next are the credentials from then on: with another secret if Renew.
	Next  record.Credentials
	Renew bool

	User           string
	Label          string
	Idle, Absolute time.Duration // its own timeouts; 0 is the store's
	Persist        byte          // record.FlagPersist, record.FlagTransient or neither
	Login          bool          // User has just proven who it is

	// Shorten lets the expiry move back. Still leaves it where it is; else it
	// moves to what activity makes it that is Early: noted as if it had been
	// so long ago.
	Shorten bool
	Still   bool
	Early   time.Duration

	// Confirm says that a failover must not undo it: see backend.Confirmer.
	Confirm bool
}

// An Outcome is what became of a call.
type Outcome struct {
	Created bool // there is a new record
	Updated bool // the record was replaced
	Renewed bool // ...and has another secret
	Moved   bool // the expiry is later than it was
	Removed bool // the record is gone, and this call has ended it

	// Lost is why the record is no session of the caller's any more: it ended
	// (backend.ErrNotFound), or its secret was replaced (ErrSuperseded).
	// Nothing was stored. Unknown says that an earlier try of an exact Update
	// may have been done before that.
	Lost    error
	Unknown bool

	// Copy is the record as it is now, if it was created or updated, and
	// Values are those in it. After Delete it has the version that was met last.
	Copy   Copy
	Values record.Body

	Loads     int    // how often it was loaded again
	Conflicts int    // how often another write came first
	Damage    error  // why it could not be read when it was loaded again
	Op        string // which of the store's methods the error is of, if it is one's
}

// failed returns err, and notes that it is of that method of the store's.
func (o *Outcome) failed(op string, err error) error {
	o.Op = op
	return err
}

// A Write is how a change gets into a store: by Create or by Update, which ask
// their caller to Prepare each try. The zero Write is ready; it is used once.
type Write struct {
	store *Store
	tries tries
	isNew bool
	exact bool   // it must not be done twice
	doubt uint64 // the version named by the last try that may have been done; 0 when that is settled

	// The last try.
	rec    backend.Record
	past   bool               // the time of the record has passed: it is to be deleted
	from   record.Credentials // before it
	before int64              // expiry before it, Unix ms
	renew  bool
	after  Copy // if it succeeds
	values record.Body
}

// Prepare encodes the record that makes the session of c what change says. The
// copy and the change are not looked at after it.
func (w *Write) Prepare(c *Copy, change *Change) error {
	now := Now()
	w.tries.begin(now)
	h := w.head(c, change, now)
	key, err := w.store.keyFor(c, &change.Next)
	if err != nil {
		return err
	}
	expires, shorten := now, false
	if w.isNew {
		expires = w.store.Expiry(&change.Next, change.Idle, change.Absolute, now)
	} else {
		expires, shorten = w.expiry(c, change, &h, now)
	}
	data, plain, err := record.Encode(change.Next.ID(), change.User, &h, change.Values, w.store.Protect, key)
	if err != nil {
		return err
	}
	version := c.Version
	if w.isNew {
		version = 1
	}
	w.rec = backend.Record{ID: change.Next.ID(), Version: version, User: change.User, Data: data,
		Expires: time.UnixMilli(expires), Shorten: shorten, Confirm: change.Confirm}
	w.past = !w.isNew && (expires <= now && !change.Still || c.Head.Ended(now))
	w.tries.confirm = change.Confirm
	w.from, w.before, w.renew, w.values = c.Cred, c.Expires, change.Renew, plain
	w.after = Copy{Cred: change.Next, Known: true, Exists: true, Version: c.Version + 1, Expires: expires, At: c.At,
		User: change.User, Head: h, key: key}
	return nil
}

// head returns the head to store.
func (w *Write) head(c *Copy, change *Change, now int64) record.Head {
	if w.tries.commit == 0 {
		w.tries.commit = record.NewCommit()
	}
	h := record.Head{
		Flags:    change.Persist,
		Hash:     c.Head.Hash,
		Commit:   w.tries.commit,
		Renewed:  c.Head.Renewed,
		Idle:     change.Idle,
		Absolute: change.Absolute,
		Label:    []byte(change.Label),
	}
	if w.isNew || change.Renew {
		h.Hash = change.Next.Hash()
	}
	switch {
	case change.Login:
		h.Login = uint32(now / 1000)
	case change.User != "":
		h.Login = c.Head.Login
	}
	if change.Renew {
		h.Renewed = max(time.Now().UnixMicro(), c.Head.Renewed)
	}
	return h
}

// expiry returns when the session expires, in Unix ms, and whether that may be
// earlier than before. Where it must be told in the head, h gets it: see
// record.Head.Ends.
func (w *Write) expiry(c *Copy, change *Change, h *record.Head, now int64) (expires int64, shorten bool) {
	s := w.store
	expires = s.Expiry(&c.Cred, change.Idle, change.Absolute, now-change.Early.Milliseconds())
	if change.Still && !change.Shorten {
		expires = c.Expires
	}
	if !change.Shorten {
		expires = max(expires, c.Expires)
	}
	was, _ := s.Timeouts(c.Head.Idle, c.Head.Absolute)
	is, _ := s.Timeouts(change.Idle, change.Absolute)
	inHead := c.Head.Ends != 0 || is < was
	if inHead {
		h.Ends = expires
	}
	return expires, change.Shorten || inHead
}

// keyFor returns what a record is sealed or tagged with, if it is: the key that
// loading made, unless the secret is another.
func (s *Store) keyFor(c *Copy, next *record.Credentials) (cipher.AEAD, error) {
	switch {
	case s.Protect == record.Plain:
		return nil, nil
	case c.key != nil && *next == c.Cred:
		return c.key, nil
	}
	return next.Key()
}

// done is what became of a write whose last try succeeded.
func (w *Write) done(out *Outcome) {
	out.Created, out.Updated, out.Renewed = w.isNew, !w.isNew, w.renew && !w.isNew
	out.Copy, out.Values = w.after, w.values
	out.Moved = w.after.Expires > w.before
}

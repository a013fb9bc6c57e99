package file

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"

	"github.com/google/uuid"

	"github.com/chisession/session/backend"
)

// Each step that changes the disk goes through one of the methods below. A
// step that failed leaves one of three things: the state before it; a record
// in doubt, if the new version can be read although not all was done that its
// writer was to do; or a directory that owes a flush, if what happened to its
// names may not be on the disk. After a failed fsync the kernel may show what
// was written although it will never write it, and the next fsync may succeed
// without having done so ("fsyncgate"). So what is in doubt is written once
// more, and flushed, before anybody of this process is told of it: a retry
// that finds its own write there finds it on the disk.

// A step is a kind of change to the disk, for tests that let it fail.
type step string

const (
	stepWrite    step = "write"
	stepHead     step = "write the expiry"
	stepChmod    step = "chmod"
	stepFlush    step = "fsync a file"
	stepFlushDir step = "fsync a directory"
	stepClose    step = "close"
	stepRename   step = "rename"
	stepRemove   step = "remove"
	stepMarker   step = "make a marker"
	stepMakeDir  step = "make a user's directory"
)

// do takes one step, or fails it if a test wants that.
func (s *Store) do(st step, fn func() error) error {
	if s.fault != nil {
		if err := s.fault(st); err != nil {
			return err
		}
	}
	return fn()
}

func (s *Store) write(h handle, b []byte, off int64) error {
	return s.do(stepWrite, func() error { return h.writeAt(b, off) })
}

func (s *Store) writeExpires(h handle, ms int64) error {
	var b [8]byte
	appendExpires(b[:0], ms)
	return s.do(stepHead, func() error { return h.writeAt(b[:], expiresAt) })
}

func (s *Store) chmod0600(h handle) error { return s.do(stepChmod, h.chmod0600) }

// close closes h, which was written to. h is closed whatever it returns.
func (s *Store) close(h handle) error {
	err := h.close()
	return cmp.Or(s.do(stepClose, func() error { return nil }), err)
}

func (s *Store) rename(sh *shard, from, to string) error {
	return s.do(stepRename, func() error { return sh.dir.rename(from, to) })
}

func (s *Store) remove(sh *shard, name string) error {
	return s.do(stepRemove, func() error { return sh.dir.remove(name) })
}

// flush flushes a file, with Options.Sync.
func (s *Store) flush(h handle) error {
	if !s.opts.Sync {
		return nil
	}
	if err := s.do(stepFlush, h.sync); err != nil {
		return fmt.Errorf("flush to the disk: %w", err)
	}
	return nil
}

// flushDir flushes the names in a shard, with Options.Sync.
func (s *Store) flushDir(sh *shard) error {
	if !s.opts.Sync {
		return nil
	}
	if sh.owes.Load() {
		// A change of our own, so that there is something to write anew.
		if err := s.stir(sh); err != nil {
			return fmt.Errorf("flush directory %s to the disk, after that failed: %w", sh.path, err)
		}
	}
	if err := s.do(stepFlushDir, sh.dir.sync); err != nil {
		sh.owes.Store(true)
		return fmt.Errorf("flush directory %s to the disk: %w", sh.path, err)
	}
	sh.owes.Store(false)
	return nil
}

// stir makes and removes a file in the shard.
func (s *Store) stir(sh *shard) error {
	name := tempName(uuid.New())
	h, err := sh.dir.open(name, exclusive)
	if err != nil {
		return err
	}
	err = cmp.Or(h.close(), s.remove(sh, name))
	if missing(err) { // a sweep was faster
		return nil
	}
	return err
}

// settleDir flushes the shard if it owes that: that something is not there
// any more is true only then.
func (s *Store) settleDir(sh *shard) error {
	if !sh.owes.Load() {
		return nil
	}
	return s.flushDir(sh)
}

// A doubt says which version of a record is not known to be stored as its
// writer wanted it, and when it is to expire. The zero doubt is about the
// newest version, as it is.
type doubt struct {
	version uint64
	expires int64 // ms
}

// doubts are the records in doubt. There are none unless the disk fails.
type doubts struct {
	n  atomic.Int64 // len(of), readable without the lock
	mu sync.Mutex   // guards of
	of map[uuid.UUID]doubt
}

func (d *doubts) add(id uuid.UUID, what doubt) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.of == nil {
		d.of = make(map[uuid.UUID]doubt)
	}
	d.of[id] = what
	d.n.Store(int64(len(d.of)))
}

func (d *doubts) get(id uuid.UUID) (doubt, bool) {
	if d.n.Load() == 0 {
		return doubt{}, false
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	what, ok := d.of[id]
	return what, ok
}

func (d *doubts) forget(id uuid.UUID) {
	if d.n.Load() == 0 {
		return
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	delete(d.of, id)
	d.n.Store(int64(len(d.of)))
}

// settle is settleLocked for those who have no lock.
func (s *Store) settle(ctx context.Context, sh *shard, id uuid.UUID) error {
	if err := s.lock(ctx, sh); err != nil {
		return err
	}
	defer s.unlock(sh)
	return s.settleLocked(sh, id)
}

// settleLocked writes a record that is in doubt once more. The caller has the
// lock. Its error means that nobody can say what is stored.
func (s *Store) settleLocked(sh *shard, id uuid.UUID) error {
	what, ok := s.doubts.get(id)
	if !ok {
		return nil
	}
	sc := getScratch()
	defer sc.put()
	h, err := s.open(sh, id, forWriting)
	if errors.Is(err, backend.ErrNotFound) {
		s.doubts.forget(id)
		return nil
	}
	if err != nil {
		return inDoubt(err)
	}
	err = s.writeAgain(h, id, what, sc)
	if err = cmp.Or(err, s.close(h)); err == nil {
		err = s.flushDir(sh)
	}
	if err != nil {
		return inDoubt(err)
	}
	s.doubts.forget(id)
	return nil
}

func inDoubt(err error) error {
	return fmt.Errorf("an earlier write of it failed, and so does writing it again: %w", err)
}

// writeAgain writes the version in doubt where it is, unless it is not the
// newest any more.
func (s *Store) writeAgain(h handle, id uuid.UUID, what doubt, sc *scratch) error {
	e, err := s.readLocked(h, id, sc)
	if errors.Is(err, backend.ErrNotFound) {
		return nil // damaged: nobody can read it
	}
	if err != nil {
		return err
	}
	if what == (doubt{}) {
		what = doubt{version: e.version, expires: e.expires}
	}
	if e.version != what.version {
		return nil
	}
	rec := e.record(id) // a copy: the frame is made in the same scratch
	frame := sc.frame(e.head.sum, rec, e.version, what.expires)
	if err := s.write(h, frame, e.head.slotAt(e.slot)); err != nil {
		return err
	}
	if err := s.writeExpires(h, what.expires); err != nil {
		return err
	}
	return s.flush(h)
}

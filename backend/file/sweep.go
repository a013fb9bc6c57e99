package file

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/google/uuid"

	"github.com/chisession/session/backend"
)

const (
	// leftOver is the age from which a file of ours without a readable
	// version is what a crash or the disk left, and not somebody's Create
	// that is under way.
	leftOver = time.Hour

	// tidyEvery is how often a round of the directories also looks at the
	// user index: in the first one after New, since a crash may have left
	// something, and in every so-manieth after that.
	tidyEvery = 16

	// lockedBatch is how many files are removed under one lock, at most: about
	// a millisecond's work.
	lockedBatch = 16
)

// Sweep removes up to limit expired records. It reads the head of each file,
// a few hundred names at a time, and looks again under the lock before it
// removes one; the next call goes on in the directory where this one ended.
// On the way it clears up what crashes left behind: temporary files, files
// without a readable version that are older than an hour, and empty
// directories of users. Only what the store itself made is removed, and no
// file's own times decide whether a session has expired. What cannot be swept
// does not keep it from the rest; the first such error is returned.
func (s *Store) Sweep(ctx context.Context, limit int) (int, error) {
	w := sweep{s: s, ctx: ctx, limit: limit}
	if err := s.find(true); err == backend.ErrClosed {
		return 0, err
	} else if err != nil {
		return 0, fmt.Errorf("file: sweep %s: %w", s.path, err)
	}
	for range len(s.shards) {
		if w.full() {
			break
		}
		at := s.next.Load()
		done, err := w.shard(&s.shards[at%uint64(len(s.shards))], at/uint64(len(s.shards))%tidyEvery == 0)
		if errors.Is(err, backend.ErrClosed) {
			return w.removed, backend.ErrClosed
		}
		if ctx.Err() != nil {
			return w.removed, fmt.Errorf("file: sweep %s: %w", s.path, ctx.Err())
		}
		w.err = cmp.Or(w.err, err)
		if done {
			s.next.CompareAndSwap(at, at+1) // unless another Sweep was here
		}
		if errors.Is(err, errLocked) {
			break // it took seconds; that is enough for one call
		}
	}
	if w.err != nil {
		return w.removed, fmt.Errorf("file: sweep %s: %w", s.path, w.err)
	}
	return w.removed, nil
}

// A sweep is one call of Sweep.
type sweep struct {
	s       *Store
	ctx     context.Context
	limit   int
	removed int
	err     error // the first one that did not stop it

	expired []uuid.UUID // to look at again under the lock
	temps   []string
}

func (w *sweep) full() bool { return w.removed >= w.limit }

// errFull ends the listing of a directory.
var errFull = errors.New("limit reached")

// shard sweeps one directory; done says that it came to its end.
func (w *sweep) shard(sh *shard, tidy bool) (done bool, err error) {
	err = w.s.list(sh, func(names []string) error {
		if err := w.s.enter(); err != nil {
			return err
		}
		defer w.s.leave()
		return w.names(sh, names, tidy)
	})
	w.expired, w.temps = w.expired[:0], w.temps[:0]
	if err == errFull {
		return false, nil
	}
	return true, err
}

// find makes sure that the directories are where they belong. With create, it
// makes those that are missing, but never the save path itself: that may be a
// disk that is not mounted.
func (s *Store) find(create bool) error {
	if err := s.enter(); err != nil {
		return err
	}
	var err error
	for i := range s.shards {
		if err = s.shards[i].absent(); err != nil {
			break
		}
	}
	s.leave()
	if err == nil || err != errMoved && !create {
		return err
	}
	return s.relink(false, create)
}

// list calls yield with the names in a shard. The listing has a descriptor of
// its own.
func (s *Store) list(sh *shard, yield func([]string) error) error {
	if err := s.enter(); err != nil {
		return err
	}
	names, err := sh.dir.names()
	s.leave()
	if err != nil {
		return err
	}
	defer names.Close()
	return readNames(names, yield)
}

func (w *sweep) names(sh *shard, names []string, tidy bool) error {
	for _, name := range names {
		if err := w.ctx.Err(); err != nil {
			return err
		}
		if err := w.name(sh, name, tidy); err != nil {
			return err
		}
		if len(w.expired)+len(w.temps) >= min(lockedBatch, w.limit-w.removed) {
			if err := w.remove(sh); err != nil {
				return err
			}
		}
	}
	return w.remove(sh)
}

// name looks at one name of a directory. What it does not know is foreign.
func (w *sweep) name(sh *shard, name string, tidy bool) error {
	if id, ok := parseName(name); ok {
		if w.s.shardOf(id) != sh {
			return nil // not where we put it
		}
		look, err := w.s.glance(sh, id)
		if look == lookSuspect {
			w.expired = append(w.expired, id)
		}
		w.err = cmp.Or(w.err, err)
		return nil
	}
	if base, ok := strings.CutSuffix(name, tempSuffix); ok {
		if _, ok := parseName(base); ok {
			w.temps = append(w.temps, name)
		}
		return nil
	}
	if isUserDir(name) {
		err := w.s.tidyUser(w.ctx, sh, name, tidy)
		if errors.Is(err, errLocked) || w.ctx.Err() != nil {
			return err
		}
		w.err = cmp.Or(w.err, err)
	}
	return nil
}

// A look is what the head of a file says, at a glance.
type look int

const (
	lookNone    look = iota // no file, or not even a file
	lookLive                // a record that has not expired
	lookSuspect             // anything else
)

// glance reads the head of a file. It takes no lock, so it may be wrong about
// a suspect.
func (s *Store) glance(sh *shard, id uuid.UUID) (look, error) {
	h, err := sh.dir.open(recordName(id), forReading)
	if err != nil {
		return none(err)
	}
	sc := getScratch()
	defer sc.put()
	n, err := h.readAt(sc.first[:headSize], 0)
	if err = cmp.Or(err, h.close()); err != nil {
		return none(err)
	}
	hd, ok := parseHead(sc.first[:n], id)
	if ok && hd.expiresOK && hd.expires > time.Now().UnixMilli() {
		return lookLive, nil
	}
	return lookSuspect, nil
}

// none is the look of what could not be read.
func none(err error) (look, error) {
	if missing(err) || noRecord(err) {
		return lookNone, nil
	}
	return lookNone, err
}

// remove looks at the suspects again, under the lock, and removes them.
func (w *sweep) remove(sh *shard) error {
	if len(w.expired)+len(w.temps) > 0 {
		if err := w.s.lock(w.ctx, sh); err != nil {
			return err
		}
		defer w.s.unlock(sh)
	}
	for _, id := range w.expired {
		removed, err := w.s.removeExpired(sh, id)
		if removed {
			w.removed++
		}
		w.err = cmp.Or(w.err, err)
	}
	for _, name := range w.temps {
		// We have the lock, so nobody is about to rename it.
		if err := sh.dir.removeOurs(name); err != nil {
			w.err = cmp.Or(w.err, fmt.Errorf("remove %s/%s: %w", sh.name, name, err))
		}
	}
	w.expired, w.temps = w.expired[:0], w.temps[:0]
	if w.full() {
		return errFull
	}
	return nil
}

// removeExpired removes the file of id if its record has expired, or if it is
// what a crash left, which does not count. The caller has the lock.
func (s *Store) removeExpired(sh *shard, id uuid.UUID) (bool, error) {
	name := recordName(id)
	e, err := s.readAgain(sh, name, id)
	switch {
	case missing(err), noRecord(err):
		return false, nil
	case err == errForeign, err == nil && !e.expired():
		return false, nil
	case err != nil && err != errUnreadable:
		return false, fmt.Errorf("look at %s/%s: %w", sh.name, name, err)
	}
	if removeErr := s.remove(sh, name); removeErr != nil {
		return false, fmt.Errorf("remove %s/%s: %w", sh.name, name, removeErr)
	}
	s.dropMarker(e.owner, id)
	return err != errUnreadable, nil
}

// errForeign says that a file is not ours, or was not ours for long enough to
// know that it will never be a record.
var errForeign = errors.New("not our file")

// A verdict is what removeExpired needs to know of a record.
type verdict struct {
	expires int64
	owner   string
}

func (v verdict) expired() bool { return v.expires <= time.Now().UnixMilli() }

// readAgain reads the record of id under the lock. If its slot says that it
// lives longer than its head does, it writes that into the head, for the next
// sweep. An unreadable file is errForeign, unless it is ours and old.
func (s *Store) readAgain(sh *shard, name string, id uuid.UUID) (verdict, error) {
	h, err := sh.dir.open(name, forReading)
	if err != nil {
		return verdict{}, err
	}
	sc := getScratch()
	defer sc.put()
	e, _, err := h.read(id, sc, false)
	if err == errUnreadable {
		if info, statErr := h.stat(); statErr != nil || !leftBehind(info, sc.first[:]) {
			err = cmp.Or(statErr, errForeign)
		}
	}
	if err = cmp.Or(err, h.close()); err != nil {
		return verdict{}, err
	}
	if !e.expired() {
		err = s.renewHead(sh, name, e.expires)
	}
	return verdict{expires: e.expires, owner: string(e.user)}, err
}

func (s *Store) renewHead(sh *shard, name string, ms int64) error {
	h, err := sh.dir.open(name, forWriting)
	if err != nil {
		return err
	}
	err = s.writeExpires(h, ms)
	return cmp.Or(err, s.close(h))
}

// leftBehind reports whether an unreadable file, which begins with b, is ours
// and so old that nobody can be about to complete it.
func leftBehind(info fileInfo, b []byte) bool {
	ours := info.size == 0 || info.size >= int64(len(magic)) && string(b[:len(magic)]) == magic
	return info.regular && ours && time.Since(info.modified) >= leftOver
}

// tidyUser removes the directory of a user who has no sessions. With tidy, it
// first removes the markers that no record answers for.
func (s *Store) tidyUser(ctx context.Context, sh *shard, name string, tidy bool) error {
	if sh.dir.removeDir(name) == nil || !tidy {
		return nil // or it is not empty, as a rule
	}
	d, err := sh.dir.user(name)
	if err != nil {
		return nil // gone meanwhile, or something that is not ours
	}
	defer d.close()
	return d.list(func(names []string) error {
		for _, marker := range names {
			id, ok := parseName(marker)
			if !ok {
				continue
			}
			rs := s.shardOf(id)
			if h, err := rs.dir.open(marker, forReading); err == nil {
				h.close()
				continue // ByUser finds out whose it is
			}
			if err := s.tidyMarker(ctx, rs, sh, name, id); err != nil {
				return err
			}
		}
		return ctx.Err()
	})
}

// Count returns the number of live records. It reads the head of every file.
func (s *Store) Count(ctx context.Context) (int, error) {
	count := 0
	err := s.find(false)
	for i := 0; i < len(s.shards) && err == nil; i++ {
		sh := &s.shards[i]
		err = s.list(sh, func(names []string) error {
			n, err := s.countLive(ctx, sh, names)
			count += n
			return err
		})
	}
	if err == nil || err == backend.ErrClosed {
		return count, err
	}
	return 0, fmt.Errorf("file: count in %s: %w", s.path, err)
}

func (s *Store) countLive(ctx context.Context, sh *shard, names []string) (int, error) {
	if err := s.enter(); err != nil {
		return 0, err
	}
	defer s.leave()
	count := 0
	for _, name := range names {
		if err := ctx.Err(); err != nil {
			return 0, err
		}
		id, ok := parseName(name)
		if !ok || s.shardOf(id) != sh {
			continue
		}
		look, err := s.glance(sh, id)
		if err != nil {
			return 0, err
		}
		if look == lookLive {
			count++
		}
		if look != lookSuspect {
			continue
		}
		sc := getScratch()
		e, err := s.peek(ctx, sh, id, sc)
		sc.put()
		switch {
		case err == nil && !e.expired():
			count++
		case err != nil && !errors.Is(err, backend.ErrNotFound):
			return 0, err
		}
	}
	return count, nil
}

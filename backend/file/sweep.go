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
	if err := w.s.find(sh); err != nil {
		return true, err
	}
	// The listing has a descriptor of its own, so a Close need not wait for it.
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

// find makes sure that the shard's directory is where it belongs.
func (s *Store) find(sh *shard) error {
	if err := s.enter(); err != nil {
		return err
	}
	err := sh.absent()
	s.leave()
	if err != nil {
		return s.relink(true)
	}
	return nil
}

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
		if w.s.shardOf(id) == sh && w.s.suspect(sh, id) {
			w.expired = append(w.expired, id)
		}
		return nil
	}
	if base, ok := strings.CutSuffix(name, tempSuffix); ok {
		if _, ok := parseName(base); ok {
			w.temps = append(w.temps, name)
		}
		return nil
	}
	if isUserDir(name) {
		return w.s.tidyUser(w.ctx, sh, name, tidy)
	}
	return nil
}

// suspect reports whether the head of a file does not say that it is live. It
// takes no lock, so it may be wrong.
func (s *Store) suspect(sh *shard, id uuid.UUID) bool {
	h, err := sh.dir.open(recordName(id), forReading)
	if err != nil {
		return false // gone, or something that is not ours
	}
	defer h.close()
	var b [headSize]byte
	n, err := h.readAt(b[:], 0)
	if err != nil {
		return false
	}
	hd, ok := parseHead(b[:n], id)
	return !ok || !hd.expiresOK || hd.expires <= time.Now().UnixMilli()
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
// what a crash left. The caller has the lock.
func (s *Store) removeExpired(sh *shard, id uuid.UUID) (bool, error) {
	name := recordName(id)
	h, err := sh.dir.open(name, forWriting)
	if err != nil {
		if missing(err) || noRecord(err) {
			return false, nil
		}
		return false, fmt.Errorf("open %s/%s: %w", sh.name, name, err)
	}
	info, err := h.stat()
	if err != nil || !info.regular {
		return false, cmp.Or(err, h.close())
	}
	sc := getScratch()
	defer sc.put()
	e, _, err := h.read(id, sc, false)
	live := err == nil && !e.expired()
	if live {
		// The slot is newer than the head: next time the head will do.
		err = writeExpires(h, e.expires)
	}
	err = cmp.Or(err, h.close())
	switch {
	case err == errUnreadable:
		return false, s.removeLeftOver(sh, name, info, sc)
	case err != nil:
		return false, fmt.Errorf("look at %s/%s: %w", sh.name, name, err)
	case live:
		return false, nil
	}
	if err := sh.dir.remove(name); err != nil {
		return false, fmt.Errorf("remove %s/%s: %w", sh.name, name, err)
	}
	s.dropMarker(string(e.user), id)
	return true, nil
}

// removeLeftOver removes an unreadable file if it is ours and old. sc still
// holds its beginning.
func (s *Store) removeLeftOver(sh *shard, name string, info fileInfo, sc *scratch) error {
	ours := info.size == 0 || info.size >= int64(len(magic)) && string(sc.first[:len(magic)]) == magic
	if !ours || time.Since(info.modified) < leftOver {
		return nil
	}
	return sh.dir.remove(name)
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
	for i := range s.shards {
		sh := &s.shards[i]
		err := s.find(sh)
		if err == nil {
			err = s.list(sh, func(names []string) error {
				n, err := s.countLive(ctx, sh, names)
				count += n
				return err
			})
		}
		if err == backend.ErrClosed {
			return 0, err
		}
		if err != nil {
			return 0, fmt.Errorf("file: count in %s: %w", s.path, err)
		}
	}
	return count, nil
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
		if !s.suspect(sh, id) {
			count++
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

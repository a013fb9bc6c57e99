package file

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
	"sync/atomic"
	"time"

	"github.com/google/uuid"

	"github.com/chisession/session/backend"
)

// A shard is one of the 256 directories. A record's is named by the last byte
// of its ID, which is random; the first ones are the time.
type shard struct {
	name string
	path string
	dir  dir // guarded by Store.mu

	// turn is held by the one goroutine that writes here, or waits for
	// other processes to have written. It is a channel for the sake of those
	// who cannot wait long.
	turn chan struct{}

	owes atomic.Bool // a flush: what happened to the names in it may not be on the disk
}

func (sh *shard) init(root string, i int) {
	sh.name = fmt.Sprintf("%02x", i)
	sh.path = filepath.Join(root, sh.name)
	sh.dir = noDir
	sh.turn = make(chan struct{}, 1)
}

func (s *Store) shardOf(id uuid.UUID) *shard { return &s.shards[id[len(id)-1]] }

// errLocked says that the lock was not to be had.
var errLocked = fmt.Errorf("another writer held the lock for %v", lockWait)

// errMoved says that a shard's directory is not the one that we hold open.
var errMoved = errors.New("its directory was replaced")

// absent turns "there is no such file" into what it means: nil if so, an
// error if the whole directory went away, which must never look like a
// session that has ended, and errMoved if there is another one in its place.
// Only a miss pays for this.
func (sh *shard) absent() error {
	here, err := sh.dir.at(sh.path)
	switch {
	case err != nil:
		return fmt.Errorf("the directory is gone: %w", err)
	case !here:
		return errMoved
	}
	return nil
}

// lock takes the right to write in the shard, from the other goroutines and
// from other processes. It waits until ctx is done, and no longer than
// lockWait in any case: the owner may be a process that was stopped.
func (s *Store) lock(ctx context.Context, sh *shard) error {
	select {
	case sh.turn <- struct{}{}:
		if ok, err := sh.dir.tryLock(); ok {
			return nil
		} else if err != nil {
			<-sh.turn
			return fmt.Errorf("lock directory %s: %w", sh.path, err)
		}
		<-sh.turn
	default:
	}
	return s.await(ctx, sh)
}

// await is the slow half of lock.
func (s *Store) await(ctx context.Context, sh *shard) error {
	enough := time.NewTimer(s.patience)
	defer enough.Stop()
	select {
	case sh.turn <- struct{}{}:
	case <-ctx.Done():
		return ctx.Err()
	case <-enough.C:
		return fmt.Errorf("directory %s: %w", sh.path, errLocked)
	}
	// flock has no wait with an end, so ask again and again.
	const shortest, longest = 20 * time.Microsecond, 2 * time.Millisecond
	again := time.NewTimer(shortest)
	defer again.Stop()
	for pause := shortest; ; pause = min(2*pause, longest) {
		ok, err := sh.dir.tryLock()
		if ok {
			return nil
		}
		if err == nil {
			again.Reset(pause/2 + rand.N(pause))
			select {
			case <-again.C:
				continue
			case <-ctx.Done():
				err = ctx.Err()
			case <-enough.C:
				err = errLocked
			}
		}
		<-sh.turn
		return fmt.Errorf("lock directory %s: %w", sh.path, err)
	}
}

func (s *Store) unlock(sh *shard) {
	// It can fail only for a descriptor that is not open.
	_ = sh.dir.unlock()
	<-sh.turn
}

// enter begins a call; leave ends it.
func (s *Store) enter() error {
	s.mu.RLock()
	if s.closed {
		s.mu.RUnlock()
		return backend.ErrClosed
	}
	return nil
}

func (s *Store) leave() { s.mu.RUnlock() }

// relink looks for the directories again after one of them was found to be
// gone or replaced. It makes what is missing, as link does.
func (s *Store) relink(createRoot, create bool) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return backend.ErrClosed
	}
	return s.link(createRoot, create)
}

// link opens all directories that are not open yet or were replaced. It makes
// the save path with createRoot, and what belongs into it with create, unless
// Options.NoCreate forbids it. The caller holds mu, or has the store for itself.
func (s *Store) link(createRoot, create bool) error {
	if s.opts.NoCreate {
		createRoot, create = false, false
	}
	root, made, err := openRoot(s.path, createRoot)
	defer root.close()
	if err != nil {
		return err
	}
	if err := s.flushPaths(made); err != nil {
		return err
	}
	for i := range s.shards {
		sh := &s.shards[i]
		d, err := root.sub(sh.name, create, !s.opts.NoCreate)
		switch {
		case errors.Is(err, fs.ErrNotExist) && !create:
			continue
		case err != nil:
			return err
		case sh.dir.fd >= 0 && d.same(sh.dir):
			err = d.close()
		default:
			err = sh.dir.close()
			sh.dir = d
		}
		if err != nil {
			return err
		}
	}
	if create && s.opts.Sync {
		return s.do(stepFlushDir, root.sync)
	}
	return nil
}

// flushPaths flushes directories in which something was made, with
// Options.Sync.
func (s *Store) flushPaths(paths []string) error {
	if !s.opts.Sync {
		return nil
	}
	for _, path := range paths {
		d, err := os.Open(path)
		if err != nil {
			return err
		}
		if err := cmp.Or(s.do(stepFlushDir, d.Sync), d.Close()); err != nil {
			return fmt.Errorf("flush %s to the disk: %w", path, err)
		}
	}
	return nil
}

// whole returns an error if a directory is missing: with Options.NoCreate
// nobody makes it.
func (s *Store) whole() error {
	for i := range s.shards {
		if s.shards[i].dir.fd < 0 {
			return fmt.Errorf("no sessions are kept there: directory %s is missing (of 00 to ff, which the application makes when it starts): %w",
				s.shards[i].name, fs.ErrNotExist)
		}
	}
	return nil
}

func (s *Store) closeShards() error {
	var errs []error
	for i := range s.shards {
		errs = append(errs, s.shards[i].dir.close())
		s.shards[i].dir = noDir
	}
	return errors.Join(errs...)
}

// probe finds out at start, and not at the first login, what the account may
// not do here, and whether the umask is in the way. It does with a record of
// its own, which no reader can take for one, all that is done with others.
func (s *Store) probe() error {
	if s.opts.NoCreate { // for a tool that may only look
		s.chmod = true // whether or not the umask makes that necessary
		return nil
	}
	for i := range s.shards {
		if err := s.shards[i].dir.usable(); err != nil {
			return s.may("use "+s.shards[i].path, err)
		}
	}
	sh := &s.shards[0]
	err := s.lock(context.Background(), sh)
	if errors.Is(err, errLocked) {
		return nil // a process that was stopped; others have started here
	}
	if err != nil {
		return fmt.Errorf("%w (is it a file system with flock?)", err)
	}
	defer s.unlock(sh)
	strict, err := sh.dir.strictUmask(tempName(uuid.New()))
	if err != nil {
		return s.may("make and remove a directory in "+sh.path, err)
	}
	s.chmod = strict
	return s.probeRecord(sh)
}

func (s *Store) probeRecord(sh *shard) error {
	rec := backend.Record{ID: uuid.New()}
	first, second := tempName(rec.ID), tempName(uuid.New())
	h, err := sh.dir.open(first, exclusive)
	if err != nil {
		return s.may("make a file in "+sh.path, err)
	}
	sc := getScratch()
	defer sc.put()
	if err := s.fill(h, sc.file(rec, 1, 0)); err != nil {
		return s.may("write to a file in "+sh.path, errors.Join(err, s.remove(sh, first)))
	}
	if err := s.rename(sh, first, second); err != nil {
		return s.may("rename a file in "+sh.path, errors.Join(err, s.remove(sh, first)))
	}
	h, err = sh.dir.open(second, forWriting)
	if err == nil {
		err = cmp.Or(s.writeExpires(h, 0), s.close(h))
	}
	if err != nil {
		return s.may("write to a file in "+sh.path+" once more", errors.Join(err, s.remove(sh, second)))
	}
	if err := s.remove(sh, second); err != nil {
		return s.may("remove a file in "+sh.path, err)
	}
	return s.flushDir(sh)
}

// may says what could not be done, and what the account needs.
func (s *Store) may(what string, err error) error {
	return fmt.Errorf("%s: %w: the account (user ID %d) must be able to read, make, write, rename and remove files and directories in it: "+
		"run chown on it, give it room, mount it writable, or name another directory", what, err, os.Geteuid())
}

// fileInfo is what fstat says, as far as it matters.
type fileInfo struct {
	regular  bool
	size     int64
	modified time.Time
}

// readNames calls yield with the names in f, a directory, some at a time,
// until it returns an error.
func readNames(f *os.File, yield func(names []string) error) error {
	for {
		names, err := f.Readdirnames(256)
		if len(names) > 0 {
			if err := yield(names); err != nil {
				return err
			}
		}
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return err
		}
	}
}

// list calls yield with the names in d. That d was removed, and so was empty,
// is the end of the list.
func (d dir) list(yield func(names []string) error) error {
	f, err := d.names()
	if missing(err) {
		return nil
	}
	if err != nil {
		return err
	}
	defer f.Close()
	if err := readNames(f, yield); !missing(err) {
		return err
	}
	return nil
}

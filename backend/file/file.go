// Package file keeps sessions in files: one a session, in 256 directories
// below the save path, shared by any number of processes of one machine.
//
// A record's file has a small head and two slots. A write goes into the slot
// that does not hold the current version, with a checksum, so the version
// before it stays whole until the new one is: a torn write, a full disk or a
// kill -9 costs nothing that was acknowledged. Reading takes no lock; writing
// takes a short one a directory, which the system drops with its process.
//
// By default nothing is flushed to the disk: what was written survives the
// death of every process, but a power cut may take the last seconds.
// [Options.Sync] is for those who cannot have that.
//
// The directory must be on a local file system that has flock. It belongs to
// the store: directories are 0700 and files 0600, links, FIFOs and folders in
// place of a record are never followed or waited for, and a file that the
// store did not make is never removed.
package file

import (
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"sync"
	"sync/atomic"
	"time"

	"github.com/chisession/session/backend"
	"github.com/chisession/session/backend/internal/quiet"
)

const (
	// Name is the name that this backend is registered by.
	Name = "file"

	// DefaultDir is the directory that an empty save path stands for.
	DefaultDir = "./tmp"
)

// lockWait is how long a write waits for its directory's lock, which is held
// for microseconds unless its owner was stopped.
const lockWait = 3 * time.Second

var (
	_ backend.Store            = (*Store)(nil)
	_ backend.VersionedDeleter = (*Store)(nil)
	_ backend.Sweeper          = (*Store)(nil)
	_ backend.UserIndex        = (*Store)(nil)
	_ backend.Lister           = (*Store)(nil)
	_ backend.Counter          = (*Store)(nil)
	_ backend.Comparer         = (*Store)(nil)
	_ backend.Bounded          = (*Store)(nil)
)

func init() {
	backend.Register(Name, func(savePath string) (backend.Store, error) {
		return Open(savePath)
	})
}

// Options are for [New]. The zero value is what [Open] uses.
type Options struct {
	// Sync flushes to the disk before a call returns (fsync) each record
	// that it created or updated, that one was deleted, and the names of
	// both, so that a power cut costs nothing that was acknowledged and
	// brings back nobody who logged out. It makes a write as slow as the
	// disk: 100 times and more. A flush that fails fails the call, and
	// nothing it wrote is shown to anybody before it was written and flushed
	// once more. A Touch is never flushed. Default false.
	Sync bool

	// NoCreate opens only what a store without it has made, and is for tools
	// beside the application: neither the directory nor those for sessions
	// in it are made, or their modes corrected, by any call, and New writes
	// nothing, so that it needs no right to. A missing one is an error of
	// New that is [io/fs.ErrNotExist]. Default false.
	NoCreate bool
}

// A Store keeps sessions in one directory. It is safe for concurrent use, and
// several Stores, in one process or many, may share a directory.
type Store struct {
	path string // absolute
	opts Options

	// mu guards the directories that shards hold open, and closed. Every
	// call holds it for reading; Close, and the search for a directory that
	// was replaced, hold it for writing.
	mu     sync.RWMutex
	closed bool
	shards [256]shard

	chmod   bool          // the umask takes away what 0600 needs
	doubts  doubts        // see disk.go
	quiet   quiet.Cache   // what Changed need not read again
	corrupt atomic.Uint64 // see Corrupt
	next    atomic.Uint64 // where the next Sweep begins, in shards; 256 are a round

	patience time.Duration    // with who has a lock: lockWait, but in tests
	fault    func(step) error // for tests: lets a step fail; nil otherwise
}

// Open is [New] for a save path: the directory, or "" for [DefaultDir].
func Open(savePath string) (*Store, error) {
	if savePath == "" {
		savePath = DefaultDir
	}
	return New(savePath, Options{})
}

// New opens the directory dir, relative to the working directory of now, and
// creates it if it is missing (but see [Options.NoCreate]). It keeps one
// descriptor for each of the 256 directories in it until Close. It writes,
// renames and removes a file, so that what the account may not do is known
// now. An error says what is wrong with dir and the cure: it is a link, others
// may write to it or to a directory above it, it cannot be written to, or it
// is that of another program, whose collector would remove the sessions.
func New(dir string, opts Options) (*Store, error) {
	if dir == "" {
		return nil, errors.New(`file: no directory named; use Open("") for ` + DefaultDir)
	}
	path, err := filepath.Abs(dir)
	if err != nil {
		return nil, fmt.Errorf("file: open %q: %w", dir, err)
	}
	s := &Store{path: path, opts: opts, patience: lockWait}
	for i := range s.shards {
		s.shards[i].init(path, i)
	}
	if err := s.start(); err != nil {
		s.closeShards()
		return nil, fmt.Errorf("file: open %q: %w", path, err)
	}
	return s, nil
}

func (s *Store) start() error {
	if err := s.foreign(); err != nil {
		return err
	}
	err := s.link(true, true)
	if errors.Is(err, fs.ErrPermission) {
		err = s.may("look for its directories", err)
	}
	if err != nil {
		return err
	}
	if err := s.whole(); err != nil {
		return err
	}
	return s.probe()
}

// Close closes the directories, after the calls that are under way. Later
// calls return [backend.ErrClosed]; a second Close does nothing.
func (s *Store) Close() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return nil
	}
	s.closed = true
	if err := s.closeShards(); err != nil {
		return fmt.Errorf("file: close: %w", err)
	}
	return nil
}

// Bounded reports true: no call waits for another writer longer than about
// three seconds, or than its context has left if that is less. (A disk that
// hangs holds up whoever uses it; no context ends that.)
func (s *Store) Bounded() bool { return true }

// Corrupt returns how often a record was met whose bytes are not those that a
// store wrote: damaged, foreign, or not a file at all. For its caller such a
// record does not exist. A torn write does not count while the version before
// it is there.
func (s *Store) Corrupt() uint64 { return s.corrupt.Load() }

//go:build !(linux || darwin || freebsd || netbsd || openbsd || dragonfly)

package file

import (
	"errors"
	"os"
	"runtime"

	"github.com/chisession/session/backend/internal/quiet"
)

// The backend stands on openat and flock. Elsewhere it builds, and says so at
// start: a half of its promises would be worse than none.

var errSystem = errors.New("the file backend needs a Unix, and this is " + runtime.GOOS + "; use memory, mysql or redis")

type (
	dir    struct{ fd int }
	handle int
)

var noDir = dir{fd: -1}

const (
	forReading = iota
	forWriting
	exclusive
)

func openRoot(string, bool) (dir, []string, error) { return noDir, nil, errSystem }

func (d dir) sub(string, bool, bool) (dir, error)   { return noDir, errSystem }
func (d dir) user(string) (dir, error)              { return noDir, errSystem }
func (d dir) at(string) (bool, error)               { return false, errSystem }
func (d dir) same(dir) bool                         { return false }
func (d dir) usable() error                         { return errSystem }
func (d dir) close() error                          { return nil }
func (d dir) tryLock() (bool, error)                { return false, errSystem }
func (d dir) unlock() error                         { return errSystem }
func (d dir) open(string, int) (handle, error)      { return -1, errSystem }
func (d dir) strictUmask(string) (bool, error)      { return false, errSystem }
func (d dir) remove(string) error                   { return errSystem }
func (d dir) removeOurs(string) error               { return errSystem }
func (d dir) removeDir(string) error                { return errSystem }
func (d dir) rename(string, string) error           { return errSystem }
func (d dir) makeDir(string, bool) error            { return errSystem }
func (d dir) makeMarker(string, bool) (bool, error) { return false, errSystem }
func (d dir) sync() error                           { return errSystem }
func (d dir) sign() (quiet.Sign, error)             { return quiet.Sign{}, errSystem }
func (d dir) stamp() error                          { return errSystem }
func (d dir) names() (*os.File, error)              { return nil, errSystem }
func (h handle) close() error                       { return nil }
func (h handle) readAt([]byte, int64) (int, error)  { return 0, errSystem }
func (h handle) writeAt([]byte, int64) error        { return errSystem }
func (h handle) sync() error                        { return errSystem }
func (h handle) chmod0600() error                   { return errSystem }
func (h handle) stat() (fileInfo, error)            { return fileInfo{}, errSystem }

func missing(error) bool  { return false }
func exists(error) bool   { return false }
func noRecord(error) bool { return false }

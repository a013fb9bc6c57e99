package beego

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/chisession/session/migrate"
	"github.com/chisession/session/migrate/internal/old"
)

// Files is the store of Beego's file provider in the directory dir
// (sessionproviderconfig): one file a session, two directories down, dir/a/b/ab….
// lifetime is sessiongcmaxlifetime; default an hour. A file that was last used
// before is not adopted. Only regular files are read, and none outside dir.
// The directories stay. The error is that dir cannot be opened.
//
// Of Beego's processes only those of this host can have used dir, and none may
// run any more. Close the source when the middleware is not used any more.
func Files(dir string, lifetime time.Duration) (*FileSource, error) {
	root, err := os.OpenRoot(dir)
	if err != nil {
		return nil, fmt.Errorf("beego: open the old sessions: %w", err)
	}
	if lifetime == 0 {
		lifetime = DefaultLifetime
	}
	return &FileSource{root: root, dir: dir, lifetime: lifetime}, nil
}

// A FileSource is what [Files] returns.
type FileSource struct {
	root     *os.Root
	dir      string
	lifetime time.Duration
}

// Close closes the directory.
func (f *FileSource) Close() error { return f.root.Close() }

// Load implements migrate.Source.
func (f *FileSource) Load(_ context.Context, id string, max int) ([]byte, error) {
	name := path(id)
	info, err := f.root.Lstat(name)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil, migrate.ErrNotFound
	case err != nil:
		return nil, fmt.Errorf("beego: %w", hide(err))
	case !info.Mode().IsRegular(): // a FIFO would make Open wait
		return nil, fmt.Errorf("%w: it is no regular file", migrate.ErrUnreadable)
	case info.Size() == 0, f.expired(info):
		return nil, migrate.ErrNotFound
	}
	data, err := f.read(name, max)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil, migrate.ErrNotFound
	case err != nil:
		return nil, fmt.Errorf("beego: %w", hide(err))
	case len(data) > max:
		return nil, fmt.Errorf("%w: it is longer than %d bytes", migrate.ErrUnreadable, max)
	}
	return data, nil
}

// read reads at most one byte more than max.
func (f *FileSource) read(name string, max int) ([]byte, error) {
	file, err := f.root.Open(name)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	return io.ReadAll(io.LimitReader(file, int64(max)+1))
}

// Remove implements migrate.Source. Of several removals of one file the
// system lets one succeed.
func (f *FileSource) Remove(_ context.Context, id string, data []byte) error {
	name := path(id)
	now, err := f.read(name, len(data))
	if err == nil && string(now) != string(data) {
		return migrate.ErrChanged
	}
	if err == nil {
		err = f.root.Remove(name)
	}
	if errors.Is(err, fs.ErrNotExist) {
		return migrate.ErrChanged
	}
	if err != nil {
		return fmt.Errorf("beego: %w", hide(err))
	}
	return nil
}

// Survey implements migrate.Surveyor: it looks at up to 100,000 files.
func (f *FileSource) Survey(ctx context.Context, prefix string) (migrate.Survey, error) {
	found := migrate.Survey{Where: "files in " + f.dir}
	if abs, err := filepath.Abs(f.dir); err == nil {
		found.Where = "files in " + abs
	}
	seen := 0
	err := fs.WalkDir(f.root.FS(), ".", func(name string, d fs.DirEntry, err error) error {
		if seen++; seen > old.MostCounted {
			found.More = true
			return fs.SkipAll
		}
		if cause := ctx.Err(); err != nil || cause != nil {
			return cmp.Or(err, cause)
		}
		id, ok := strings.CutPrefix(d.Name(), prefix)
		if d.IsDir() || !ok || !validID(id) || name != path(d.Name()) {
			return nil
		}
		info, err := d.Info()
		switch {
		case errors.Is(err, fs.ErrNotExist):
		case err != nil:
			return err
		case !info.Mode().IsRegular() || info.Size() == 0:
		case f.expired(info):
			found.Expired++
		default:
			found.Live++
		}
		return nil
	})
	if err != nil {
		return found, fmt.Errorf("beego: %w", hide(err))
	}
	return found, nil
}

// expired reports whether a file was last used too long ago.
func (f *FileSource) expired(info fs.FileInfo) bool {
	return info.ModTime().Add(f.lifetime).Before(time.Now())
}

// path returns where the file of id is: an ID of the old form, with no dot and
// no slash in its prefix.
func path(id string) string { return id[:1] + "/" + id[1:2] + "/" + id }

// hide takes the file's name, which is the ID, out of an error.
func hide(err error) error {
	var at *fs.PathError
	if errors.As(err, &at) {
		return fmt.Errorf("%s: %w", at.Op, at.Err)
	}
	return err
}

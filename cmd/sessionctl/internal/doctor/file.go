package doctor

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/chisession/session/cmd/sessionctl/internal/place"
)

// File returns the checks of a session directory.
func File(dir string) []Check {
	return []Check{
		{"directory", func(context.Context) Result { return directory(dir) }},
		{"permissions", func(ctx context.Context) Result { return permissions(ctx, dir) }},
		{"opening", func(context.Context) Result { return opening(dir) }},
		{"disk", func(context.Context) Result { return disk(dir) }},
	}
}

func directory(dir string) Result {
	info, err := os.Lstat(dir)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return warn("start the application, or run: install -d -m 700 -o <its user> "+dir, "%s is not there; the application creates it if it may", dir)
	case err != nil:
		return fail("run sessionctl as the application's user", "%v", err)
	case info.Mode()&fs.ModeSymlink != 0:
		return fail("name the directory that it leads to", "%s is a symbolic link, which others could turn", dir)
	case !info.IsDir():
		return fail("name a directory of the sessions' own", "%s is no directory", dir)
	}
	return ok("%s", dir)
}

// permissions looks for what others can read, list or write, in the directory
// and in all that the store keeps there.
func permissions(ctx context.Context, dir string) Result {
	open, first := 0, ""
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if err := ctx.Err(); err != nil {
			return err
		}
		info, err := d.Info()
		if errors.Is(err, fs.ErrNotExist) {
			return nil // ended meanwhile
		}
		if err != nil {
			return err
		}
		if info.Mode()&fs.ModeSymlink == 0 && info.Mode().Perm()&0o077 != 0 {
			if open++; first == "" {
				first = fmt.Sprintf("%s has mode %04o", path, info.Mode().Perm())
			}
		}
		return nil
	})
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return ok("nothing there yet")
	case err != nil:
		return fail("run sessionctl as the application's user", "%v", err)
	case open == 1:
		return fail("chmod -R go-rwx "+dir, "others on this machine can get at it: %s, which should be 0700", first)
	case open > 1:
		return fail("chmod -R go-rwx "+dir, "others on this machine can get at it: %s, and %d more; 0700 and 0600 are right", first, open-1)
	}
	return ok("for its owner alone")
}

// opening opens the store as the application does, if there is one, but makes
// no directory.
func opening(dir string) Result {
	if info, err := os.Lstat(dir); err != nil || !info.IsDir() {
		return ok("nothing to open yet")
	}
	s, err := place.OpenDir(dir)
	if err == nil {
		err = s.Close()
	}
	if errors.Is(err, fs.ErrNotExist) {
		return warn("start the application, or name the directory that it uses", "%v", err)
	}
	if err != nil {
		return fail("run sessionctl as the application's user; what the error says holds for the application, too", "%v", err)
	}
	return ok("opens, locks and writes")
}

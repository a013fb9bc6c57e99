package file

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
)

// foreign refuses a directory in which Beego's file provider keeps sessions
// (a/b/ab…, one directory a letter). Its collector removes every file below
// that was not written to for its lifetime, ours as well.
func (s *Store) foreign() error {
	if s.opts.NoCreate {
		return nil
	}
	found, err := beegoSession(s.path)
	if err != nil || found == "" {
		return err
	}
	return fmt.Errorf("a Beego application keeps its sessions there (such as %s/…), and removes every file in it, and in directories in it, "+
		"that is older than its own sessions may be: name another directory, outside of it (package migrate/beego can adopt the sessions in this one)", filepath.Dir(found))
}

// beegoSession returns the name of a file in path that Beego's file provider
// made, as far as names can tell, or "".
func beegoSession(path string) (string, error) {
	for _, first := range lettersIn(path) {
		for _, second := range lettersIn(filepath.Join(path, first)) {
			d, err := os.Open(filepath.Join(path, first, second))
			if err != nil {
				continue // not one that matters, or gone
			}
			found := ""
			err = readNames(d, func(names []string) error {
				for _, name := range names {
					if len(name) > 8 && name[:2] == first+second {
						found = filepath.Join(first, second, name)
						return fs.SkipAll
					}
				}
				return nil
			})
			d.Close()
			if found != "" {
				return found, nil
			}
			if err != nil {
				return "", err
			}
		}
	}
	return "", nil
}

// lettersIn returns the directories in path whose name is one byte long.
func lettersIn(path string) []string {
	d, err := os.Open(path)
	if err != nil {
		return nil // link says what is wrong with it
	}
	defer d.Close()
	var letters []string
	err = readNames(d, func(names []string) error {
		for _, name := range names {
			if len(name) != 1 {
				continue
			}
			if info, err := os.Lstat(filepath.Join(path, name)); err == nil && info.IsDir() {
				letters = append(letters, name)
			}
		}
		return nil
	})
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return letters
}

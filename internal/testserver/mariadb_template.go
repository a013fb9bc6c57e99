package testserver

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
)

const mariaDBLogSize = "--innodb-log-file-size=32M"

// copyTemplate makes the data directory data from a template that all runs of
// this user and this server share: mariadb-install-db takes seconds, a copy
// does not. Several processes may make the template at once; one of them wins.
func copyTemplate(server, install, data string) error {
	info, err := os.Stat(server)
	if err != nil {
		return fmt.Errorf("testserver: %w", err)
	}
	template := filepath.Join(os.TempDir(), fmt.Sprintf("chisession.mariadb.%d.%d.%x", os.Getuid(), info.Size(), info.ModTime().Unix()))
	if _, err := os.Stat(template); errors.Is(err, fs.ErrNotExist) {
		if err := makeTemplate(install, template); err != nil {
			return err
		}
	}
	if err := os.CopyFS(data, os.DirFS(template)); err != nil {
		return fmt.Errorf("testserver: copy MariaDB's data directory: %w", err)
	}
	return nil
}

func makeTemplate(install, template string) error {
	dir, err := tempDirIn(os.TempDir(), "mariadb-template") // beside the template
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	data := filepath.Join(dir, "data")
	args := append([]string{"--no-defaults", "--datadir=" + data,
		"--auth-root-authentication-method=normal", "--skip-test-db", "--skip-name-resolve", mariaDBLogSize}, asRoot()...)
	out, err := exec.Command(install, args...).CombinedOutput()
	if err != nil {
		return fmt.Errorf("testserver: %s: %w; it said:\n%s", filepath.Base(install), err, out)
	}
	if err := os.Rename(data, template); err != nil && !errors.Is(err, fs.ErrExist) {
		return fmt.Errorf("testserver: keep MariaDB's data directory: %w", err)
	}
	return nil
}

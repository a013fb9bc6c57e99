package testserver

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
)

// copyPostgres makes the data directory data from a template that all runs of
// this user and this server share, as copyTemplate does for MariaDB: initdb
// takes seconds.
func copyPostgres(bin, data string, as account) error {
	info, err := os.Stat(filepath.Join(bin, "postgres"))
	if err != nil {
		return fmt.Errorf("testserver: %w", err)
	}
	template := filepath.Join(os.TempDir(), fmt.Sprintf("chisession.postgres.%d.%d.%x", os.Getuid(), info.Size(), info.ModTime().Unix()))
	if _, err := os.Stat(template); errors.Is(err, fs.ErrNotExist) {
		if err := makePostgresTemplate(bin, template, as); err != nil {
			return err
		}
	}
	err = os.CopyFS(data, os.DirFS(template))
	if err == nil {
		err = os.Chmod(data, 0o700) // or the server refuses it
	}
	if err == nil {
		err = as.own(data)
	}
	if err != nil {
		return fmt.Errorf("testserver: copy PostgreSQL's data directory: %w", err)
	}
	return nil
}

func makePostgresTemplate(bin, template string, as account) error {
	dir, err := tempDirIn(os.TempDir(), "postgres-template") // beside the template
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	if err := as.own(dir); err != nil {
		return err
	}
	data := filepath.Join(dir, "data")
	cmd := exec.Command(filepath.Join(bin, "initdb"), "-D", data, "-U", "postgres", "-E", "UTF8", "--locale=C", "-N", "-A", "trust")
	cmd.Dir = dir
	as.apply(cmd)
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("testserver: initdb: %w; it said:\n%s", err, out)
	}
	// One that is there already is as good: Rename says ErrExist, or that the
	// directory is not empty.
	if err := os.Rename(data, template); err != nil {
		if _, missing := os.Stat(filepath.Join(template, "PG_VERSION")); missing != nil {
			return fmt.Errorf("testserver: keep PostgreSQL's data directory: %w", err)
		}
	}
	return nil
}

package main

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/uuid"

	"github.com/chisession/session/cmd/sessionctl/internal/doctor"
)

// TestNothingIsMade: no command makes a directory, whatever it is told.
func TestNothingIsMade(t *testing.T) {
	fresh, foreign := t.TempDir(), t.TempDir()
	if err := errors.Join(os.Chmod(fresh, 0o700), os.Chmod(foreign, 0o700),
		os.Mkdir(filepath.Join(foreign, "00"), 0o755), os.WriteFile(filepath.Join(foreign, "photo"), nil, 0o600)); err != nil {
		t.Fatal(err)
	}
	for _, dir := range []string{fresh, foreign, filepath.Join(t.TempDir(), "missing")} {
		before := tree(t, dir)
		for _, args := range [][]string{
			{"stats"}, {"ls"}, {"ls", "--user", "ada"}, {"show", uuid.Must(uuid.NewV7()).String()}, {"revoke", uuid.Must(uuid.NewV7()).String()},
			{"revoke-user", "ada"}, {"gc"}, {"export"}, {"import"}, {"doctor"}, {"migrate"}, {"migrate", "--apply"},
		} {
			r := ctl(t, append(args, "--provider", "file", "--save-path", dir)...)
			if refuses := args[0] != "doctor" && args[0] != "migrate"; refuses && (r.code != exitFail || !strings.Contains(r.stderr, "start the application first")) {
				t.Errorf("%v: code %d, %q; want 1, and the cure", args, r.code, r.stderr)
			}
			if after := tree(t, dir); !slices.Equal(before, after) {
				t.Fatalf("%v left %d names in %s, where %d were:\n%.200q", args, len(after), dir, len(before), after)
			}
		}
	}
	report, _ := examine(t, plainApp(), "--provider", "file", "--save-path", fresh)
	report.expect(t, "opening", doctor.Warn, "no sessions are kept there")
}

// TestNoFileIsMade: nor a database, and in one that is there no table.
func TestNoFileIsMade(t *testing.T) {
	dir := t.TempDir()
	file := filepath.Join(dir, "app.db")
	newSite(t, "sqlite", file+"?table=other", "")
	for _, path := range []string{filepath.Join(dir, "missing.db"), file} {
		for _, args := range [][]string{
			{"stats"}, {"ls", "--user", "ada"}, {"revoke", uuid.Must(uuid.NewV7()).String()}, {"revoke-user", "ada"}, {"gc"}, {"doctor"}, {"migrate"},
		} {
			before := tree(t, dir)
			r := ctl(t, append(args, "--provider", "sqlite", "--save-path", path)...)
			if r.code != exitFail && args[0] != "migrate" {
				t.Errorf("%v of %s: code %d, want 1\n%s%s", args, path, r.code, r.stdout, r.stderr)
			}
			if after := tree(t, dir); !slices.Equal(before, after) {
				t.Fatalf("%v left %q, where %q was", args, after, before)
			}
		}
	}
	report, _ := examine(t, plainApp(), "--provider", "sqlite", "--save-path", file)
	report.expect(t, "table", doctor.Fail, "there is no table sessions")
}

// tree returns what is at and below dir, with its modes.
func tree(t *testing.T, dir string) (all []string) {
	t.Helper()
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		info, err := d.Info()
		if err == nil {
			all = append(all, path+" "+info.Mode().String())
		}
		return err
	})
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		t.Fatal(err)
	}
	return all
}

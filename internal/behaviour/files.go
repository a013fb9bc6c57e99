package behaviour

import (
	"bytes"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

// filesCases are about what else lies where the file store keeps its
// sessions.
var filesCases = []behaviour{
	once("a foreign file survives", foreignFiles),
	once("a link leads nowhere", links),
}

// files returns the regular files below dir whose content is not a lock's.
func files(t *testing.T, dir string) (found []string) {
	t.Helper()
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err == nil && d.Type().IsRegular() {
			found = append(found, path)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return found
}

// foreignFiles: what the store did not make stays, whatever it is called.
func foreignFiles(t *testing.T) {
	a, dir := fileStage(t)
	b := a.browser(t)
	before := files(t, dir)
	b.get("/start").want200(t)
	id := b.id()
	var own string
	for _, path := range files(t, dir) {
		if !slices.Contains(before, path) {
			own = path
		}
	}
	if own == "" {
		t.Fatal("the session has no file")
	}
	shard := filepath.Dir(own)
	foreign := map[string]string{}
	for i, name := range []string{
		filepath.Join(dir, "README"), filepath.Join(shard, "notes.txt"), filepath.Join(shard, ".hidden"), filepath.Join(shard, "x.tmp"),
		filepath.Join(dir, filepath.Base(own)), filepath.Join(shard, "01890a5d-ac96-774b-bcce-b302099a8057"),
		filepath.Join(shard, filepath.Base(own)+".bak"), filepath.Join(shard, "empty"),
	} {
		foreign[name] = strings.Repeat("not a session\n", i)
		if err := os.WriteFile(name, []byte(foreign[name]), 0o600); err != nil {
			t.Fatal(err)
		}
		old := time.Now().Add(-1000 * time.Hour)
		if err := os.Chtimes(name, old, old); err != nil {
			t.Fatal(err)
		}
	}
	b.get("/idle").want200(t)
	a.gone(t, id)
	for range 3 {
		if _, err := a.Sweep(t.Context()); err != nil {
			t.Errorf("Sweep: %v", err)
		}
	}
	if _, err := os.Stat(own); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("the expired session's file: %v, want it gone", err)
	}
	for name, text := range foreign {
		if got, err := os.ReadFile(name); err != nil || string(got) != text {
			t.Errorf("foreign file %s: %v", name, err)
		}
	}
}

// links: a link in the place of a session's file or directory is not
// followed, for reading, writing or removing.
func links(t *testing.T) {
	a, dir := fileStage(t)
	b := a.browser(t)
	b.get("/start").want200(t)
	id := b.id()
	var own string
	for _, path := range files(t, dir) {
		if strings.Contains(strings.ReplaceAll(path, "-", ""), strings.ReplaceAll(id, "-", "")[8:]) {
			own = path
		}
	}
	if own == "" {
		t.Fatalf("no file of %s in %q", id, files(t, dir))
	}
	outside := filepath.Join(memoryDir(t), "outside")
	if err := os.Rename(own, outside); err != nil {
		t.Fatal(err)
	}
	kept, err := os.ReadFile(outside)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(outside, own); err != nil {
		t.Fatal(err)
	}
	for _, path := range []string{"/show", "/set", "/update", "/logout"} {
		visitor := b.twin()
		got := visitor.get(path)
		if strings.Contains(got.body, "tea") {
			t.Errorf("%s: a link was followed: %q", path, got.body)
		}
	}
	if err := a.Revoke(t.Context(), id); err != nil {
		t.Logf("Revoke of a link: %v", err)
	}
	if _, err := a.Sweep(t.Context()); err != nil {
		t.Errorf("Sweep: %v", err)
	}
	if text, err := os.ReadFile(outside); err != nil || !bytes.Equal(text, kept) {
		t.Errorf("the file outside has changed (%v)", err)
	}
}

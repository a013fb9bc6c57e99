//go:build unix

package faults

import (
	"bytes"
	"crypto/rand"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/google/uuid"
)

const freshSession = "a fresh session, and 200: no 5xx, no panic, no value of anybody; no cookie until something is set, then another ID; the rest of the sessions is untouched"

// A damage is done to the record of a session by somebody who can write to the
// store.
type damage struct {
	row row
	by  map[string]func(t *testing.T, savePath string, id, other uuid.UUID) // by backend
}

func TestDamage(t *testing.T) {
	damages := []damage{
		{row{name: "cut in half"}, each(func(b []byte) []byte { return b[:len(b)/2] })},
		{row{name: "cut by one byte"}, each(func(b []byte) []byte { return b[:len(b)-1] })},
		{row{name: "emptied"}, each(func([]byte) []byte { return nil })},
		{row{name: "random bytes"}, each(func(b []byte) []byte {
			b = bytes.Clone(b)
			rand.Read(b)
			return b
		})},
		{row{name: "every byte inverted"}, each(func(b []byte) []byte {
			b = bytes.Clone(b)
			for i := range b {
				b[i] ^= 0xff
			}
			return b
		})},
		{row{name: "one bit of the last 100 bytes flipped"}, each(func(b []byte) []byte {
			b = bytes.Clone(b)
			b[len(b)-50] ^= 1
			return b
		})},
		{row{name: "another session's record in its place"}, map[string]func(*testing.T, string, uuid.UUID, uuid.UUID){
			"file":  func(t *testing.T, at string, id, other uuid.UUID) { write(t, file, at, id, read(t, file, at, other)) },
			"mysql": func(t *testing.T, at string, id, other uuid.UUID) { write(t, mysql, at, id, read(t, mysql, at, other)) },
			"redis": func(t *testing.T, at string, id, other uuid.UUID) { write(t, redis, at, id, read(t, redis, at, other)) },
		}},
		{row{name: "deleted, as by an eviction"}, map[string]func(*testing.T, string, uuid.UUID, uuid.UUID){
			"file": func(t *testing.T, at string, id, _ uuid.UUID) { must(t, "remove", os.Remove(pathOf(t, at, id))) },
			"mysql": func(t *testing.T, at string, id, _ uuid.UUID) {
				must(t, "delete", mariaDB.get(t).Exec("DELETE FROM "+tableOf(at)+" WHERE id = ?", id[:]))
			},
			"redis": func(t *testing.T, at string, id, _ uuid.UUID) { command(t, "DEL", keyOf(at, id)) },
		}},
		{row{name: "of the wrong type (a list, a hash)"}, map[string]func(*testing.T, string, uuid.UUID, uuid.UUID){
			"redis": func(t *testing.T, at string, id, _ uuid.UUID) {
				command(t, "DEL", keyOf(at, id))
				command(t, "RPUSH", keyOf(at, id), "x")
			},
		}},
		{row{name: "a FIFO in its place"}, inPlace(func(path, _ string) error { return syscall.Mkfifo(path, 0o600) })},
		{row{name: "a folder in its place"}, inPlace(func(path, _ string) error { return os.Mkdir(path, 0o700) })},
		{row{name: "a link to another session's record in its place"}, inPlace(func(path, other string) error { return os.Symlink(other, path) })},
		{row{name: "a link to /dev/zero in its place"}, inPlace(func(path, _ string) error { return os.Symlink("/dev/zero", path) })},
	}
	for i, d := range damages {
		if !full && i%3 != 0 {
			continue
		}
		d.row.section, d.row.want = damaged, freshSession
		t.Run(d.row.name, func(t *testing.T) {
			var kinds []kind
			for _, k := range cheap(lasting) {
				if d.by[k.name] != nil {
					kinds = append(kinds, k)
				}
			}
			on(t, d.row, kinds, d.run)
		})
	}
}

func (d damage) run(t *testing.T, k kind, note noter) {
	savePath := k.fresh(t)
	c := start(t, options{Provider: k.name, SavePath: savePath})
	// The other has not logged in: a token that its login has just replaced
	// would be another case.
	victim, other := login(t, c), &browser{t: t}
	other.token = c.ok("", "/set?value="+other.value(0)).token
	ids := [2]uuid.UUID{}
	for i, b := range []*browser{victim, other} {
		var err error
		ids[i], err = uuid.Parse(c.ok(b.token, "/get").ID)
		must(t, "parse an ID", err)
	}
	d.by[k.name](t, savePath, ids[0], ids[1])
	before := c.measures().Stats
	for range 3 {
		a := c.ok(victim.token, "/get")
		if !a.New || a.User != "" || a.Keys != 0 || a.token != "" || a.removed || a.ID == ids[0].String() {
			t.Errorf("reading it: %+v, a cookie: %v", a.state, a.token != "")
		}
	}
	after := c.measures().Stats
	noticed := after.Unreadable + after.Rejected - before.Unreadable - before.Rejected
	if noticed < 3 {
		t.Errorf("three damaged records were counted %d times", noticed)
	}
	if after.Unreadable > before.Unreadable && c.logged(`"level":"WARN"`, "unreadable record", ids[0].String()) == 0 {
		t.Errorf("no log line:\n%s", c.log.String())
	}
	a := c.ok(victim.token, "/set?value="+mark)
	if a.token == "" || a.ID == ids[0].String() {
		t.Errorf("writing then: ID %s, a cookie: %v; want another session", a.ID, a.token != "")
	} else if again := c.ok(a.token, "/get"); again.Value != mark || again.ID != a.ID {
		t.Errorf("it does not heal: %+v", again.state)
	}
	c.ok(victim.token, "/increment")
	c.ok(victim.token, "/login?user="+victim.user)
	c.ok(victim.token, "/logout")
	other.there(c)
	login(t, c)
	c.end()
	if after.Unreadable > before.Unreadable {
		note("counted and logged as unreadable")
	} else {
		note("counted as no session's token")
	}
}

// each changes the stored bytes of a record, on every backend.
func each(change func([]byte) []byte) map[string]func(*testing.T, string, uuid.UUID, uuid.UUID) {
	all := map[string]func(*testing.T, string, uuid.UUID, uuid.UUID){}
	for _, k := range lasting {
		all[k.name] = func(t *testing.T, at string, id, _ uuid.UUID) { write(t, k, at, id, change(read(t, k, at, id))) }
	}
	return all
}

// inPlace puts something else in the place of a record's file.
func inPlace(put func(path, other string) error) map[string]func(*testing.T, string, uuid.UUID, uuid.UUID) {
	return map[string]func(*testing.T, string, uuid.UUID, uuid.UUID){
		"file": func(t *testing.T, at string, id, other uuid.UUID) {
			path := pathOf(t, at, id)
			must(t, "remove the record", os.Remove(path))
			must(t, "put something in its place", put(path, pathOf(t, at, other)))
		},
	}
}

// read returns the stored bytes of a record: all of it, but in MySQL, where
// the rest are columns.
func read(t testing.TB, k kind, at string, id uuid.UUID) (b []byte) {
	t.Helper()
	var err error
	switch k.name {
	case "file":
		b, err = os.ReadFile(pathOf(t, at, id))
	case "mysql":
		err = mariaDB.get(t).Admin().QueryRow("SELECT data FROM "+tableOf(at)+" WHERE id = ?", id[:]).Scan(&b)
	case "redis":
		var reply any
		reply, err = redisServer.get(t).Do("GET", keyOf(at, id))
		b, _ = reply.([]byte)
	}
	if err != nil || len(b) == 0 {
		t.Fatalf("read the record: %d bytes, %v", len(b), err)
	}
	return b
}

func write(t testing.TB, k kind, at string, id uuid.UUID, b []byte) {
	t.Helper()
	switch k.name {
	case "file":
		must(t, "write the record", os.WriteFile(pathOf(t, at, id), b, 0o600))
	case "mysql":
		if b == nil {
			b = []byte{}
		}
		must(t, "write the record", mariaDB.get(t).Exec("UPDATE "+tableOf(at)+" SET data = ? WHERE id = ?", b, id[:]))
	case "redis":
		command(t, "SET", keyOf(at, id), b, "KEEPTTL")
	}
}

func keyOf(savePath string, id uuid.UUID) string {
	_, prefix, _ := strings.Cut(savePath, "?prefix=")
	return prefix + id.String()
}

// pathOf returns the file of a record.
func pathOf(t testing.TB, dir string, id uuid.UUID) string {
	t.Helper()
	path := filepath.Join(dir, fmt.Sprintf("%02x", id[15]), id.String())
	_, err := os.Lstat(path)
	must(t, "find a record", err)
	return path
}

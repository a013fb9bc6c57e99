package main

import (
	"bytes"
	"encoding/json"
	"io"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

// TestJSON: with --json every command prints one JSON object, with these keys,
// and every error is one, too; neither holds a token or a value.
func TestJSON(t *testing.T) {
	s := newSite(t, "file", filepath.Join(t.TempDir(), "sessions"), "")
	id, token := login(t, s.store, "ada")
	_, other := login(t, s.store, "ada")
	export := filepath.Join(t.TempDir(), "export")
	var seen []string
	for _, c := range []struct {
		args []string
		code int
		keys string
	}{
		{[]string{"ls", "--user", "ada"}, exitOK, "sessions"},
		{[]string{"ls", "--user", "nobody"}, exitOK, "sessions"},
		{[]string{"ls"}, exitOK, "sessions"},
		{[]string{"show", id}, exitOK, "bytes created_at expires_at id label last_seen readable sealed user version"},
		{[]string{"export", "--file", export}, exitOK, "damaged exported"},
		{[]string{"import", "--file", export}, exitOK, "created ended expired kept refused replaced unchanged"},
		{[]string{"import", "--file", export + "?"}, exitFail, "error"},
		{[]string{"stats"}, exitOK, "facts live place"},
		{[]string{"revoke", id}, exitOK, "id revoked"},
		{[]string{"revoke", id}, exitOK, "id revoked"}, // there is none any more
		{[]string{"revoke-user", "ada"}, exitOK, "revoked user"},
		{[]string{"gc"}, exitOK, "removed"},
		{[]string{"doctor"}, exitOK, "findings healthy place"},
		{[]string{"migrate"}, exitOK, "applied provider statements"},
		{[]string{"migrate", "--apply"}, exitOK, "applied provider statements"},
		{[]string{"revoke", token}, exitUsage, "error"},
		{[]string{"show", id}, exitFail, "error"},
		{[]string{"ls", "--limit", "0"}, exitUsage, "error"},
		{[]string{"stats", "--provider", "memory"}, exitFail, "error"},
	} {
		seen = append(seen, c.args[0])
		args := s.args(append(c.args, "--json")...)
		if slices.Contains(c.args, "--provider") {
			args = append(c.args, "--json")
		}
		r := ctl(t, args...)
		r.lacks(t, token, other)
		text := r.stdout
		if c.code != exitOK {
			text = r.stderr
		}
		var got map[string]json.RawMessage
		in := json.NewDecoder(strings.NewReader(text))
		if err := in.Decode(&got); err != nil || r.code != c.code {
			t.Errorf("%v --json: code %d, want %d; %v in\n%s%s", c.args, r.code, c.code, err, r.stdout, r.stderr)
			continue
		}
		if err := in.Decode(&got); err != io.EOF {
			t.Errorf("%v --json: more than one object:\n%s", c.args, text)
		}
		keys := make([]string, 0, len(got))
		for key, value := range got {
			keys = append(keys, key)
			if bytes.Equal(value, []byte("null")) && key != "live" {
				t.Errorf("%v --json: %s is null", c.args, key)
			}
		}
		slices.Sort(keys)
		if got := strings.Join(keys, " "); got != c.keys {
			t.Errorf("%v --json: the keys are %q, want %q", c.args, got, c.keys)
		}
		if r.stdout != "" && r.stderr != "" {
			t.Errorf("%v --json: %q besides, on stderr", c.args, r.stderr)
		}
	}
	a := &app{now: time.Now}
	for _, command := range a.command().Commands() {
		if name := command.Name(); !slices.Contains(seen, name) {
			t.Errorf("%s --json is not tested", name)
		}
	}
}

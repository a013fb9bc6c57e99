package main

import (
	"bytes"
	"io"
	"path/filepath"
	"testing"
	"time"
)

// TestColour: doctor's words have colours on a terminal, unless the environment
// forbids it, and nowhere else.
func TestColour(t *testing.T) {
	s := newSite(t, "file", filepath.Join(t.TempDir(), "s"), "")
	for _, c := range []struct {
		noColor, term string
		want          bool
	}{
		{"", "xterm-256color", true}, {"1", "xterm-256color", false}, {"", "dumb", false},
	} {
		t.Setenv("NO_COLOR", c.noColor)
		t.Setenv("TERM", c.term)
		master, slave := terminal(t)
		shown := make(chan []byte)
		go func() {
			all, _ := io.ReadAll(master) // it ends with an error (EIO) when the other side is closed
			shown <- all
		}()
		a := &app{stdout: slave, stderr: io.Discard, now: time.Now}
		code := a.run(t.Context(), s.args("doctor"))
		if err := slave.Close(); err != nil {
			t.Fatal(err)
		}
		text := <-shown
		if got := bytes.Contains(text, []byte("\x1b[32mok  \x1b[")); code != exitOK || got != c.want || bytes.Contains(text, []byte("\x1b")) != c.want {
			t.Errorf("NO_COLOR=%s TERM=%s: code %d, colours %t, want %t:\n%q", c.noColor, c.term, code, got, c.want, text)
		}
	}
	t.Setenv("NO_COLOR", "")
	ctl(t, s.args("doctor")...).lacks(t)
}

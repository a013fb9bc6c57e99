package session

import (
	"bytes"
	"log/slog"
	"strings"
	"testing"

	"github.com/chisession/session/backend"
	"github.com/chisession/session/backend/memory"
)

// promising is a store that says what a crash does to it.
type promising struct {
	backend.Store
	text string
}

func (p promising) Durability() string { return p.text }

func TestDurabilityIsLoggedAtStart(t *testing.T) {
	store, err := memory.New(memory.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer store.Close()
	for _, c := range []struct {
		store backend.Store
		want  string
	}{
		{store, ""},
		{promising{store, ""}, ""},
		{promising{store, "a failover undoes logouts"}, `durability="a failover undoes logouts"`},
	} {
		var log bytes.Buffer
		m, err := New(Config{Store: c.store, SweepEvery: -1, Logger: slog.New(slog.NewTextHandler(&log, nil))})
		if err != nil {
			t.Fatal(err)
		}
		if err := m.Close(); err != nil {
			t.Error(err)
		}
		if !strings.Contains(log.String(), c.want) || c.want == "" && log.Len() > 0 {
			t.Errorf("New logs %q, want %q", log.String(), c.want)
		}
	}
}

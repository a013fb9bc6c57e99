package main

import (
	"bytes"
	"context"
	"errors"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/chisession/session/backend"
	"github.com/chisession/session/cmd/sessionctl/internal/place"
)

func TestGC(t *testing.T) {
	eachSite(t, func(t *testing.T, s site) {
		const expired = 1203 // more than two batches
		for range expired {
			id := uuid.Must(uuid.NewV7())
			rec := backend.Record{ID: id, Expires: time.Now().Add(time.Hour), Data: []byte("x")}
			if err := s.store.Create(t.Context(), rec); err != nil {
				t.Fatal(err)
			}
			rec.Version, rec.Shorten, rec.Expires = 1, true, time.Now().Add(-time.Minute)
			if err := s.store.Update(t.Context(), rec); err != nil {
				t.Fatal(err)
			}
		}
		login(t, s.store, "ada")
		r := ctl(t, s.args("gc", "--json")...)
		want := `{
  "removed": 1203
}
`
		if s.provider == "redis" {
			want = strings.Replace(want, "1203", "0", 1)
		}
		if r.code != exitOK || r.stdout != want || r.stderr != "" {
			t.Errorf("gc --json: code %d, %q, %q, want %q and no bar", r.code, r.stdout, r.stderr, want)
		}
		if text := must(t, s.args("ls", "--user", "ada")...); text == "no sessions\n" {
			t.Error("gc removed a live session")
		}
	})
}

// interrupted is a store that is full of expired records, and whose second
// Sweep is cut short by the operator.
type interrupted struct {
	backend.Store
	sweeps int
	stop   context.CancelFunc
}

func (s *interrupted) Sweep(ctx context.Context, limit int) (int, error) {
	if s.sweeps++; s.sweeps == 1 {
		return limit, nil
	}
	s.stop()
	return 7, ctx.Err()
}

// TestGCInterrupted: it says how many it has removed, and that it was not all.
func TestGCInterrupted(t *testing.T) {
	for _, c := range []struct {
		json bool
		want string
	}{
		{false, `^removed 507 expired sessions in \S+, and not all\n$`},
		{true, `^\{\n  "removed": 507\n\}\n$`},
	} {
		ctx, stop := context.WithCancel(t.Context())
		var stdout, stderr bytes.Buffer
		a := &app{stdout: &stdout, stderr: &stderr, json: c.json, now: time.Now}
		err := a.runGC(ctx, &service{place: &place.Place{}, store: &interrupted{stop: stop}})
		if !errors.Is(err, context.Canceled) {
			t.Errorf("gc, interrupted: %v, want context.Canceled", err)
		}
		if got := stdout.String(); !regexp.MustCompile(c.want).MatchString(got) {
			t.Errorf("gc, interrupted, with json %t: %q, want %s", c.json, got, c.want)
		}
	}
}

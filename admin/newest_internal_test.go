package admin

import (
	"net/http/httptest"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/chisession/session"
	"github.com/chisession/session/backend"
	"github.com/chisession/session/cookie"
)

// TestNewestOf: what a record's head says of the end of a session goes before
// what the store says, and a record that cannot be read is listed.
func TestNewestOf(t *testing.T) {
	now := time.Now()
	damaged := backend.Record{ID: uuid.Must(uuid.NewV7()), User: "ada", Expires: now.Add(time.Hour)}
	if one, live := newestOf(damaged, now); !live || one.Label != "(cannot be read)" || one.User != "ada" || !one.ExpiresAt.Equal(damaged.Expires) {
		t.Errorf("a record without a head: %+v, live: %t", one, live)
	}

	rec := shortened(t, 10*time.Minute)
	rec.Expires = now.Add(time.Hour) // a Touch by a request that knew the longer timeout
	one, live := newestOf(rec, now)
	if left := one.ExpiresAt.Sub(now); !live || one.Label != "phone" || left > 11*time.Minute || left < 9*time.Minute {
		t.Errorf("with ten minutes left: %+v, live: %t", one, live)
	}
	if _, live := newestOf(rec, now.Add(11*time.Minute)); live {
		t.Error("after eleven minutes it is live")
	}
	rec.Expires = now.Add(time.Minute)
	if one, _ := newestOf(rec, now); !one.ExpiresAt.Equal(rec.Expires.Truncate(time.Millisecond)) {
		t.Errorf("it expires at %v, want what the store says, which is earlier: %v", one.ExpiresAt, rec.Expires)
	}
}

// shortened returns the record of a session whose idle timeout was made
// shorter after it was stored.
func shortened(t *testing.T, idle time.Duration) backend.Record {
	t.Helper()
	store := inMemory(t)
	m, err := session.New(session.Config{Store: store, Cookie: cookie.Options{Insecure: true}})
	if err != nil {
		t.Fatal(err)
	}
	defer m.Close()
	s, err := m.Start(httptest.NewRecorder(), httptest.NewRequest("GET", "/", nil))
	if err != nil {
		t.Fatal(err)
	}
	s.SetLabel("phone")
	s.Set("cart", "tea")
	if err := s.Save(); err != nil {
		t.Fatal(err)
	}
	s.SetIdleTimeout(idle)
	if err := s.Release(); err != nil {
		t.Fatal(err)
	}
	recs, err := store.List(t.Context(), "", 1)
	if err != nil || len(recs) != 1 {
		t.Fatalf("List: %d records, %v", len(recs), err)
	}
	return recs[0]
}

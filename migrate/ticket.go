package migrate

import (
	"context"
	"crypto/sha256"
	"errors"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/chisession/session"
)

// grace is how long after an adoption requests with the old cookie, sent
// before the browser had the new one, still get the new session, in the
// process that adopted it. It is as long as the manager's own patience with a
// token that was renewed.
const grace = 10 * time.Second

// A ticket lets requests into an adopted session.
type ticket struct {
	cookie string   // name=value
	name   string   // of the cookie
	lines  []string // of Set-Cookie
}

func newTicket(header http.Header) (ticket, error) {
	cookies := (&http.Response{Header: header}).Cookies()
	if len(cookies) != 1 {
		return ticket{}, errors.New("migrate: the adopted session has no cookie; give the manager the cookie transport")
	}
	return ticket{cookies[0].Name + "=" + cookies[0].Value, cookies[0].Name, header["Set-Cookie"]}, nil
}

// addTo puts the cookie into the header of an answer that does not set it
// otherwise, and keeps caches from storing that.
func (t ticket) addTo(h http.Header) {
	if len(t.lines) == 0 || slices.ContainsFunc(h["Set-Cookie"], t.sets) {
		return
	}
	h["Set-Cookie"] = append(h["Set-Cookie"], t.lines...)
	h.Set("Cache-Control", "no-store")
}

// sets reports whether a Set-Cookie line is of the same cookie.
func (t ticket) sets(line string) bool {
	name, _, _ := strings.Cut(line, "=")
	return strings.TrimSpace(name) == t.name
}

// on returns r as it would be if the browser had the new cookie already: it
// comes first, so it counts.
func (t ticket) on(r *http.Request, current *session.Session) *http.Request {
	r = r.WithContext(without{r.Context(), current})
	r.Header = r.Header.Clone()
	r.Header["Cookie"] = append([]string{t.cookie}, r.Header["Cookie"]...)
	return r
}

// flights are the adoptions that are under way or have just been made.
type flights struct {
	mu   sync.Mutex // guards the two below
	byID map[[sha256.Size]byte]*flight
	made []landing // in the order in which they end
}

type flight struct {
	done   chan struct{} // closed when the two below are set
	ticket ticket
	err    error
}

type landing struct {
	key   [sha256.Size]byte
	until time.Time
}

var errAbandoned = errors.New("migrate: the adoption by another request of this browser panicked")

// do returns what adopt returned for id: called now, by another request that
// is in it, or by one that succeeded a moment ago.
func (f *flights) do(ctx context.Context, id string, adopt func() (ticket, error)) (ticket, error) {
	key := sha256.Sum256([]byte(id))
	one, first := f.join(key)
	if first {
		one.err = errAbandoned
		defer f.land(key, one)
		one.ticket, one.err = adopt()
		return one.ticket, one.err
	}
	select {
	case <-one.done:
		return one.ticket, one.err
	case <-ctx.Done():
		return ticket{}, ctx.Err()
	}
}

func (f *flights) join(key [sha256.Size]byte) (one *flight, first bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for now := time.Now(); len(f.made) > 0 && !now.Before(f.made[0].until); f.made = f.made[1:] {
		delete(f.byID, f.made[0].key)
	}
	if one, ok := f.byID[key]; ok {
		return one, false
	}
	if f.byID == nil {
		f.byID = map[[sha256.Size]byte]*flight{}
	}
	one = &flight{done: make(chan struct{})}
	f.byID[key] = one
	return one, true
}

// land tells those who wait. Only a success is remembered.
func (f *flights) land(key [sha256.Size]byte, one *flight) {
	f.mu.Lock()
	if one.err == nil {
		f.made = append(f.made, landing{key, time.Now().Add(grace)})
	} else {
		delete(f.byID, key)
	}
	f.mu.Unlock()
	close(one.done)
}

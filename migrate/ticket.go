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

// grace is how long after the browser was sent its new cookie requests with
// the old one, sent before, still get the new session. It is as long as the
// manager's own patience with a token that was renewed.
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

// addTo puts the cookie into the header of a response that does not set it
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

// flights are the adoptions that are under way in this process: requests of
// one browser wait for the first instead of asking the stores, too.
type flights struct {
	mu   sync.Mutex // guards byID, and nothing runs under it
	byID map[[sha256.Size]byte]*flight
}

type flight struct {
	done   chan struct{} // closed when the two below are set
	landed landed
	err    error
}

var (
	errAbandoned = errors.New("migrate: the adoption by another request of this browser panicked")
	errSlow      = errors.New("migrate: the adoption by another request of this browser takes too long")
)

// do returns what adopt returned for id: called now, or by another request that
// is in it, for which it waits as long as patience and ctx allow.
func (f *flights) do(ctx context.Context, patience time.Duration, id string, adopt func() (landed, error)) (landed, error) {
	key := sha256.Sum256([]byte(id))
	timer := time.NewTimer(patience)
	defer timer.Stop()
	for {
		one, first := f.join(key)
		if first {
			one.err = errAbandoned
			defer f.land(key, one)
			one.landed, one.err = adopt()
			return one.landed, one.err
		}
		select {
		case <-one.done:
			if errors.Is(one.err, errGone) {
				continue // its client has gone, not this one
			}
			got := one.landed
			got.won = false // the other does what that asks for
			return got, one.err
		case <-timer.C:
			return landed{}, errSlow
		case <-ctx.Done():
			return landed{}, errGone
		}
	}
}

func (f *flights) join(key [sha256.Size]byte) (one *flight, first bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
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

// land tells those who wait.
func (f *flights) land(key [sha256.Size]byte, one *flight) {
	f.mu.Lock()
	delete(f.byID, key)
	f.mu.Unlock()
	close(one.done)
}

package admin

import (
	"bytes"
	"context"
	"crypto/sha256"
	_ "embed"
	"encoding/base64"
	"errors"
	"fmt"
	"html/template"
	"log/slog"
	"net/http"
	"strconv"
	"time"

	"github.com/chisession/session"
)

var (
	//go:embed page.html
	pageText string

	//go:embed style.css
	style string

	//go:embed script.js
	script string

	// policy lets the page have its own style and script, by their hashes, and
	// nothing else: no image, nobody's frame.
	policy = "default-src 'none'; style-src 'sha256-" + digest(style) + "'; script-src 'sha256-" + digest(script) + "'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"

	page = template.Must(template.New("page").Funcs(template.FuncMap{"short": short}).Parse(pageText))
)

func digest(text string) string {
	sum := sha256.Sum256([]byte(text))
	return base64.StdEncoding.EncodeToString(sum[:])
}

// countTimeout bounds the counting of live sessions, which in a large table
// takes a while.
const countTimeout = 3 * time.Second

// maxListed is how many of a user's sessions the page shows. A robot that logs
// in again and again would make a page that no browser can show.
const maxListed = 200

// content is what the page shows.
type content struct {
	Style    template.CSS
	Script   template.JS
	Now      time.Time
	Tiles    []count
	Counts   []count
	Chart    *chart
	NoChart  string
	User     string
	Searched bool
	Sessions []item // the newest maxListed
	Total    int    // of the user's sessions
	Mine     string // the ID of the viewer's own session, if it is one of them
	Ended    string
	Trouble  string

	CanList  bool   // the newest, and by prefix
	Prefix   string // that is searched for
	Newest   []listed
	NoNewest string // why there are none
}

// A count is one number with its meaning.
type count struct {
	Name, Value, Note string
	Bad               bool
}

// An item is one of the sessions listed.
type item struct {
	session.Info
	Mine bool
}

func (h *handler) show(w http.ResponseWriter, r *http.Request) {
	stats := h.m.Stats()
	c := content{
		Style: template.CSS(style), Script: template.JS(script), Now: time.Now().UTC(),
		Tiles: append([]count{h.live(r)}, tiles(stats)...), Counts: counts(stats),
		User: r.URL.Query().Get("user"), CanList: h.lister != nil,
	}
	c.chart(h.opts.Meter)
	if n, err := strconv.Atoi(r.URL.Query().Get("ended")); err == nil && n >= 0 {
		c.Ended = fmt.Sprintf("%d ended.", n)
	}
	switch {
	case r.URL.Query().Get("by") == "prefix":
		c.Prefix, c.User = c.User, ""
		h.listNewest(r, &c)
	case c.User != "":
		c.Searched = true
		h.list(r, &c)
	default:
		h.listNewest(r, &c)
	}
	var b bytes.Buffer
	if err := page.Execute(&b, c); err != nil {
		h.log(r, slog.LevelError, "admin: the page cannot be written", slog.Any("error", err))
		refuse(w, http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	_, _ = b.WriteTo(w) // the client has gone
}

// list finds the sessions of c.User.
func (h *handler) list(r *http.Request, c *content) {
	infos, err := h.m.Sessions(r.Context(), c.User)
	if err != nil {
		h.log(r, slog.LevelError, "admin: could not list sessions", slog.Any("error", err))
		c.Trouble = "The sessions could not be listed; the log says why."
		return
	}
	own := ""
	if s, ok := session.Lookup(r.Context()); ok {
		own = s.ID()
	}
	c.Total = len(infos)
	for i, info := range infos {
		mine := info.ID == own
		if mine {
			c.Mine = own
		}
		info.Label = h.deviceName(info.Label)
		if i < maxListed {
			c.Sessions = append(c.Sessions, item{info, mine})
		}
	}
}

// live counts the sessions, where the store can.
func (h *handler) live(r *http.Request) count {
	ctx, cancel := context.WithTimeout(r.Context(), countTimeout)
	defer cancel()
	n, err := h.m.Count(ctx)
	var failed *session.StoreError
	switch {
	case errors.As(err, &failed):
		h.log(r, slog.LevelError, "admin: could not count", slog.Any("error", err))
		return count{Name: "Live", Value: "?", Note: "the store did not answer", Bad: true}
	case err != nil:
		return count{Name: "Live", Value: "–", Note: "this store has no cheap count"}
	}
	return count{Name: "Live", Value: strconv.Itoa(n), Note: "sessions"}
}

// tiles are the counts to look at first.
func tiles(s session.Stats) []count {
	hits := "–"
	if s.Loads > 0 {
		hits = fmt.Sprintf("%.1f %%", 100*float64(s.Hits)/float64(s.Loads))
	}
	return []count{
		{Name: "Hits", Value: hits, Note: fmt.Sprintf("%d of %d loads", s.Hits, s.Loads)},
		{Name: "Logins", Value: number(s.Logins), Note: "since the process began"},
		{Name: "Conflicts", Value: number(s.Conflicts), Note: "writes merged"},
		{Name: "Dropped", Value: number(s.Dropped), Note: "after a session's end"},
		{Name: "Superseded", Value: number(s.Superseded), Note: "with a replaced token"},
		{Name: "Rejected", Value: number(s.Rejected), Note: "tokens of no session"},
		{Name: "Unavailable", Value: number(s.Unavailable), Note: "requests without their session", Bad: s.Unavailable > 0},
		{Name: "Errors", Value: number(s.Errors), Note: "store calls failed", Bad: s.Errors > 0},
	}
}

func number(n uint64) string { return strconv.FormatUint(n, 10) }

// counts are all of them, in the order of [session.Stats].
func counts(s session.Stats) []count {
	return []count{
		{Name: "Loads", Value: number(s.Loads), Note: "records asked for"},
		{Name: "Hits", Value: number(s.Hits), Note: "… and found to be live sessions"},
		{Name: "Creates", Value: number(s.Creates), Note: "new sessions stored"},
		{Name: "Updates", Value: number(s.Updates), Note: "sessions stored again"},
		{Name: "Touches", Value: number(s.Touches), Note: "expiries moved without a write"},
		{Name: "Deletes", Value: number(s.Deletes), Note: "sessions destroyed or revoked"},
		{Name: "Logins", Value: number(s.Logins), Note: "SetUser with a name"},
		{Name: "Renewals", Value: number(s.Renewals), Note: "tokens replaced, as at the login of who had a session"},
		{Name: "Conflicts", Value: number(s.Conflicts), Note: "writes merged with another request's"},
		{Name: "Dropped", Value: number(s.Dropped), Note: "requests whose changes came after their session's end"},
		{Name: "Superseded", Value: number(s.Superseded), Note: "requests that held a token replaced meanwhile"},
		{Name: "Rejected", Value: number(s.Rejected), Note: "tokens that were no session's"},
		{Name: "Tossed", Value: number(s.Tossed), Note: "requests with several tokens"},
		{Name: "Unreadable", Value: number(s.Unreadable), Note: "records and values that could not be decoded"},
		{Name: "Unavailable", Value: number(s.Unavailable), Note: "requests served without their session in an outage"},
		{Name: "Errors", Value: number(s.Errors), Note: "store calls that failed, and changes that came too late"},
		{Name: "Swept", Value: number(s.Swept), Note: "expired records removed"},
	}
}

func (c *content) chart(m *Meter) {
	if m == nil {
		c.NoChart = "Not measured: wrap the store with admin.Measure."
		return
	}
	c.Chart = newChart(m.Samples())
	c.NoChart = "No store call in the last 15 minutes."
}

// short prints a latency with three digits at most.
func short(d time.Duration) string {
	switch {
	case d < time.Millisecond:
		return fmt.Sprintf("%.3g µs", float64(d)/float64(time.Microsecond))
	case d < time.Second:
		return fmt.Sprintf("%.3g ms", float64(d)/float64(time.Millisecond))
	}
	return fmt.Sprintf("%.3g s", d.Seconds())
}

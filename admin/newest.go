package admin

import (
	"cmp"
	"context"
	"log/slog"
	"net/http"
	"time"

	"github.com/chisession/session/backend"
	"github.com/chisession/session/internal/record"
)

const (
	// maxNewest is how many of the newest sessions the page shows.
	maxNewest = 20

	// listTimeout bounds the look for them, which for a prefix that many
	// names have takes a while.
	listTimeout = 3 * time.Second
)

// What stands in place of a label.
const (
	unreadable = "(cannot be read)"
	noLabel    = "(no label)"
)

// deviceName returns what the page shows of a label.
func (h *handler) deviceName(label string) string {
	if label == "" || h.opts.DeviceName == nil {
		return label
	}
	return h.opts.DeviceName(label)
}

// A listed is a session in the list of the newest ones.
type listed struct {
	ID, User, Label    string
	Created, ExpiresAt time.Time
}

// listNewest finds the newest sessions, of users whose names begin with
// c.Prefix, where the store can.
func (h *handler) listNewest(r *http.Request, c *content) {
	switch {
	case h.opts.Meter == nil:
		c.NoNewest = "Not known: wrap the store with admin.Measure."
		return
	case h.lister == nil:
		c.NoNewest = "This store has no list of the newest sessions: find them by their user's name."
		return
	}
	ctx, cancel := context.WithTimeout(r.Context(), listTimeout)
	defer cancel()
	records, err := h.lister.List(ctx, c.Prefix, maxNewest)
	if err != nil {
		h.log(r, slog.LevelError, "admin: could not list the newest sessions", slog.Any("error", err))
		c.NoNewest = "The newest sessions could not be listed; the log says why."
		return
	}
	now := time.Now()
	for _, rec := range records {
		if one, live := newestOf(rec, now); live {
			if one.Label != unreadable && one.Label != noLabel {
				one.Label = h.deviceName(one.Label)
			}
			c.Newest = append(c.Newest, one)
		}
	}
	if len(c.Newest) == 0 {
		c.NoNewest = "There are none."
	}
}

// newestOf returns what the list shows of a record; false if its head says that
// the session is over, although the store still has it. One whose head cannot
// be read is shown all the same: somebody will want to know.
func newestOf(rec backend.Record, now time.Time) (one listed, live bool) {
	one = listed{
		ID: rec.ID.String(), User: rec.User, Label: unreadable,
		Created: record.CreatedAt(rec.ID), ExpiresAt: rec.Expires,
	}
	head, err := record.ParseHead(rec.Data)
	if err != nil {
		return one, true
	}
	if head.Ends != 0 {
		one.ExpiresAt = time.UnixMilli(min(head.Ends, rec.Expires.UnixMilli()))
	}
	one.Label = cmp.Or(string(head.Label), noLabel)
	return one, !head.Ended(now.UnixMilli())
}

package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/google/uuid"
	"github.com/spf13/cobra"

	"github.com/chisession/session"
	"github.com/chisession/session/backend"
	"github.com/chisession/session/internal/record"
)

// A detail is what show has to say of a session. The timeouts are its own, in
// seconds; 0 is the application's.
type detail struct {
	session.Info
	Version         uint64  `json:"version"`
	Bytes           int     `json:"bytes"` // of its data, as stored
	Sealed          bool    `json:"sealed"`
	Persistent      *bool   `json:"persistent,omitempty"` // absent: as the application has it
	IdleTimeout     float64 `json:"idle_timeout,omitempty"`
	AbsoluteTimeout float64 `json:"absolute_timeout,omitempty"`
	Readable        bool    `json:"readable"` // its head; else label and timeouts are not known
}

func (a *app) show() *cobra.Command {
	return &cobra.Command{
		Use:   "show ID",
		Short: "Show one session, by its public ID, without its values",
		Long: `show prints what the store has of a session: whose it is, its label, its times, its
size. It prints no value. Those that are sealed nobody can open without the cookie, and those
that are not (NoSeal) are the user's own business all the same.`,
		Args: oneArg("a session's ID, as ls shows it"),
		RunE: func(cmd *cobra.Command, args []string) error {
			id, err := parseID(args[0])
			if err != nil {
				return err
			}
			return a.with(cmd.Context(), func(s *service) error { return a.runShow(cmd.Context(), s, id) })
		},
	}
}

func (a *app) runShow(ctx context.Context, s *service, id uuid.UUID) error {
	rec, err := s.store.Load(ctx, id)
	d := s.detail(rec)
	if errors.Is(err, backend.ErrNotFound) || err == nil && !d.ExpiresAt.After(a.now()) {
		return fmt.Errorf("there is no session %v", id)
	}
	if err != nil {
		return err
	}
	if a.json {
		return a.printJSON(d)
	}
	return a.table(d.rows())
}

// detail describes a record. When it was last seen is worked out from its expiry
// and the idle timeout, as the manager does.
func (s *service) detail(rec backend.Record) detail {
	created := record.CreatedAt(rec.ID)
	d := detail{
		Info:    session.Info{ID: rec.ID.String(), User: rec.User, CreatedAt: created, LastSeen: created, ExpiresAt: rec.Expires},
		Version: rec.Version, Bytes: len(rec.Data),
	}
	head, err := record.ParseHead(rec.Data)
	if err != nil {
		return d
	}
	d.Readable, d.Sealed, d.Label = true, head.Sealed(), string(head.Label)
	d.IdleTimeout, d.AbsoluteTimeout = head.Idle.Seconds(), head.Absolute.Seconds()
	if persists := head.Flags&record.FlagPersist != 0; persists || head.Flags&record.FlagTransient != 0 {
		d.Persistent = &persists
	}
	if head.Ends != 0 {
		d.ExpiresAt = time.UnixMilli(min(head.Ends, rec.Expires.UnixMilli()))
	}
	if seen := d.ExpiresAt.Add(-cmp.Or(head.Idle, s.idle)); seen.After(created) {
		d.LastSeen = seen
	}
	return d
}

// rows are the detail for people.
func (d detail) rows() [][]string {
	rows := [][]string{
		{"ID", d.ID}, {"user", cmp.Or(plain(d.User), "nobody yet")}, {"label", plain(d.Label)},
		{"created", stamp(d.CreatedAt)}, {"last seen", stamp(d.LastSeen)}, {"expires", stamp(d.ExpiresAt)},
	}
	if d.IdleTimeout != 0 {
		rows = append(rows, []string{"idle timeout", seconds(d.IdleTimeout)})
	}
	if d.AbsoluteTimeout != 0 {
		rows = append(rows, []string{"absolute timeout", seconds(d.AbsoluteTimeout)})
	}
	if d.Persistent != nil {
		rows = append(rows, []string{"persistent", fmt.Sprint(*d.Persistent)})
	}
	values := "sealed"
	switch {
	case !d.Readable:
		values = "its head cannot be read: it is damaged, or from another version"
	case !d.Sealed:
		values = "readable in the store"
	}
	return append(rows, []string{"values", values}, []string{"bytes", fmt.Sprint(d.Bytes)}, []string{"version", fmt.Sprint(d.Version)})
}

func seconds(n float64) string { return time.Duration(n * float64(time.Second)).String() }

package main

import (
	"bytes"
	"context"
	"errors"
	"slices"

	"github.com/google/uuid"
	"github.com/spf13/cobra"

	"github.com/chisession/session"
	"github.com/chisession/session/backend"
)

// listing says which sessions ls shows.
type listing struct {
	user   string
	prefix string
	limit  int
}

func (a *app) ls() *cobra.Command {
	var which listing
	cmd := &cobra.Command{
		Use:   "ls",
		Short: "List the newest sessions, or those of a user",
		Long: `ls lists the sessions that were created last, whoever's they are; with --prefix those
of users whose names begin so; with --user all sessions of a user, the latest login first.
Where the store has no order by time (Redis), the newest are found by looking at every key.`,
		Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			switch {
			case which.user != "" && which.prefix != "":
				return usageError{errors.New("give --user or --prefix, not both")}
			case which.limit < 1:
				return usageError{errors.New("--limit takes a number above 0")}
			}
			return a.with(cmd.Context(), func(s *service) error { return a.runLs(cmd.Context(), s, which) })
		},
	}
	cmd.Flags().StringVar(&which.user, "user", "", "the name that the application gave to SetUser")
	cmd.Flags().StringVar(&which.prefix, "prefix", "", "what the users' names begin with")
	cmd.Flags().IntVar(&which.limit, "limit", 20, "how many of the newest to list; not for --user")
	return cmd
}

func (a *app) runLs(ctx context.Context, s *service, which listing) (err error) {
	var infos []session.Info
	if which.user != "" {
		infos, err = s.manager.Sessions(ctx, which.user)
	} else {
		infos, err = a.newest(ctx, s, which.prefix, which.limit)
	}
	if err != nil {
		return err
	}
	if a.json {
		return a.printJSON(struct {
			Sessions []session.Info `json:"sessions"`
		}{append([]session.Info{}, infos...)})
	}
	if len(infos) == 0 {
		return a.print(nil, "no sessions\n")
	}
	rows := [][]string{{"ID", "CREATED", "LAST SEEN", "EXPIRES", "USER", "LABEL"}}
	for _, i := range infos {
		rows = append(rows, []string{i.ID, stamp(i.CreatedAt), stamp(i.LastSeen), stamp(i.ExpiresAt), plain(i.User), plain(i.Label)})
	}
	return a.table(rows)
}

// newest returns the sessions that were created last.
func (a *app) newest(ctx context.Context, s *service, prefix string, limit int) (infos []session.Info, err error) {
	var recs []backend.Record
	switch lister := backend.AbilitiesOf(s.store).Lister; {
	case lister != nil:
		recs, err = lister.List(ctx, prefix, limit)
	case prefix != "":
		return nil, errors.New("this store cannot find users by the beginning of a name: use --user")
	default:
		recs, err = s.scanNewest(ctx, limit)
	}
	for _, rec := range recs {
		if d := s.detail(rec); d.ExpiresAt.After(a.now()) {
			infos = append(infos, d.Info)
		}
	}
	return infos, err
}

// scanNewest is for a store that has no order: it looks at all IDs, which begin
// with the time, and keeps the highest.
func (s *service) scanNewest(ctx context.Context, limit int) ([]backend.Record, error) {
	var top []uuid.UUID
	err := s.place.IDs(ctx, func(ids []uuid.UUID) error {
		top = append(top, ids...)
		slices.SortFunc(top, func(a, b uuid.UUID) int { return bytes.Compare(b[:], a[:]) })
		top = slices.Compact(top)
		top = top[:min(len(top), limit)]
		return nil
	})
	if err != nil {
		return nil, err
	}
	var recs []backend.Record
	for _, id := range top {
		rec, err := s.store.Load(ctx, id)
		if errors.Is(err, backend.ErrNotFound) {
			continue
		}
		if err != nil {
			return nil, err
		}
		recs = append(recs, rec)
	}
	return recs, nil
}

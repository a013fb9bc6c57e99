package main

import (
	"context"
	"errors"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/chisession/session/backend"
	"github.com/chisession/session/cmd/sessionctl/internal/place"
)

type statsReport struct {
	Place string       `json:"place"`
	Live  *int         `json:"live"` // null where the store cannot count
	Facts []place.Fact `json:"facts"`
}

func (a *app) stats() *cobra.Command {
	return &cobra.Command{
		Use:   "stats",
		Short: "Count the live sessions, and show what the server says of itself",
		Args:  noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return a.with(cmd.Context(), func(s *service) error { return a.runStats(cmd.Context(), s) })
		},
	}
}

func (a *app) runStats(ctx context.Context, s *service) error {
	report := statsReport{Place: s.place.Target.String(), Facts: []place.Fact{}}
	rows := [][]string{{"place", report.Place}}
	n, err := count(ctx, s.store)
	if err == nil {
		report.Live = &n
		rows = append(rows, []string{"live sessions", fmt.Sprint(n)})
	} else {
		rows = append(rows, []string{"live sessions", "not counted: " + plain(a.where.redact(err.Error()))})
	}
	facts, err := s.place.Facts(ctx)
	if err != nil {
		return errors.Join(errors.New("ask the server for its facts"), err)
	}
	report.Facts = append(report.Facts, facts...)
	if a.json {
		return a.printJSON(report)
	}
	for _, f := range facts {
		rows = append(rows, []string{f.Name, fmt.Sprint(f.Value)})
	}
	return a.table(rows)
}

// count counts the live sessions. An error need not be the end of stats: an account
// of Redis may lack the right to it.
func count(ctx context.Context, store backend.Store) (int, error) {
	counter := backend.AbilitiesOf(store).Counter
	if counter == nil {
		return 0, errors.New("this store has no count")
	}
	return counter.Count(ctx)
}

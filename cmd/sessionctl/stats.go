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
	if counter := backend.AbilitiesOf(s.store).Counter; counter != nil {
		n, err := counter.Count(ctx)
		if err != nil {
			return err
		}
		report.Live = &n
		rows = append(rows, []string{"live sessions", fmt.Sprint(n)})
	} else {
		rows = append(rows, []string{"live sessions", "not counted: this server has no cheap exact count"})
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

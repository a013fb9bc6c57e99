package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"github.com/chisession/session/backend/mysql"
	"github.com/chisession/session/cmd/sessionctl/internal/place"
)

type migration struct {
	Provider   string   `json:"provider"`
	Statements []string `json:"statements"`
	Applied    bool     `json:"applied"`
}

func (a *app) migrate() *cobra.Command {
	var apply bool
	cmd := &cobra.Command{
		Use:   "migrate",
		Short: "Print the schema that the store needs, or apply it",
		Long: `migrate prints the statements that make the table; with --apply it runs them
and checks the result. Running it again does no harm. Only mysql needs one.`,
		Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return a.runMigrate(cmd.Context(), apply) },
	}
	cmd.Flags().BoolVar(&apply, "apply", false, "run the statements")
	return cmd
}

func (a *app) runMigrate(ctx context.Context, apply bool) error {
	cfg, _, err := a.where.read()
	if err != nil {
		return err
	}
	m := migration{Provider: cfg.Provider, Statements: []string{}}
	if !place.Known(cfg.Provider) {
		return place.ErrUnknown
	}
	if cfg.Provider != mysql.Name {
		return a.print(m, "%s needs no schema.\n", cfg.Provider)
	}
	m.Statements = mysql.Schema(a.where.table)
	if !apply {
		return a.print(m, "%s;\n", strings.Join(m.Statements, ";\n"))
	}
	if err := applySchema(ctx, a.where.target); err != nil {
		return err
	}
	m.Applied = true
	return a.print(m, "table %s is there, and as it should be.\n", cmp.Or(a.where.table, mysql.DefaultTable))
}

// applySchema makes the table, and has the backend check it. The account that
// makes it need not be the application's, so its rights are not proven.
func applySchema(ctx context.Context, t place.Target) error {
	p, err := place.Connect(ctx, t)
	if err != nil {
		return err
	}
	return errors.Join(makeTable(ctx, p), p.Close())
}

func makeTable(ctx context.Context, p *place.Place) error {
	for _, ddl := range mysql.Schema(p.Target.Table) {
		if _, err := p.MySQL.ExecContext(ctx, ddl); err != nil {
			return fmt.Errorf("create the table: %w", err)
		}
	}
	_, err := p.Store() // which looks at it
	return err
}

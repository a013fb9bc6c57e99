package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"github.com/chisession/session/backend/mysql"
	"github.com/chisession/session/backend/postgres"
	"github.com/chisession/session/backend/sqlite"
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
and checks the result. Running it again does no harm. Of the SQL databases, mysql,
postgres and sqlite, each has its own; the others need none. A file of SQLite must be
there: the application makes it, and the table.`,
		Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return a.runMigrate(cmd.Context(), apply) },
	}
	cmd.Flags().BoolVar(&apply, "apply", false, "run the statements")
	return cmd
}

// schemas are those of the providers that need one.
var schemas = map[string]func(table string) []string{
	mysql.Name: mysql.Schema, postgres.Name: postgres.Schema, sqlite.Name: sqlite.Schema,
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
	if schemas[cfg.Provider] == nil {
		return a.print(m, "%s needs no schema.\n", cfg.Provider)
	}
	if m.Statements, err = schemaOf(a.where.target); err != nil {
		return err
	}
	if !apply {
		return a.print(m, "%s;\n", strings.Join(m.Statements, ";\n"))
	}
	if err := applySchema(ctx, a.where.target); err != nil {
		return err
	}
	m.Applied = true
	return a.print(m, "table %s is there, and as it should be.\n", cmp.Or(a.where.target.Table, mysql.DefaultTable))
}

// schemaOf returns the statements for a target's table. A name that the backend
// does not take is an error.
func schemaOf(t place.Target) (statements []string, err error) {
	defer func() {
		if r := recover(); r != nil {
			err = fmt.Errorf("--table: %v", r)
		}
	}()
	return schemas[t.Provider](t.Table), nil
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
	statements, err := schemaOf(p.Target)
	if err != nil {
		return err
	}
	for _, ddl := range statements {
		if err := p.Exec(ctx, ddl); err != nil {
			return fmt.Errorf("create the table: %w", err)
		}
	}
	_, err = p.Store() // which looks at it
	return err
}

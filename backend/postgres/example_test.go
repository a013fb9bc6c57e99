package postgres_test

import (
	"context"
	"fmt"
	"os"
	"strings"

	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/chisession/session"
	"github.com/chisession/session/backend/postgres"
)

// The pool that the application has anyway, and a table of another name.
func ExampleNew() {
	ctx := context.Background()
	pool, err := pgxpool.New(ctx, os.Getenv("SHOP_POSTGRES")) // postgres://shop:password@127.0.0.1/shop
	if err != nil {
		fmt.Println(err)
		return
	}
	defer pool.Close()
	store, err := postgres.New(pool, postgres.Options{Table: "web_sessions"}) // makes the table, if it is missing
	if err != nil {
		fmt.Println(err)
		return
	}
	m, err := session.New(session.Config{Store: store})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer m.Close()

	n, err := m.Count(ctx)
	fmt.Println(n, "live,", err)
	// Output: 0 live, <nil>
}

// For those who make the table themselves: with a migration tool, say.
func ExampleSchema() {
	for _, statement := range postgres.Schema("web_sessions") {
		first, _, _ := strings.Cut(statement, "\n")
		fmt.Println(first)
	}
	// Output:
	// CREATE TABLE IF NOT EXISTS "web_sessions" (
	// ALTER TABLE "web_sessions" ALTER COLUMN data SET STORAGE EXTERNAL
	// CREATE INDEX IF NOT EXISTS "web_sessions_bucket" ON "web_sessions" (bucket)
	// CREATE INDEX IF NOT EXISTS "web_sessions_username" ON "web_sessions" (username) WHERE username IS NOT NULL
	// COMMENT ON TABLE "web_sessions" IS 'session schema 1'
}

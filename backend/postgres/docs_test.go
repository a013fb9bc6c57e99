package postgres

import (
	"os"
	"strings"
	"testing"
)

// fenced returns the block of docs/backends/postgres.md that begins with start.
func fenced(t *testing.T, start string) string {
	t.Helper()
	text, err := os.ReadFile("../../docs/backends/postgres.md")
	if err != nil {
		t.Fatal(err)
	}
	_, rest, ok := strings.Cut(string(text), "\n"+start)
	block, _, closed := strings.Cut(rest, "\n```")
	if !ok || !closed {
		t.Fatalf("docs/backends/postgres.md has no block that begins with %s", start)
	}
	return start + block
}

func TestPageHasTheTable(t *testing.T) {
	want := strings.Join(Schema(""), ";\n") + ";"
	if got := fenced(t, "CREATE TABLE"); got != want {
		t.Errorf("docs/backends/postgres.md has the table\n%s\nwant\n%s", got, want)
	}
}

// TestPageGrantsEnough runs a store as the account that the page makes.
func TestPageGrantsEnough(t *testing.T) {
	db := database(t)
	do(t, db, strings.Join(Schema(""), ";"))
	do(t, db, strings.ReplaceAll(fenced(t, "CREATE ROLE"), "…", "secret"))
	t.Cleanup(func() { do(t, "postgres", "DROP ROLE shop") })
	t.Cleanup(func() { do(t, db, "DROP OWNED BY shop") })
	s := openAt(t, strings.Replace(server.DSN(db), "session:"+server.Password(), "shop:secret", 1))
	for name, call := range operations(t, s) {
		if err := call(); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

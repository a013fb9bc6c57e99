package place

import (
	"context"
	"database/sql"
	"fmt"
	"net/url"
	"os"
	"path/filepath"

	"github.com/chisession/session/backend/sqlite"
)

// openSQLite opens the database file of a save path, which must be there:
// SQLite would make it.
func openSQLite(savePath string) (*sql.DB, error) {
	path, err := sqlite.ParsePath(savePath)
	if err != nil {
		return nil, err
	}
	if _, err := os.Stat(path.File); err != nil {
		return nil, fmt.Errorf("open the database: %w; start the application first, or name its own file (--save-path): sessionctl makes none", err)
	}
	u := url.URL{Scheme: "file", Path: filepath.ToSlash(path.File), RawQuery: url.Values{
		"mode": {"rw"}, "_pragma": {"busy_timeout(0)", "synchronous(" + path.Synchronous + ")"},
	}.Encode()}
	return sql.Open("sqlite", u.String())
}

// SQLiteFile returns the path of the database file, "" if the save path is none.
func (t Target) SQLiteFile() string {
	path, err := sqlite.ParsePath(t.SavePath)
	if err != nil {
		return ""
	}
	return path.File
}

func (p *Place) sqliteFacts(ctx context.Context) ([]Fact, error) {
	ctx, cancel := context.WithTimeout(ctx, Timeout)
	defer cancel()
	var version string
	var page, pages, free int64
	const query = `SELECT sqlite_version(), page_size, page_count, freelist_count
		FROM pragma_page_size, pragma_page_count, pragma_freelist_count`
	if err := p.SQLite.QueryRowContext(ctx, query).Scan(&version, &page, &pages, &free); err != nil {
		return nil, err
	}
	facts := []Fact{
		{"SQLite version", version},
		{"database in bytes", page * pages},
		{"of it free", page * free},
	}
	if info, err := os.Stat(p.Target.SQLiteFile() + "-wal"); err == nil {
		facts = append(facts, Fact{"log in bytes", info.Size()})
	}
	return facts, nil
}

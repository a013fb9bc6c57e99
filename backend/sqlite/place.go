package sqlite

import (
	"database/sql"
	"errors"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"runtime"
	"strings"

	_ "modernc.org/sqlite" // registers the driver "sqlite"
)

// maxReaders bounds how many statements read at once, which is work for the CPU:
// there are no more than CPUs. Each connection keeps a few open files and up to
// 2 MiB of pages.
const maxReaders = 8

func readers() int { return max(2, min(runtime.GOMAXPROCS(0), maxReaders)) }

// A Path is what a save path says.
type Path struct {
	File        string // absolute
	Synchronous string // "FULL" or "NORMAL"
	Table       string // "" for the default
}

// ParsePath reads a save path as [Open] does. It looks at no file.
func ParsePath(savePath string) (Path, error) {
	file, query, _ := strings.Cut(savePath, "?")
	p := Path{File: file, Synchronous: "FULL"}
	if file == "" || file == ":memory:" || strings.HasPrefix(file, "file:") {
		return p, errors.New("sqlite: the save path is not that of a file: give a path such as tmp/sessions.db")
	}
	params, err := url.ParseQuery(query)
	if err != nil {
		return p, errors.New("sqlite: the parameters of the save path cannot be read: write them as in tmp/sessions.db?synchronous=normal")
	}
	for name := range params {
		value := params.Get(name)
		switch {
		case name == "synchronous" && (strings.EqualFold(value, "full") || strings.EqualFold(value, "normal")):
			p.Synchronous = strings.ToUpper(value)
		case name == "synchronous":
			return p, fmt.Errorf("sqlite: the save path has synchronous=%s: use full or normal", value)
		case name == "table":
			p.Table = value
		default:
			return p, fmt.Errorf("sqlite: the save path has an unknown parameter %s: there are synchronous and table", name)
		}
	}
	p.File, err = filepath.Abs(file)
	if err != nil {
		return p, fmt.Errorf("sqlite: the save path: %w", err)
	}
	return p, nil
}

// open makes the file if it is missing, and opens it for one writer and some
// readers.
func (p Path) open() (*Store, error) {
	// SQLite would make it by the umask; its -wal and -shm files take the
	// mode of this one.
	f, err := os.OpenFile(p.File, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, fmt.Errorf("sqlite: open the database: %w", err)
	}
	if err := f.Close(); err != nil {
		return nil, fmt.Errorf("sqlite: open the database: %w", err)
	}
	// The busy handler of SQLite does not heed a context: ours does.
	write, err := sql.Open("sqlite", p.dsn("busy_timeout(0)", "journal_mode(WAL)", "synchronous("+p.Synchronous+")"))
	if err != nil {
		return nil, fmt.Errorf("sqlite: open the database: %w", err)
	}
	write.SetMaxOpenConns(1)
	read, err := sql.Open("sqlite", p.dsn("busy_timeout(0)", "query_only(1)"))
	if err != nil {
		return nil, errors.Join(fmt.Errorf("sqlite: open the database: %w", err), write.Close())
	}
	read.SetMaxOpenConns(readers())
	read.SetMaxIdleConns(readers())
	return &Store{read: read, write: write, owned: true, file: p.File}, nil
}

// dsn is the file for the driver, with pragmas for each connection.
func (p Path) dsn(pragmas ...string) string {
	u := url.URL{Scheme: "file", Path: filepath.ToSlash(p.File), RawQuery: url.Values{"_pragma": pragmas}.Encode()}
	return u.String()
}

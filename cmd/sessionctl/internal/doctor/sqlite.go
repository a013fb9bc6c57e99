package doctor

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/chisession/session/backend/sqlite"
	"github.com/chisession/session/cmd/sessionctl/internal/place"
)

// mostlyFree is the share of a database's pages from which on free ones are
// worth a word, in per cent.
const mostlyFree = 50

// SQLite returns the checks of a database file.
func SQLite(p *place.Place) []Check {
	c := sqliteChecks{p, p.Target.SQLiteFile()}
	return []Check{
		{"permissions", func(context.Context) Result { return c.permissions() }},
		{"version", c.version},
		{"journal", c.journal},
		{"table", c.table},
		{"durability", func(context.Context) Result { return c.durability() }},
		{"free space", c.free},
		{"disk", func(context.Context) Result { return disk(filepath.Dir(c.file)) }},
	}
}

type sqliteChecks struct {
	p    *place.Place
	file string
}

// permissions looks at the file, its log and what readers share.
func (c sqliteChecks) permissions() Result {
	for _, name := range []string{c.file, c.file + "-wal", c.file + "-shm"} {
		info, err := os.Stat(name)
		switch {
		case errors.Is(err, fs.ErrNotExist) && name != c.file:
			continue // nobody has it open
		case err != nil:
			return fail("run sessionctl as the application's user", "%v", err)
		case info.Mode().Perm()&0o077 != 0:
			return warn("chmod 600 "+c.file+"*, unless other accounts must get at it", "others on this machine can get at it: %s has mode %04o", name, info.Mode().Perm())
		}
	}
	return ok("for its owner alone")
}

func (c sqliteChecks) get(ctx context.Context, query string, dest ...any) error {
	ctx, cancel := context.WithTimeout(ctx, place.Timeout)
	defer cancel()
	return c.p.SQLite.QueryRowContext(ctx, query).Scan(dest...)
}

func (c sqliteChecks) version(ctx context.Context) Result {
	var version string
	if err := c.get(ctx, "SELECT sqlite_version()", &version); err != nil {
		return unknown("the version", err)
	}
	return ok("SQLite %s in sessionctl; the application has its own", version)
}

func (c sqliteChecks) journal(ctx context.Context) Result {
	var mode string
	if err := c.get(ctx, "PRAGMA journal_mode", &mode); err != nil {
		return fail("run sessionctl as the application's user; what the error says holds for the application, too", "%v", err)
	}
	if !strings.EqualFold(mode, "wal") {
		return fail("PRAGMA journal_mode=WAL, once", "the database is in journal mode %s, in which readers wait for the writer", mode)
	}
	return ok("WAL: readers do not wait for the writer")
}

func (c sqliteChecks) table(context.Context) Result {
	if _, err := c.p.Store(); err != nil {
		return fail("run sessionctl migrate --apply, or start the application, or name its table (--table)", "%v", err)
	}
	return ok("table %s and its indexes are as they should be", c.p.Table())
}

func (c sqliteChecks) durability() Result {
	path, err := sqlite.ParsePath(c.p.Target.SavePath)
	if err != nil {
		return unknown("synchronous", err)
	}
	if path.Synchronous == "NORMAL" {
		return warn("synchronous=full in the save path, if a logout must outlive a power cut", "synchronous is normal: a crash of the machine undoes the last logins and logouts")
	}
	return ok("synchronous is full: what was acknowledged survives a crash of the machine")
}

func (c sqliteChecks) free(ctx context.Context) Result {
	var page, pages, free int64
	if err := c.get(ctx, "SELECT page_size, page_count, freelist_count FROM pragma_page_size, pragma_page_count, pragma_freelist_count", &page, &pages, &free); err != nil {
		return unknown("how much of the file is free", err)
	}
	said := fmt.Sprintf("%s of %s", Bytes(page*free), Bytes(page*pages))
	if page*free > smallTable && free*100 > pages*mostlyFree {
		return warn("VACUUM, at a quiet hour: nobody writes meanwhile", "%s is free: the file does not shrink by itself", said)
	}
	return ok("%s", said)
}

package place

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	redigo "github.com/gomodule/redigo/redis"
	"github.com/google/uuid"
)

// idBatch is how many IDs are asked for in one go.
const idBatch = 1000

// IDs calls fn with the IDs of all records, the expired ones that are still there
// included, in batches: in order on an SQL database, in none elsewhere. Each
// record that is there for the whole time is in one of them, on Redis perhaps in
// two; of those that come and go meanwhile some are. It reads no data, and on
// Redis looks at every key of the database, a thousand at a time.
func (p *Place) IDs(ctx context.Context, fn func([]uuid.UUID) error) error {
	switch {
	case p.Redis != nil, p.goredis != nil:
		return p.OnEachPrimary(func(_ string, ask func(string, ...any) (any, error)) error { return p.scanIDs(ctx, ask, fn) })
	case p.Dir != "":
		return p.fileIDs(ctx, fn)
	}
	next, after := p.tableIDs(), uuid.Nil
	for {
		ids, err := next(ctx, after)
		if err != nil || len(ids) == 0 {
			return err
		}
		if err := fn(ids); err != nil {
			return err
		}
		after = ids[len(ids)-1]
	}
}

// tableIDs returns what asks an SQL database for the IDs after one.
func (p *Place) tableIDs() func(ctx context.Context, after uuid.UUID) ([]uuid.UUID, error) {
	query := "SELECT id FROM " + p.QuotedTable() + " WHERE id > {after} ORDER BY id LIMIT 1000"
	if p.Postgres != nil {
		query = strings.Replace(query, "{after}", "$1", 1)
		return func(ctx context.Context, after uuid.UUID) (ids []uuid.UUID, err error) {
			ctx, cancel := context.WithTimeout(ctx, Timeout)
			defer cancel()
			rows, err := p.Postgres.Query(ctx, query, [16]byte(after))
			if err != nil {
				return nil, err
			}
			defer rows.Close() // for the early return; Err has what Close could say
			for rows.Next() {
				var id [16]byte
				if err := rows.Scan(&id); err != nil {
					return nil, err
				}
				ids = append(ids, id)
			}
			return ids, rows.Err()
		}
	}
	query = strings.Replace(query, "{after}", "?", 1)
	db := p.SQLite
	if p.MySQL != nil {
		db = p.MySQL.DB
	}
	return func(ctx context.Context, after uuid.UUID) (ids []uuid.UUID, err error) {
		ctx, cancel := context.WithTimeout(ctx, Timeout)
		defer cancel()
		rows, err := db.QueryContext(ctx, query, after[:])
		if err != nil {
			return nil, err
		}
		defer rows.Close() // for the early return; Err has what Close could say
		for rows.Next() {
			var id []byte
			if err := rows.Scan(&id); err != nil {
				return nil, err
			}
			if len(id) == len(uuid.Nil) {
				ids = append(ids, uuid.UUID(id))
			}
		}
		return ids, rows.Err()
	}
}

// scanIDs finds those whose keys are on one server.
func (p *Place) scanIDs(ctx context.Context, ask func(string, ...any) (any, error), fn func([]uuid.UUID) error) error {
	prefix, cursor := p.Target.Prefix(), "0"
	for {
		reply, err := redigo.Values(ask("SCAN", cursor, "MATCH", prefix+"*", "COUNT", idBatch)) // no prefix has what a pattern could take for its own
		if err != nil {
			return err
		}
		if len(reply) != 2 {
			return errors.New("the server's reply to SCAN cannot be understood")
		}
		var keys []string
		if cursor, err = redigo.String(reply[0], nil); err == nil {
			keys, err = redigo.Strings(reply[1], nil)
		}
		if err != nil {
			return err
		}
		var ids []uuid.UUID
		for _, key := range keys {
			if id, ok := parseName(strings.TrimPrefix(key, prefix)); ok {
				ids = append(ids, id)
			}
		}
		if len(ids) > 0 {
			err = fn(ids)
		}
		if err = errors.Join(err, ctx.Err()); err != nil || cursor == "0" {
			return err
		}
	}
}

// fileIDs finds those that files are named for.
func (p *Place) fileIDs(ctx context.Context, fn func([]uuid.UUID) error) error {
	shards, err := os.ReadDir(p.Dir)
	if err != nil {
		return err
	}
	for _, shard := range shards {
		if !shard.IsDir() {
			continue
		}
		files, err := os.ReadDir(filepath.Join(p.Dir, shard.Name()))
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
		var ids []uuid.UUID
		for _, f := range files {
			if id, ok := parseName(f.Name()); ok {
				ids = append(ids, id)
			}
		}
		if len(ids) > 0 {
			err = fn(ids)
		}
		if err = errors.Join(err, ctx.Err()); err != nil {
			return err
		}
	}
	return nil
}

// parseName returns the ID that a file or a key is named for.
func parseName(name string) (uuid.UUID, bool) {
	id, err := uuid.Parse(name)
	return id, err == nil && id.String() == name
}

package main

import (
	"bytes"
	"context"
	"crypto/md5" // no secret: databases can compute it, too
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"path/filepath"
	"strconv"
	"sync"
	"time"

	"github.com/gomodule/redigo/redis"
	"github.com/google/uuid"

	"github.com/chisession/session/backend"
)

// Filling a store with a million sessions through its own calls would take
// longer than all else. So one session is stored through them, and then copied
// under numbered IDs, by whatever is the fastest way there is.

// idsFrom is the time in the IDs of numbered sessions: an hour ago, as if they
// had been made since.
var idsFrom = uint64(time.Now().Add(-time.Hour).UnixMilli())

// numberedID returns the ID of session i. It is a UUIDv7 as its time goes, with
// what is random made of i.
func numberedID(i int) (id uuid.UUID) {
	binary.BigEndian.PutUint64(id[:], (idsFrom+uint64(i)/1000)<<16)
	sum := md5.Sum(strconv.AppendInt(nil, int64(i), 10))
	text := hex.EncodeToString(sum[:])
	_, _ = hex.Decode(id[6:], []byte("7"+text[:3]+"8"+text[3:18])) // it is hexadecimal
	return id
}

// numberedSQL is numberedID in SQL, as hexadecimal digits, where i is the
// column: the same in MariaDB and, but for the name of hex, in PostgreSQL.
func numberedSQL(hex, div, column, text string) string {
	return fmt.Sprintf("CONCAT(LPAD(%s(%d + %s %s 1000), 12, '0'), '7', SUBSTR(MD5(%s), 1, 3), '8', SUBSTR(MD5(%s), 4, 15))",
		hex, idsFrom, column, div, text, text)
}

// A pool is a store of numbered sessions.
type pool struct {
	store backend.Store
	batch int
	copy  func(from, to int) error // makes the sessions from and up to, but not, to
	n     int
}

// fill makes sessions until there are n, or as many as there are after box.
func (p *pool) fill(n int, box time.Duration) error {
	for start := time.Now(); p.n < n && (p.n == 0 || time.Since(start) < box); {
		to := min(n, p.n+p.batch)
		if err := p.copy(p.n, to); err != nil {
			return fmt.Errorf("make sessions %d to %d: %w", p.n, to, err)
		}
		p.n = to
	}
	return nil
}

// newPool returns an empty pool in pl, of its own kind of store; name tells it
// from others.
func (pl *place) newPool(name string) (p *pool, err error) {
	first, err := pl.sampleRecord(read)
	if err != nil {
		return nil, err
	}
	first.ID, first.Expires = numberedID(0), time.Now().Add(24*time.Hour)
	open := func(savePath string) error {
		store, err := backend.Open(pl.kind, savePath)
		if err != nil {
			return err
		}
		p = &pool{store: store, n: 1}
		if c, ok := store.(interface{ Close() error }); ok {
			pl.closers = append(pl.closers, c.Close)
		}
		return store.Create(context.Background(), first)
	}
	switch pl.kind {
	case inFile:
		err = open(filepath.Join(pl.dir, name))
		p.batch, p.copy = 1000, p.create(first)
	case inRedis:
		prefix := name + ":"
		err = open(pl.redis.URL() + "?prefix=" + prefix)
		p.batch, p.copy = 10_000, func(from, to int) error { return pl.copyKeys(prefix, from, to) }
	case inMariaDB:
		db, dbErr := pl.mariaDB.CreateDatabase()
		err = errors.Join(dbErr, open(pl.mariaDB.DSN(db)))
		p.batch, p.copy = 50_000, func(from, to int) error { return pl.copyRows(db, from, to, "expires") }
	case inPostgres:
		db, dbErr := pl.postgres.CreateDatabase()
		err = errors.Join(dbErr, open(pl.postgres.DSN(db)))
		p.batch, p.copy = 50_000, func(from, to int) error { return pl.copyTuples(db, from, to, "expires") }
	}
	return p, err
}

// create makes copies of first through the store's own calls, some at once.
func (p *pool) create(first backend.Record) func(from, to int) error {
	const workers = 4
	return func(from, to int) error {
		var all sync.WaitGroup
		var errs [workers]error
		for w := range workers {
			all.Go(func() {
				for i := from + w; i < to && errs[w] == nil; i += workers {
					rec := first
					rec.ID, rec.Data = numberedID(i), bytes.Clone(first.Data)
					errs[w] = p.store.Create(context.Background(), rec)
				}
			})
		}
		all.Wait()
		return errors.Join(errs[:]...)
	}
}

// copyKeys copies the key of session 0, in one pipeline.
func (pl *place) copyKeys(prefix string, from, to int) error {
	c, err := pl.redis.Dial()
	if err != nil {
		return err
	}
	defer c.Close()
	value, err := redis.Bytes(c.Do("GET", prefix+numberedID(0).String()))
	if err != nil {
		return err
	}
	for i := from; i < to; i++ {
		if err := c.Send("SET", prefix+numberedID(i).String(), value, "EX", 86400); err != nil {
			return err
		}
	}
	_, err = c.Do("") // sends them, and takes all replies
	return err
}

// copyRows has MariaDB copy the row of session 0; expires is SQL.
func (pl *place) copyRows(db string, from, to int, expires string) error {
	id := numberedID(0)
	_, err := pl.mariaDB.Admin().Exec(fmt.Sprintf("INSERT INTO `%[1]s`.sessions (id, version, expires, user, data)"+
		" SELECT UNHEX(%[2]s), version, %[3]s, user, data FROM `%[1]s`.sessions, `%[1]s`.seq_%[4]d_to_%[5]d WHERE id = ?",
		db, numberedSQL("HEX", "DIV", "seq", "seq"), expires, from, to-1), id[:])
	return err
}

// copyTuples is copyRows for PostgreSQL. Its table has a column made of the
// expiry as well: which five minutes it is in.
func (pl *place) copyTuples(db string, from, to int, expires string) error {
	_, err := pl.postgres.QueryIn(db, fmt.Sprintf("INSERT INTO sessions (id, version, expires, bucket, username, data)"+
		" SELECT (%[1]s)::uuid, version, %[2]s, floor(extract(epoch FROM %[2]s) / 300), username, data FROM sessions, generate_series(%[3]d, %[4]d) AS i WHERE id = '%[5]s'",
		numberedSQL("to_hex", "/", "i", "i::text"), expires, from, to-1, numberedID(0)))
	return err
}

package main

import (
	"context"
	"database/sql"
	"os"
	"path/filepath"
	"sync"
	"time"

	"github.com/gomodule/redigo/redis"
	"github.com/google/uuid"
	"github.com/jackc/pgx/v5/pgtype"
	"github.com/jackc/pgx/v5/pgxpool"
)

// rawMemory is a map under a lock.
type rawMemory struct {
	mu sync.RWMutex
	m  map[uuid.UUID][]byte
}

func (s *rawMemory) get(k rawKey) ([]byte, error) {
	s.mu.RLock()
	b, ok := s.m[k.id]
	s.mu.RUnlock()
	if !ok {
		return nil, errMissing
	}
	return b, nil
}

func (s *rawMemory) set(k rawKey, data []byte) error {
	s.mu.Lock()
	s.m[k.id] = data
	s.mu.Unlock()
	return nil
}

func (s *rawMemory) create(k rawKey, data []byte) error { return s.set(k, data) }

func (s *rawMemory) remove(k rawKey) error {
	s.mu.Lock()
	delete(s.m, k.id)
	s.mu.Unlock()
	return nil
}

// rawFile is a directory. Its writes are in place: a crash tears them.
type rawFile string

func (s rawFile) path(k rawKey) string         { return filepath.Join(string(s), k.text) }
func (s rawFile) get(k rawKey) ([]byte, error) { return os.ReadFile(s.path(k)) }
func (s rawFile) set(k rawKey, data []byte) error {
	return os.WriteFile(s.path(k), data, 0o600)
}
func (s rawFile) create(k rawKey, data []byte) error { return s.set(k, data) }
func (s rawFile) remove(k rawKey) error              { return os.Remove(s.path(k)) }

// rawRedis is a pool of redigo's that does not test what it lends. Its calls
// have an end, as in any server they must, and as this library's have.
type rawRedis struct{ pool *redis.Pool }

func newRawRedis(addr string) *rawRedis {
	return &rawRedis{&redis.Pool{
		MaxIdle: 16,
		Dial: func() (redis.Conn, error) {
			return redis.Dial("tcp", addr, redis.DialReadTimeout(ioTimeout), redis.DialWriteTimeout(ioTimeout))
		},
	}}
}

func (s *rawRedis) do(command string, args ...any) (any, error) {
	c := s.pool.Get()
	reply, err := c.Do(command, args...)
	if err != nil {
		_ = c.Close() // err says more
		return nil, err
	}
	return reply, c.Close()
}

func (s *rawRedis) get(k rawKey) ([]byte, error) { return redis.Bytes(s.do("GET", "raw:"+k.text)) }

func (s *rawRedis) set(k rawKey, data []byte) error {
	_, err := s.do("SET", "raw:"+k.text, data, "EX", 3600)
	return err
}

func (s *rawRedis) create(k rawKey, data []byte) error { return s.set(k, data) }

func (s *rawRedis) remove(k rawKey) error {
	_, err := s.do("DEL", "raw:"+k.text)
	return err
}

// ioTimeout is how long raw waits for a server.
const ioTimeout = 2 * time.Second

// rawMariaDB is a table by primary key, with nothing but what a sweep needs
// beside the data. As in Redis, a write moves the expiry, too.
type rawMariaDB struct{ load, update, insert, del *sql.Stmt }

const rawTable = `CREATE TABLE raw (id BINARY(16) NOT NULL PRIMARY KEY, expires DATETIME(6) NOT NULL, data MEDIUMBLOB NOT NULL,
	KEY expires (expires)) ENGINE=InnoDB ROW_FORMAT=DYNAMIC`

func newRawMariaDB(db *sql.DB) (*rawMariaDB, error) {
	if _, err := db.Exec(rawTable); err != nil {
		return nil, err
	}
	return prepareRawMariaDB(db)
}

// prepareRawMariaDB is newRawMariaDB for a table that is there.
func prepareRawMariaDB(db *sql.DB) (*rawMariaDB, error) {
	s := &rawMariaDB{}
	for query, stmt := range map[string]**sql.Stmt{
		"SELECT data FROM raw WHERE id = ?":                    &s.load,
		"UPDATE raw SET expires = ?, data = ? WHERE id = ?":    &s.update,
		"INSERT INTO raw (id, expires, data) VALUES (?, ?, ?)": &s.insert,
		"DELETE FROM raw WHERE id = ?":                         &s.del,
	} {
		var err error
		if *stmt, err = db.Prepare(query); err != nil {
			return nil, err
		}
	}
	return s, nil
}

func (s *rawMariaDB) get(k rawKey) (b []byte, err error) {
	err = s.load.QueryRow(k.id[:]).Scan(&b)
	return b, err
}

func (s *rawMariaDB) set(k rawKey, data []byte) error {
	_, err := s.update.Exec(time.Now().Add(time.Hour).UTC(), data, k.id[:])
	return err
}

func (s *rawMariaDB) create(k rawKey, data []byte) error {
	_, err := s.insert.Exec(k.id[:], time.Now().Add(time.Hour).UTC(), data)
	return err
}

func (s *rawMariaDB) remove(k rawKey) error {
	_, err := s.del.Exec(k.id[:])
	return err
}

// rawPostgres is the same in PostgreSQL, through pgx, which prepares by itself.
type rawPostgres struct{ pool *pgxpool.Pool }

const rawPostgresTable = `CREATE TABLE raw (id uuid PRIMARY KEY, expires timestamptz NOT NULL, data bytea NOT NULL) WITH (fillfactor = 70);
	ALTER TABLE raw ALTER data SET STORAGE EXTERNAL`

func newRawPostgres(pool *pgxpool.Pool) (*rawPostgres, error) {
	_, err := pool.Exec(context.Background(), rawPostgresTable)
	return &rawPostgres{pool}, err
}

func (s *rawPostgres) get(k rawKey) (b []byte, err error) {
	err = s.pool.QueryRow(context.Background(), "SELECT data FROM raw WHERE id = $1", k.uuid()).Scan(&b)
	return b, err
}

func (s *rawPostgres) set(k rawKey, data []byte) error {
	_, err := s.pool.Exec(context.Background(), "UPDATE raw SET expires = $2, data = $3 WHERE id = $1", k.uuid(), time.Now().Add(time.Hour), data)
	return err
}

func (s *rawPostgres) create(k rawKey, data []byte) error {
	_, err := s.pool.Exec(context.Background(), "INSERT INTO raw (id, expires, data) VALUES ($1, $2, $3)", k.uuid(), time.Now().Add(time.Hour), data)
	return err
}

func (s *rawPostgres) remove(k rawKey) error {
	_, err := s.pool.Exec(context.Background(), "DELETE FROM raw WHERE id = $1", k.uuid())
	return err
}

func (k rawKey) uuid() pgtype.UUID { return pgtype.UUID{Bytes: k.id, Valid: true} }

func newRawMap() map[uuid.UUID][]byte { return map[uuid.UUID][]byte{} }

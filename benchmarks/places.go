package main

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/redis/go-redis/v9"

	"github.com/chisession/session/backend"
	_ "github.com/chisession/session/backend/mysql"    // known by name
	_ "github.com/chisession/session/backend/postgres" // known by name
	_ "github.com/chisession/session/backend/redis"    // known by name
	"github.com/chisession/session/internal/testserver"
)

// The kinds of places where sessions are kept.
const (
	inMemory   = "memory"
	inFile     = "file"
	inRedis    = "redis"
	inMariaDB  = "mysql"
	inPostgres = "postgres"
)

var kinds = []string{inMemory, inFile, inRedis, inMariaDB, inPostgres}

// title is what a kind is called in tables.
var title = map[string]string{inMemory: "memory", inFile: "file", inRedis: "Redis", inMariaDB: "MariaDB", inPostgres: "PostgreSQL"}

// Names of the contenders.
const (
	nameOurs    = "session"
	nameChi     = "chi alone"
	nameRaw     = "bare"
	nameWire    = "bare, with a token" // see raw.wire
	nameSCS     = "scs"
	nameGorilla = "gorilla"
	nameRedi    = "redistore"
)

// A place is one kind of place, private to this run, with the libraries that
// are at home there.
type place struct {
	kind     string
	ours     *ours
	libs     map[string]library
	order    []string // of the opponents
	redis    *testserver.Redis
	mariaDB  *testserver.MariaDB
	postgres *testserver.Postgres
	db       string // the database of ours
	dir      string
	closers  []func() error
}

// openPlace makes a place and all its libraries.
func openPlace(kind string) (p *place, err error) {
	p = &place{kind: kind, libs: map[string]library{}}
	defer func() {
		if err != nil {
			err = fmt.Errorf("%s: %w", kind, errors.Join(err, p.close()))
		}
	}()
	switch kind {
	case inMemory:
		err = p.openMemory()
	case inFile:
		err = p.openFile()
	case inRedis:
		err = p.openRedis()
	case inMariaDB:
		err = p.openMariaDB()
	case inPostgres:
		err = p.openPostgres()
	}
	return p, err
}

func (p *place) close() error {
	var errs []error
	for i := len(p.closers) - 1; i >= 0; i-- {
		errs = append(errs, p.closers[i]())
	}
	p.closers = nil
	return errors.Join(errs...)
}

// openOurs opens this library and, with the bytes that it stores, raw.
func (p *place) openOurs(savePath string, bare rawStore) error {
	store, err := backend.Open(p.kind, savePath)
	if err != nil {
		return err
	}
	if c, ok := store.(interface{ Close() error }); ok {
		p.closers = append(p.closers, c.Close)
	}
	if p.ours, err = newOurs(store); err != nil {
		return err
	}
	p.closers = append(p.closers, p.ours.m.Close)
	small, err := p.sample(read)
	if err != nil {
		return err
	}
	big, err := p.sample(readBig)
	if err != nil {
		return err
	}
	bareRaw, err := newRaw(bare, small, big, false)
	if err != nil {
		return err
	}
	wire, err := newRaw(bare, small, big, true)
	if err != nil {
		return err
	}
	p.add(nameRaw, bareRaw)
	p.add(nameWire, wire)
	return nil
}

// sample returns the bytes that this library stores for a scenario.
func (p *place) sample(s scenario) ([]byte, error) {
	rec, err := p.sampleRecord(s)
	return rec.Data, err
}

func (p *place) sampleRecord(s scenario) (rec backend.Record, err error) {
	player, err := newPlayer(nameOurs, p.ours, s)
	if err != nil {
		return rec, err
	}
	_, token, _ := strings.Cut(player.cookie[0], "=")
	id, err := idOf(token)
	if err != nil {
		return rec, err
	}
	return p.ours.store.Load(context.Background(), id)
}

func (p *place) add(name string, lib library) {
	p.libs[name] = lib
	p.order = append(p.order, name)
}

func (p *place) openMemory() error {
	if err := p.openOurs("", &rawMemory{m: newRawMap()}); err != nil {
		return err
	}
	p.add(nameSCS, scsMemory())
	return nil
}

func (p *place) openFile() error {
	dir, err := os.MkdirTemp("", "session-bench-")
	if err != nil {
		return err
	}
	p.dir = dir
	p.closers = append(p.closers, func() error { return os.RemoveAll(dir) })
	for _, sub := range []string{"raw", "gorilla"} {
		if err := os.Mkdir(filepath.Join(dir, sub), 0o700); err != nil {
			return err
		}
	}
	if err := p.openOurs(filepath.Join(dir, "ours"), rawFile(filepath.Join(dir, "raw"))); err != nil {
		return err
	}
	p.add(nameGorilla, gorillaFile(filepath.Join(dir, "gorilla")))
	return nil
}

func (p *place) openRedis() error {
	server, err := testserver.StartRedis(testserver.RedisOptions{})
	if err != nil {
		return err
	}
	p.redis = server
	p.closers = append(p.closers, server.Stop)
	bare := newRawRedis(server.Addr())
	p.closers = append(p.closers, bare.pool.Close)
	if err := p.openOurs(server.URL(), bare); err != nil {
		return err
	}
	client := redis.NewClient(&redis.Options{Addr: server.Addr()})
	p.closers = append(p.closers, client.Close)
	p.add(nameSCS, scsRedis(client))
	redi, err := gorillaRedis(server.Addr())
	if err != nil {
		return err
	}
	p.add(nameRedi, redi)
	return nil
}

func (p *place) openMariaDB() error {
	server, err := testserver.StartMariaDB(testserver.MariaDBOptions{Args: []string{"--innodb-buffer-pool-size=512M", "--innodb-log-file-size=256M"}})
	if err != nil {
		return err
	}
	p.mariaDB = server
	p.closers = append(p.closers, server.Stop)
	if p.db, err = server.CreateDatabase(); err != nil {
		return err
	}
	scsDB, err := server.CreateDatabase() // its table has the name of ours
	if err != nil {
		return err
	}
	open := func(name string, params ...string) (*sql.DB, error) {
		db, err := sql.Open("mysql", server.DSN(name, params...))
		if err == nil {
			p.closers = append(p.closers, db.Close)
		}
		return db, err
	}
	db, err := open(p.db, "timeout=1s", "readTimeout="+ioTimeout.String(), "writeTimeout="+ioTimeout.String())
	if err != nil {
		return err
	}
	bare, err := newRawMariaDB(db)
	if err != nil {
		return err
	}
	if err := p.openOurs(server.DSN(p.db), bare); err != nil {
		return err
	}
	if db, err = open(scsDB, "interpolateParams=true", "parseTime=true"); err != nil {
		return err
	}
	lib, err := scsMariaDB(db)
	if err != nil {
		return err
	}
	p.add(nameSCS, lib)
	return nil
}

func (p *place) openPostgres() error {
	server, err := testserver.StartPostgres(testserver.PostgresOptions{Settings: []string{"shared_buffers = 512MB", "max_wal_size = 2GB"}})
	if err != nil {
		return err
	}
	p.postgres = server
	p.closers = append(p.closers, server.Stop)
	open := func(name string) (*pgxpool.Pool, error) {
		pool, err := pgxpool.New(context.Background(), server.DSN(name, "pool_max_conns=16"))
		if err == nil {
			p.closers = append(p.closers, func() error { pool.Close(); return nil })
		}
		return pool, err
	}
	if p.db, err = server.CreateDatabase(); err != nil {
		return err
	}
	pool, err := open(p.db)
	if err != nil {
		return err
	}
	bare, err := newRawPostgres(pool)
	if err != nil {
		return err
	}
	if err := p.openOurs(server.DSN(p.db), bare); err != nil {
		return err
	}
	scsDB, err := server.CreateDatabase() // its table has the name of ours
	if err != nil {
		return err
	}
	if pool, err = open(scsDB); err != nil {
		return err
	}
	lib, err := scsPostgres(pool)
	if err != nil {
		return err
	}
	p.add(nameSCS, lib)
	return nil
}

// player makes a player of the library called name.
func (p *place) player(name string, s scenario) (*player, error) {
	switch name {
	case nameOurs:
		return newPlayer(name, p.ours, s)
	case nameChi:
		return newPlayer(name, &raw{}, untouched)
	case ownRead:
		return newPlayer(nameOurs, p.ours, read)
	}
	return newPlayer(name, p.libs[name], s)
}

// opponents returns who duels with this library in a scenario. A request that
// does not touch its session comes to no store, so two places are enough for
// it; and a token of their own shows only beside stores that are as fast.
func (p *place) opponents(s scenario) []string {
	local := p.kind == inMemory || p.kind == inFile
	if s == untouched {
		if !local {
			return nil
		}
		return append([]string{nameChi}, p.order[2:]...)
	}
	token := s == login || s == renew
	var names []string
	for _, name := range p.order {
		_, none := p.libs[name].(*gorilla)
		switch {
		case name == nameWire && !(token && local):
		case name == nameRaw && token && p.kind == inMemory: // see the targets
		case none && s == renew:
		default:
			names = append(names, name)
		}
	}
	if _, ok := targetOf(p.kind, s, ownRead); ok {
		names = append(names, ownRead)
	}
	return names
}

// versions returns the name and version of the place's server.
func (p *place) versions() []string {
	switch {
	case p.redis != nil:
		info, err := p.redis.Do("INFO", "server")
		text, _ := info.([]byte)
		for line := range strings.Lines(string(text)) {
			if version, ok := strings.CutPrefix(line, "redis_version:"); ok && err == nil {
				return []string{"Redis " + strings.TrimSpace(version)}
			}
		}
	case p.mariaDB != nil:
		var version string
		if err := p.mariaDB.Admin().QueryRow("SELECT VERSION()").Scan(&version); err == nil {
			return []string{"MariaDB " + version + ", which writes its log at every commit"}
		}
	case p.postgres != nil:
		rows, err := p.postgres.Query("SHOW server_version")
		if err == nil && len(rows) == 1 {
			return []string{"PostgreSQL " + rows[0][0] + ", which writes its log at every commit"}
		}
	}
	return nil
}

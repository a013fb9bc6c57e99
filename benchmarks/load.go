package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"
)

// A loadSize is how much of the load a run does.
type loadSize struct {
	turns     pace       // at loadClients clients; their number is that of -rounds, if there is one
	scenarios []scenario // there
	others    []int      // other numbers of clients
	few       pace       // there
	callers   pace       // of the two Redis clients
}

// The load of a full run and of a quick one, which leaves out the logins and all
// but one number of clients.
var (
	fullLoad = loadSize{
		turns:     pace{8, 300 * time.Millisecond, 15 * time.Second},
		scenarios: []scenario{read, write, login},
		others:    []int{1, 16, 256},
		few:       pace{2, 200 * time.Millisecond, 5 * time.Second},
		callers:   pace{10, 250 * time.Millisecond, 8 * time.Second},
	}
	quickLoad = loadSize{
		turns:     pace{4, 200 * time.Millisecond, 5 * time.Second},
		scenarios: []scenario{read, write},
		callers:   pace{6, 200 * time.Millisecond, 4 * time.Second},
	}
)

// loadClients is how many clients the targets are for.
const loadClients = 64

// longest returns how long the load takes at most, with servers that respond.
func (s loadSize) longest() time.Duration {
	const (
		contenders = 16               // of all places
		most       = 3                // of a place, with other numbers of clients
		connecting = time.Second      // the clients of a cell, on a busy machine
		starting   = 10 * time.Second // all processes
	)
	cells := len(kinds) * len(s.scenarios)
	long := contenders * len(s.scenarios) * (s.turns.rounds + 1)
	few := cells * len(s.others) * most * (s.few.rounds + 1)
	return starting + time.Duration(cells)*connecting +
		time.Duration(long)*s.turns.turn + time.Duration(few)*s.few.turn + 2*time.Duration(s.callers.rounds+1)*s.callers.turn
}

// loadSize returns how much of the load r does.
func (r *run) loadSize() loadSize {
	size := fullLoad
	if r.quick || r.check {
		size = quickLoad
	}
	if r.rounds > 0 {
		size.turns.rounds, size.turns.most = r.rounds, time.Hour
	}
	return size
}

// addLoad measures real servers over the store of a place.
func (r *run) addLoad(rep *report, pl *place) (err error) {
	progress("%s: load", title[pl.kind])
	size := r.loadSize()
	f, err := openField(pl, r.profile)
	if err != nil {
		return fmt.Errorf("load, %s: %w", title[pl.kind], err)
	}
	defer func() { err = errors.Join(err, f.close()) }()
	var main, few []cell
	for _, s := range size.scenarios {
		if !r.wanted(pl.kind, s) {
			continue
		}
		c, err := f.measure(s, loadClients, f.names, size.turns)
		if err != nil {
			return err
		}
		main = append(main, c)
		if s == login {
			continue // its cost does not depend on who else logs in
		}
		for _, n := range size.others {
			c, err := f.measure(s, n, f.names[:min(3, len(f.names))], size.few)
			if err != nil {
				return err
			}
			few = append(few, c)
		}
	}
	if len(main) == 0 {
		return nil
	}
	rep.tables = append(rep.tables, loadTable(main, size))
	rep.verdicts = append(rep.verdicts, loadVerdicts(main)...)
	rep.cells = append(rep.cells, main...)
	if len(few) > 0 {
		rep.tables = append(rep.tables, clientsTable(few, size))
	}
	if pl.kind == inRedis {
		return rep.add(callers(pl, size.callers))
	}
	return nil
}

// loadAlone measures nothing but the load, and prints it.
func (r *run) loadAlone() error {
	rep := &report{quick: r.quick}
	err := r.inPlaces(func(pl *place) error { return r.addLoad(rep, pl) })
	if err != nil {
		return err
	}
	if r.wanted(inMemory, untouched) {
		t, err := load(r.size.rate, r.size.loadTurns, r.size.loadTurn)
		if err != nil {
			return err
		}
		rep.tables = append(rep.tables, t)
	}
	return rep.print(os.Stdout)
}

// A field is the contenders of a load in one place: a server process for each,
// and one that generates the requests.
type field struct {
	kind      string
	names     []string // ours, the bare driver and the others
	servers   map[string]*peer
	addrs     map[string]string
	generator *peer
}

// openField starts the processes. Each server's store is its own: a database or
// a directory, or keys that no other uses.
func openField(pl *place, profile string) (f *field, err error) {
	f = &field{kind: pl.kind, servers: map[string]*peer{}, addrs: map[string]string{}}
	defer func() {
		if err != nil {
			err = errors.Join(err, f.close())
		}
	}()
	if f.generator, err = startPeer(roleGenerator); err != nil {
		return f, err
	}
	data, err := pl.sample(read)
	if err != nil {
		return f, err
	}
	for _, name := range append([]string{nameOurs, nameRaw}, pl.order[2:]...) {
		c := contender{Kind: pl.kind, Name: name, Data: data}
		if c.At, err = pl.room(name); err != nil {
			return f, err
		}
		if profile != "" {
			c.Profile = fmt.Sprintf("%s-%s-%s", profile, pl.kind, name)
		}
		if err := f.start(c); err != nil {
			return f, fmt.Errorf("%s: %w", name, err)
		}
	}
	return f, nil
}

// start starts a server process.
func (f *field) start(c contender) error {
	p, err := startPeer(roleServer)
	if err != nil {
		return err
	}
	f.servers[c.Name] = p
	r, err := ask[serverReply](p, serverOrder{Serve: &c})
	f.addrs[c.Name] = r.Addr
	f.names = append(f.names, c.Name)
	return err
}

func (f *field) close() error {
	var errs []error
	if f.generator != nil {
		errs = append(errs, f.generator.stop())
	}
	for _, p := range f.servers {
		errs = append(errs, p.stop())
	}
	return errors.Join(errs...)
}

// room makes a place in pl's server for one contender, and returns what it is to
// open.
func (pl *place) room(name string) (at string, err error) {
	switch pl.kind {
	case inFile:
		at = filepath.Join(pl.dir, "load-"+name)
		return at, os.Mkdir(at, 0o700)
	case inRedis:
		if name == nameOurs {
			return pl.redis.URL(), nil
		}
		return pl.redis.Addr(), nil
	case inMariaDB:
		db, err := pl.mariaDB.CreateDatabase()
		params := []string{"timeout=1s", "readTimeout=" + ioTimeout.String(), "writeTimeout=" + ioTimeout.String()}
		if name == nameSCS {
			params = append(params, "interpolateParams=true", "parseTime=true")
		}
		return pl.mariaDB.DSN(db, params...), err
	case inPostgres:
		db, err := pl.postgres.CreateDatabase()
		return pl.postgres.DSN(db), err
	}
	return "", nil
}

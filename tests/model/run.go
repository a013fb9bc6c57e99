package model

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"time"

	"github.com/google/uuid"

	"github.com/chisession/session"
	"github.com/chisession/session/backend"
	"github.com/chisession/session/backend/backendtest"
)

// A Mode is how the requests of a run are scheduled.
type Mode string

// The modes.
const (
	// Deterministic lets one request run at a time, from store call to
	// store call, in an order that follows from the seed.
	Deterministic Mode = "deterministic"

	// Free lets them run as they like.
	Free Mode = "free"
)

// Options say what to run. Everything that is left to chance follows from
// Seed.
type Options struct {
	Seed     uint64
	Mode     Mode
	Faults   bool // store calls fail, or lose their reply
	Clients  int  // requests at a time
	Requests int  // of each client

	// Stores are opened on one place; the managers share them out. In
	// Deterministic mode each client has a manager of its own, as managers
	// have their commits queue.
	Stores []backend.Store
}

// A Report says what a run was made of.
type Report struct {
	Operations, Sessions, StoreCalls, Faults int
}

// A run is one history in the making.
type run struct {
	Options
	h        *history
	managers []*session.Manager
	turns    *turns // nil in Free mode
	quiet    atomic.Bool
	requests atomic.Int64

	calls, faults atomic.Int64

	mu      sync.Mutex     // guards the rest
	tokens  map[string]int // the number of each token
	owner   map[string]string
	order   []string // all tokens that were ever sent
	current string   // what the browser holds
	ids     []string // of sessions
	timers  []*deadline
}

// errInjected is the error of a store call that was made to fail. (A lost
// reply is one too, with the work done.)
var errInjected = errors.New("injected fault")

// Run makes a history and checks it. The error lists the violations.
func Run(o Options) (Report, error) {
	r, err := o.make()
	if err != nil {
		return Report{}, err
	}
	report := Report{Operations: len(r.h.ops), Sessions: len(r.ids), StoreCalls: int(r.calls.Load()), Faults: int(r.faults.Load())}
	return report, r.h.check()
}

// make makes a history.
func (o Options) make() (*run, error) {
	r := &run{Options: o, h: newHistory(), tokens: map[string]int{}, owner: map[string]string{}}
	managers := 2
	if o.Mode == Deterministic {
		r.turns = newTurns(o.Clients)
		managers = o.Clients
	}
	for i := range managers {
		if err := r.manager(o.Stores[i%len(o.Stores)]); err != nil {
			return nil, err
		}
	}
	r.quiet.Store(true)
	r.request(0, rand.New(rand.NewPCG(o.Seed, 0)))
	r.quiet.Store(false)
	r.play()
	r.quiet.Store(true)
	r.last()
	var err error
	for _, m := range r.managers {
		err = errors.Join(err, m.Close())
	}
	return r, err
}

// manager adds a manager on store.
func (r *run) manager(store backend.Store) error {
	fault := backendtest.NewFault(store)
	fault.Before, fault.After = r.before, r.after
	m, err := session.New(session.Config{
		Store:        fault.Store(),
		TouchEvery:   time.Nanosecond, // every request is a touch
		StoreTimeout: time.Minute,     // a slow test machine is not an outage
		SweepEvery:   -1,
		Logger:       slog.New(slog.NewTextHandler(io.Discard, nil)),
	})
	if err != nil {
		return err
	}
	r.managers = append(r.managers, m)
	return nil
}

// play runs all clients to their end.
func (r *run) play() {
	var wait sync.WaitGroup
	for c := range r.Clients {
		wait.Go(func() {
			if r.turns != nil {
				r.turns.park(c)
				defer r.turns.done(c)
			}
			rng := rand.New(rand.NewPCG(r.Seed, uint64(c)+1))
			for range r.Requests {
				r.act(c, rng)
				if r.turns != nil {
					r.turns.park(c)
				}
			}
		})
	}
	if r.turns != nil {
		r.turns.schedule(rand.New(rand.NewPCG(r.Seed, 1<<32)))
	}
	wait.Wait()
}

// act does one thing: a request mostly, or what ends sessions from outside.
func (r *run) act(client int, rng *rand.Rand) {
	m := r.managers[client%len(r.managers)]
	p := &perRequest{client: client, number: int(r.requests.Add(1)), rng: rng}
	ctx := context.WithValue(context.Background(), perRequestKey{}, p)
	id := r.someSession(rng)
	op := Op{Session: id, Request: p.number, Kind: Revoke}
	from := r.h.now()
	var err error
	switch n := rng.IntN(100); {
	case n < 88 || id == "":
		r.request(client, rng)
		return
	case n < 91:
		err = m.Revoke(ctx, id)
	case n < 95:
		op.User = userName(rng, id)
		op.Count, err = m.RevokeUser(ctx, op.User)
	case n < 98:
		op.Kind = Expire
		err = r.expire(id)
	default:
		_, err = m.Sweep(ctx)
		r.expected("sweep", err)
		return
	}
	if err != nil {
		r.expected("revoke", err)
		op.Outcome = Open
	}
	to := r.h.now()
	r.h.record(op, from, to)
	if op.Kind == Expire {
		op.Kind = Shorten
		r.h.record(op, from, to)
	}
}

// expected complains of an error that nobody injected.
func (r *run) expected(what string, err error) {
	if err != nil && !errors.Is(err, errInjected) {
		r.h.violation("%s: %v", what, err)
	}
}

// expire makes a session's expiry pass, behind the managers' backs.
func (r *run) expire(id string) error {
	store, parsed := r.Stores[0], uuid.MustParse(id)
	for {
		rec, err := store.Load(context.Background(), parsed)
		if errors.Is(err, backend.ErrNotFound) {
			return nil
		}
		if err != nil {
			return err
		}
		rec.Expires, rec.Shorten = time.Now().Add(-time.Second).Truncate(time.Millisecond), true
		err = store.Update(context.Background(), rec)
		if err == nil || errors.Is(err, backend.ErrNotFound) {
			return nil
		}
		if !errors.Is(err, backend.ErrConflict) {
			return err
		}
	}
}

// last reads what is left with every token that there ever was.
func (r *run) last() {
	for _, t := range r.timers {
		t.wait(r.h)
	}
	for i, token := range r.order {
		r.read(i%len(r.managers), token)
	}
}

// A perRequest travels in the context of a request, to the store.
type perRequest struct {
	client, number int
	rng            *rand.Rand
	failed         bool // since it was last reset
}

type perRequestKey struct{}

// before stops a store call until its turn, delays it, or has it fail.
func (r *run) before(ctx context.Context, call backendtest.Call) error {
	p, _ := ctx.Value(perRequestKey{}).(*perRequest)
	r.calls.Add(1)
	if p == nil || r.quiet.Load() {
		return nil
	}
	if r.turns != nil {
		r.turns.park(p.client)
	} else if p.rng.IntN(3) == 0 {
		time.Sleep(time.Duration(p.rng.IntN(1000)) * time.Microsecond)
	}
	if r.Faults && p.rng.IntN(20) == 0 {
		p.failed = true
		r.faults.Add(1)
		return fmt.Errorf("%w: %s not done", errInjected, call.Op)
	}
	return nil
}

// after loses a reply now and then.
func (r *run) after(ctx context.Context, call backendtest.Call, err error) error {
	p, _ := ctx.Value(perRequestKey{}).(*perRequest)
	if p == nil || r.quiet.Load() || !r.Faults || err != nil || p.rng.IntN(15) != 0 {
		return err
	}
	p.failed = true
	r.faults.Add(1)
	return fmt.Errorf("%w: the reply of %s is lost", errInjected, call.Op)
}

// turns lets one client run at a time.
type turns struct {
	let    []chan struct{}
	events chan event
}

type event struct {
	client int
	done   bool
}

func newTurns(clients int) *turns {
	t := &turns{events: make(chan event)}
	for range clients {
		t.let = append(t.let, make(chan struct{}))
	}
	return t
}

// park ends a client's turn and waits for the next.
func (t *turns) park(client int) {
	t.events <- event{client: client}
	<-t.let[client]
}

func (t *turns) done(client int) { t.events <- event{client, true} }

// schedule lets clients run, one after the other as rng says, until all are done.
func (t *turns) schedule(rng *rand.Rand) {
	parked := make([]bool, len(t.let))
	for range t.let {
		parked[(<-t.events).client] = true
	}
	for {
		var waiting []int
		for client, is := range parked {
			if is {
				waiting = append(waiting, client)
			}
		}
		if len(waiting) == 0 {
			return
		}
		chosen := waiting[rng.IntN(len(waiting))]
		t.let[chosen] <- struct{}{}
		parked[chosen] = !(<-t.events).done
	}
}

// A deadline is a session's own, on the real clock.
type deadline struct {
	op   Op
	at   time.Time
	from atomic.Int64 // it did not end before
}

// expireAt expects the session to end at an instant.
func (r *run) expireAt(id string, at time.Time) {
	d := &deadline{op: Op{Session: id, Kind: Deadline}, at: at}
	r.mu.Lock()
	r.timers = append(r.timers, d)
	r.mu.Unlock()
	time.AfterFunc(time.Until(at)-3*time.Millisecond, func() {
		if stamp := r.h.now(); time.Now().Before(at) {
			d.from.Store(stamp)
		}
	})
}

func (d *deadline) wait(h *history) {
	time.Sleep(time.Until(d.at) + 10*time.Millisecond)
	h.record(d.op, d.from.Load(), h.now())
}

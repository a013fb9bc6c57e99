package backendtest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"path"
	"runtime"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/google/uuid"

	"github.com/chisession/session/backend"
)

// A check is one run of a testCase. It collects what is wrong, as
// testing/slogtest does.
type check struct {
	ctx  context.Context
	open func() backend.Store

	mu    sync.Mutex // guards the rest
	errs  []error
	notes []string
}

// caseTimeout ends a case whose store hangs.
const caseTimeout = time.Minute

// check runs the case. The result is named for when fatalf ends it.
func (tc testCase) check(open func() backend.Store) (c *check) {
	ctx, cancel := context.WithTimeout(context.Background(), caseTimeout)
	defer cancel()
	c = &check{ctx: ctx, open: open}
	defer c.recover()
	tc.run(c)
	return c
}

// giveUp is what fatalf panics with, in the goroutine of the case.
type giveUp struct{}

func (c *check) recover() {
	if v := recover(); v != nil && v != (giveUp{}) {
		panic(v)
	}
}

// attempt runs part of a case and takes back what it reports, which it returns.
func (c *check) attempt(part func()) (errs []error) {
	before := len(c.errs)
	defer func() {
		c.mu.Lock()
		defer c.mu.Unlock()
		errs, c.errs = slices.Clone(c.errs[before:]), c.errs[:before]
	}()
	defer c.recover()
	part()
	return nil
}

// giveUpOn reports what attempt took back, and gives up if that is anything.
func (c *check) giveUpOn(errs []error) {
	if len(errs) == 0 {
		return
	}
	c.mu.Lock()
	c.errs = append(c.errs, errs...)
	c.mu.Unlock()
	panic(giveUp{})
}

// errorf reports something that is wrong. Any goroutine may call it.
func (c *check) errorf(format string, args ...any) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.errs = append(c.errs, fmt.Errorf(caller()+": "+format, args...))
}

// fatalf is errorf for what makes the rest of the case pointless. Only the
// goroutine of the case itself may call it.
func (c *check) fatalf(format string, args ...any) {
	c.errorf(format, args...)
	panic(giveUp{})
}

func (c *check) notef(format string, args ...any) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.notes = append(c.notes, fmt.Sprintf(format, args...))
}

// caller returns the line of the case that is being reported from: the first
// one outside this file.
func caller() string {
	pcs := make([]uintptr, 16)
	frames := runtime.CallersFrames(pcs[:runtime.Callers(2, pcs)])
	for {
		frame, more := frames.Next()
		file := path.Base(frame.File)
		if file != "check.go" || !more {
			return fmt.Sprintf("%s:%d", file, frame.Line)
		}
	}
}

// ok gives up if a call failed.
func (c *check) ok(call string, err error) {
	if err != nil {
		c.fatalf("%s: got error %v, want none", call, err)
	}
}

// wantErr checks the outcome of a call.
func (c *check) wantErr(call string, err, want error) {
	if !errors.Is(err, want) {
		c.errorf("%s: got error %v, want %v", call, err, want)
	}
}

// create stores rec and returns it as it must come back.
func (c *check) create(s backend.Store, rec backend.Record) backend.Record {
	c.ok("Create", s.Create(c.ctx, rec))
	rec.Version = 1
	rec.Shorten, rec.Confirm = false, false
	return rec
}

// update stores rec and returns it as it must come back, if its expiry is not
// an earlier one.
func (c *check) update(s backend.Store, rec backend.Record) backend.Record {
	c.ok("Update", s.Update(c.ctx, rec))
	rec.Version++
	rec.Shorten, rec.Confirm = false, false
	return rec
}

// wantRecord checks what Load returns.
func (c *check) wantRecord(s backend.Store, want backend.Record) {
	got, err := s.Load(c.ctx, want.ID)
	if err != nil {
		c.errorf("Load: got error %v, want %s", err, describe(want))
		return
	}
	c.wantSame("Load", got, want)
}

// wantGone checks that there is no record.
func (c *check) wantGone(s backend.Store, id uuid.UUID) {
	rec, err := s.Load(c.ctx, id)
	if err == nil {
		c.errorf("Load: got %s, want error %v", describe(rec), backend.ErrNotFound)
		return
	}
	c.wantErr("Load", err, backend.ErrNotFound)
}

func (c *check) wantSame(call string, got, want backend.Record) {
	if !same(got, want) {
		c.errorf("%s: got %s, want %s", call, describe(got), describe(want))
	}
}

// same compares two records. Expires is an instant, in whatever zone.
func same(a, b backend.Record) bool {
	return a.ID == b.ID && a.Version == b.Version && a.Expires.Equal(b.Expires) &&
		a.User == b.User && bytes.Equal(a.Data, b.Data) && a.Shorten == b.Shorten && a.Confirm == b.Confirm
}

func describe(rec backend.Record) string {
	var b strings.Builder
	fmt.Fprintf(&b, "record %v version %d expires %s user %s data %s",
		rec.ID, rec.Version, rec.Expires.UTC().Format("15:04:05.999999999"), brief(rec.User), brief(string(rec.Data)))
	if rec.Shorten {
		b.WriteString(" Shorten")
	}
	if rec.Confirm {
		b.WriteString(" Confirm")
	}
	return b.String()
}

// brief quotes s if it is short, and its ends if it is long.
func brief(s string) string {
	if len(s) <= 40 {
		return fmt.Sprintf("%q", s)
	}
	return fmt.Sprintf("%q…%q (%d bytes)", s[:16], s[len(s)-16:], len(s))
}

// race calls fn(0) … fn(n-1) at once and returns their results.
func (c *check) race(n int, fn func(i int) error) []error {
	errs := make([]error, n)
	start := make(chan struct{})
	var wg sync.WaitGroup
	for i := range n {
		wg.Go(func() {
			<-start
			errs[i] = fn(i)
		})
	}
	close(start)
	wg.Wait()
	return errs
}

// wantOneWinner checks that one of errs is nil, and the others one of losses.
// It returns the place of the winner.
func (c *check) wantOneWinner(call string, errs []error, losses ...error) int {
	winners, winner := 0, 0
	for i, err := range errs {
		if err == nil {
			winners++
			winner = i
			continue
		}
		c.wantOneOf(call, err, losses...)
	}
	if winners != 1 {
		c.fatalf("%s × %d at once: %d succeeded, want exactly 1", call, len(errs), winners)
	}
	return winner
}

func (c *check) wantOneOf(call string, err error, outcomes ...error) {
	for _, want := range outcomes {
		if errors.Is(err, want) {
			return
		}
	}
	c.errorf("%s: got error %v, want one of %v", call, err, outcomes)
}

// newRecord is a record that lives for an hour.
func newRecord(user, data string) backend.Record {
	return backend.Record{ID: newID(), Expires: in(time.Hour), User: user, Data: []byte(data)}
}

func newID() uuid.UUID { return uuid.Must(uuid.NewV7()) }

// in is the instant after d, in whole milliseconds, as callers hand them over.
func in(d time.Duration) time.Time { return time.Now().Add(d).Truncate(time.Millisecond) }

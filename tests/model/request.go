package model

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"slices"
	"time"

	"github.com/google/uuid"

	"github.com/chisession/session"
	"github.com/chisession/session/cookie"
	"github.com/chisession/session/flash"
)

// keys are what requests fight over.
var keys = []string{"a", "b", "c"}

// userName returns a name that only this session has.
func userName(rng *rand.Rand, id string) string {
	return []string{"ann ", "bob "}[rng.IntN(2)] + id
}

// A request is one in the making.
type request struct {
	r     *run
	p     *perRequest
	s     *session.Session
	token int
	late  error // Session.Err when the handler began
	found bool

	id      string
	base    Values
	pending Change
	renewed bool
	login   bool
	destroy bool
	again   bool // Destroy failed once
	wiped   bool // SetUser took the session from another user
	moved   bool // the login lost its session, and is in a new one
	over    bool // an error came: it does no more
	absolut time.Duration

	ops  []*timed
	last *timed // the operation that the response's cookie is about
}

type timed struct {
	op        Op
	from, to  int64
	ambiguous bool // a store call of it failed, or lost its reply
}

// someSession returns the ID of one that there is, or was.
func (r *run) someSession(rng *rand.Rand) string {
	r.mu.Lock()
	defer r.mu.Unlock()
	if len(r.ids) == 0 {
		return ""
	}
	return r.ids[max(len(r.ids)-1-rng.IntN(2), 0)]
}

// someToken returns what a browser sends: mostly what it holds, sometimes what
// it held.
func (r *run) someToken(rng *rand.Rand) string {
	r.mu.Lock()
	defer r.mu.Unlock()
	if len(r.order) > 0 && rng.IntN(6) == 0 {
		return r.order[max(len(r.order)-1-rng.IntN(3), 0)]
	}
	return r.current
}

func (r *run) number(token string) int {
	if token == "" {
		return 0
	}
	if r.tokens[token] == 0 {
		r.tokens[token] = len(r.tokens) + 1
	}
	return r.tokens[token]
}

// request makes one request.
func (r *run) request(client int, rng *rand.Rand) {
	token := r.someToken(rng)
	q := r.begin(client, rng, token)
	r.send(q, client, token, q.handle)
}

// read makes one that reads, and takes the messages.
func (r *run) read(client int, token string) {
	q := r.begin(client, rand.New(rand.NewPCG(0, 0)), token)
	r.send(q, client, token, func() {
		if q.load(); q.found {
			q.take()
		}
	})
}

func (r *run) begin(client int, rng *rand.Rand, token string) *request {
	r.mu.Lock()
	defer r.mu.Unlock()
	return &request{
		r: r, token: r.number(token), id: r.owner[token], pending: Change{},
		p: &perRequest{client: client, number: int(r.requests.Add(1)), rng: rng},
	}
}

// send sends the request, and records what came of it.
func (r *run) send(q *request, client int, token string, handle func()) {
	req := httptest.NewRequest("GET", "https://example.com/", nil)
	req = req.WithContext(context.WithValue(req.Context(), perRequestKey{}, q.p))
	if token != "" {
		req.AddCookie(&http.Cookie{Name: cookie.DefaultName, Value: token})
	}
	w := httptest.NewRecorder()
	ran := false
	q.ops = append(q.ops, &timed{from: r.h.now()})
	var end int64
	r.managers[client%len(r.managers)].Middleware(http.HandlerFunc(func(_ http.ResponseWriter, req *http.Request) {
		ran = true
		q.s = session.FromContext(req)
		handle()
		tick()
		q.p.failed = false
		end = r.h.now()
	})).ServeHTTP(w, req)
	res := w.Result()
	if !ran {
		if !q.p.failed || res.StatusCode != http.StatusServiceUnavailable {
			r.h.violation("request %d was answered %d, and nothing had failed", q.p.number, res.StatusCode)
		}
		return
	}
	q.finish(res, end)
}

// tick waits for the next millisecond, so that every request moves the expiry
// whatever the clock: a schedule has the same store calls each time.
func tick() {
	for start := time.Now().UnixMilli(); time.Now().UnixMilli() == start; {
	}
}

// load records what the request was given.
func (q *request) load() {
	q.late, q.found = q.s.Err(), !q.s.IsNew()
	op := Op{Session: q.id, Kind: Load, Token: q.token, Request: q.p.number, Found: q.found}
	if q.found {
		if got := q.s.ID(); q.id != got {
			q.r.h.violation("request %d: token %d of session %s opened %s", q.p.number, q.token, q.id, got)
		}
		q.base = q.values()
		op.Seen, op.Expires = q.base, q.s.ExpiresAt().UnixMilli()
	}
	q.ops[0].op, q.ops[0].to = op, q.r.h.now()
}

// values returns all that the request sees.
func (q *request) values() Values {
	v := Values{}
	for _, key := range q.s.Keys() {
		v[key], _ = q.s.Get(key).(string)
	}
	if user := q.s.User(); user != "" {
		v[userKey] = user
	}
	return v
}

// handle is the handler: up to three rounds of changes, each with its end.
func (q *request) handle() {
	q.load()
	if !q.found {
		q.start()
		return
	}
	rng := q.p.rng
	for range rng.IntN(3) {
		q.change()
		q.end()
		if q.over {
			return
		}
	}
	q.change()
	switch kind := rng.IntN(12); {
	case kind == 0:
		q.destroyIt()
	case kind == 1, kind == 2:
		q.s.Renew()
		q.renewed = true
	case kind == 3:
		q.log()
	}
	if rng.IntN(3) == 0 {
		q.end()
	}
}

// start begins a session, mostly.
func (q *request) start() {
	rng := q.p.rng
	if q.p.number > 1 && rng.IntN(3) == 0 {
		return // a page that needs none
	}
	if rng.IntN(5) == 0 {
		q.s.Renew()
		q.renewed = true
	}
	q.set(rng)
	if q.r.Mode == Free && rng.IntN(4) == 0 {
		q.absolut = time.Duration(20+rng.IntN(60)) * time.Millisecond
		q.s.SetAbsoluteTimeout(q.absolut)
	}
}

func (q *request) destroyIt() {
	q.s.Destroy()
	q.destroy, q.pending, q.renewed, q.login, q.wiped = true, Change{}, false, false, false
}

func (q *request) log() {
	name := userName(q.p.rng, q.id)
	was := q.s.User()
	q.s.SetUser(name)
	if was != "" && was != name {
		q.pending, q.base, q.wiped = Change{}, Values{}, true
	}
	q.pending[userKey] = &name
	q.renewed, q.login = true, true
}

// change does some changes.
func (q *request) change() {
	rng := q.p.rng
	for range rng.IntN(3) {
		key := keys[rng.IntN(len(keys))]
		switch kind := rng.IntN(8); {
		case kind == 0:
			q.s.Delete(key)
			q.deleted(key)
		case kind == 1:
			q.pop(key)
		case kind == 2:
			q.clear()
		case kind == 3, kind == 4:
			q.addFlash()
		default:
			q.set(rng)
		}
	}
}

// text returns one that nobody else sets.
func (q *request) text() string { return fmt.Sprintf("%d.%d", q.p.number, q.r.h.now()) }

func (q *request) set(rng *rand.Rand) {
	key, text := keys[rng.IntN(len(keys))], q.text()
	q.s.Set(key, text)
	q.pending[key] = &text
}

// deleted notes a Delete: it counts if there was something to delete.
func (q *request) deleted(key string) {
	if _, stored := q.base[key]; stored {
		q.pending[key] = nil
	} else {
		delete(q.pending, key)
	}
}

func (q *request) pop(key string) {
	want, there := q.pending.over(q.base)[key]
	got, _ := q.s.Pop(key).(string)
	if there && got != want {
		q.r.h.violation("request %d: Pop(%q): got %q, want %q", q.p.number, key, got, want)
	}
	q.deleted(key)
}

func (q *request) clear() {
	q.s.Clear()
	user := q.pending[userKey]
	q.pending = Change{}
	if user != nil {
		q.pending[userKey] = user
	}
	for key := range q.base {
		if key != userKey {
			q.pending[key] = nil
		}
	}
}

func (q *request) addFlash() {
	before := q.values()
	text := q.text()
	flash.Of(q.s).Add(flash.LevelNotice, "%s", text)
	for key, value := range q.values() {
		if _, old := before[key]; !old && value == text {
			q.pending[key] = &text
		}
	}
}

// end stores what was changed, in one way or another.
func (q *request) end() {
	q.p.failed = false
	switch n := q.p.rng.IntN(8); {
	case q.destroy:
		q.save()
	case n < 3:
		q.save()
	case n < 6:
		q.update()
	case n < 7 || len(q.pending) > 0 || q.renewed:
		q.take()
	default:
		q.reload()
	}
}

// commit begins the operation of a commit.
func (q *request) commit() *timed {
	t := &timed{from: q.r.h.now(), op: Op{
		Session: q.id, Kind: Commit, Token: q.token, Request: q.p.number,
		Before: maps.Clone(q.pending), Change: maps.Clone(q.pending),
		Login: q.login, Wipe: q.wiped, Destroy: q.destroy, Again: q.again, Cookie: Unknown,
	}}
	if q.renewed {
		t.op.Renewed = -q.p.number // until it is known
	}
	q.ops, q.last = append(q.ops, t), t
	return t
}

// ended fills in the outcome of a commit that the handler waited for.
func (q *request) ended(t *timed, err error) {
	t.to, t.ambiguous = q.r.h.now(), q.p.failed
	switch {
	case err == nil && q.login && q.s.ID() != q.id:
		q.lostLogin(t)
		return
	case err == nil:
		t.op.Outcome = Done
	case errors.Is(err, session.ErrOutcomeUnknown), errors.Is(err, errInjected):
		t.op.Outcome, q.over = Open, true
		q.perhapsElsewhere(t)
		q.r.h.mayRepeat(t.op.Before) // the commit at the end tries once more
		return
	case errors.Is(err, session.ErrDestroyed), errors.Is(err, session.ErrSuperseded):
		t.op.Outcome, q.over = Dropped, true
		q.pending, q.renewed, q.login, q.wiped = Change{}, false, false, false
		if t.ambiguous {
			t.op.Outcome = Open
		}
		return
	default:
		q.r.h.violation("request %d: %v", q.p.number, err)
		q.over = true
		return
	}
	q.pending, q.login, q.wiped = Change{}, false, false
	if q.renewed {
		q.token, q.renewed = t.op.Renewed, false
	}
	q.base = q.values()
	expires := q.s.ExpiresAt().UnixMilli()
	if !t.ambiguous {
		t.op.After, t.op.Expires = q.base, expires
		return
	}
	// It was read back: others may have come in between.
	q.ops = append(q.ops, &timed{op: Op{Session: q.id, Kind: Touch, Request: q.p.number, Expires: expires}, from: t.from, to: t.to})
}

// perhapsElsewhere notes that a login that failed may have been stored as a new
// session all the same, under a token that nobody got.
func (q *request) perhapsElsewhere(t *timed) {
	if q.login {
		q.r.h.elsewhere(*t.op.Change[userKey])
		t.op.Seen = nil // it may be of that one
	}
}

// lostLogin notes that a login was stored as a new session, as its own had
// ended or was renewed.
func (q *request) lostLogin(t *timed) {
	t.op.Outcome, q.moved, q.over = Dropped, true, true
	if t.ambiguous {
		t.op.Outcome = Open
	}
	q.r.h.elsewhere(*t.op.Change[userKey])
	for key, text := range q.base { // both sessions have them now
		if isFlash(key) {
			q.r.h.mayRepeat(Change{key: &text})
		}
	}
	q.pending, q.renewed, q.login, q.wiped = Change{}, false, false, false
	t.op.Renewed = -q.p.number // of no token that is known
}

func (q *request) save() {
	if !q.destroy && !q.renewed && len(q.pending) == 0 {
		q.touch()
		return
	}
	t := q.commit()
	err := q.s.Save()
	if q.destroy {
		q.destroyed(t, err)
		return
	}
	q.ended(t, err)
}

// destroyed is ended after a Destroy: an old token's has no effect, and is told
// so.
func (q *request) destroyed(t *timed, err error) {
	t.to, t.ambiguous = q.r.h.now(), q.p.failed
	t.op.Outcome, q.over = Untold, true
	if errors.Is(err, session.ErrSuperseded) {
		if t.op.Outcome = Dropped; t.ambiguous || t.op.Again {
			t.op.Outcome = Open
		}
		q.destroy = false
		return
	}
	if err != nil {
		q.r.expected("destroy", err)
		t.op.Outcome, q.again = Open, true
		return
	}
	q.destroy = false
}

// touch has the activity noted.
func (q *request) touch() {
	tick()
	before, from := q.s.ExpiresAt(), q.r.h.now()
	if err := q.s.Save(); err != nil && !errors.Is(err, session.ErrDestroyed) {
		q.r.h.violation("request %d: Save of nothing: %v", q.p.number, err)
	}
	q.over = q.s.Err() != nil // it has ended, as the touch found
	if after := q.s.ExpiresAt(); after.After(before) {
		op := Op{Session: q.id, Kind: Touch, Token: q.token, Request: q.p.number, Expires: after.UnixMilli()}
		q.ops = append(q.ops, &timed{op: op, from: from, to: q.r.h.now()})
	}
}

func (q *request) update() {
	t := q.commit()
	key, other, text := keys[q.p.rng.IntN(len(keys))], keys[q.p.rng.IntN(len(keys))], q.text()
	err := q.s.Update(func(v *session.Values) error {
		seen := Values{}
		for _, k := range v.Keys() {
			seen[k], _ = v.Get(k).(string)
		}
		v.Delete(other)
		v.Set(key, text)
		t.op.Seen = seen
		return nil
	})
	t.op.Change[other] = nil
	t.op.Change[key] = &text
	if t.op.Seen == nil { // it did not come to that
		t.op.Change = t.op.Before
	}
	q.ended(t, err)
}

// take takes the flash messages, if there are any as far as the request knows.
func (q *request) take() {
	if len(flashOf(q.pending.over(q.base))) == 0 {
		return
	}
	if !q.renewed && len(flashOf(q.base)) == 0 && q.onlyFlash() {
		q.takeOwn()
		return
	}
	t := q.commit()
	t.op.Take = true
	messages, err := flash.Of(q.s).Take()
	for _, m := range messages {
		t.op.Taken = append(t.op.Taken, m.Text)
	}
	q.r.h.show(q.p.number, t.op.Taken)
	if gone := q.s.Err(); err == nil && len(messages) == 0 && gone != nil {
		err = gone // Take shows nothing then, and does not complain
	}
	q.ended(t, err)
}

// onlyFlash reports whether messages are all that the request has to store.
func (q *request) onlyFlash() bool {
	for key, text := range q.pending {
		if !isFlash(key) || text == nil {
			return false
		}
	}
	return true
}

// takeOwn takes what was never stored: that is nobody else's business.
func (q *request) takeOwn() {
	want := flashOf(q.pending.over(nil))
	var got []string
	messages, err := flash.Of(q.s).Take()
	for _, m := range messages {
		got = append(got, m.Text)
	}
	if err != nil || !slices.Equal(got, want) {
		q.r.h.violation("request %d: Take of its own messages: got %q, %v, want %q", q.p.number, got, err, want)
	}
	q.r.h.show(q.p.number, got)
	q.pending = Change{}
}

// reload reads the session anew.
func (q *request) reload() {
	t := &timed{from: q.r.h.now(), op: Op{Session: q.id, Kind: Load, Token: q.token, Request: q.p.number}}
	err := q.s.Reload()
	t.to = q.r.h.now()
	switch {
	case err == nil:
		q.base = q.values()
		t.op.Found, t.op.Seen, t.op.Expires = true, q.base, q.s.ExpiresAt().UnixMilli()
	case errors.Is(err, session.ErrDestroyed), errors.Is(err, session.ErrSuperseded):
		q.over = true
	default:
		q.r.expected("reload", err)
		q.over = true
		return
	}
	q.ops = append(q.ops, t)
}

// finish records the request once it is answered: the operations of its
// handler, and the commit at its end.
func (q *request) finish(res *http.Response, end int64) {
	r := q.r
	now := r.h.now()
	got, value := answered(res)
	if !q.found {
		q.started(res, end, now, got, value)
		return
	}
	if q.destroy || q.renewed || len(q.pending) > 0 {
		q.implicit(res, end, now)
	} else if res.StatusCode != http.StatusOK {
		r.h.violation("request %d was answered %d, and had nothing to store", q.p.number, res.StatusCode)
	}
	q.settle(got, value)
	for _, t := range q.ops {
		r.h.record(t.op, t.from, t.to)
	}
}

// answered returns what the response did to the cookie.
func answered(res *http.Response) (Cookie, string) {
	cookies := res.Cookies()
	switch {
	case len(cookies) == 0:
		return Alone, ""
	case len(cookies) > 1:
		return Unknown, ""
	case cookies[0].MaxAge < 0:
		return Removed, ""
	}
	return Set, cookies[0].Value
}

// implicit is the commit before the response.
func (q *request) implicit(res *http.Response, end, now int64) {
	t := q.commit()
	t.from, t.to, t.ambiguous = end, now, q.p.failed
	switch res.StatusCode {
	case http.StatusOK:
		t.op.Outcome = Untold
		if q.login && q.s.ID() != q.id {
			q.lostLogin(t)
		}
	case http.StatusServiceUnavailable:
		t.op.Outcome = Open
		q.perhapsElsewhere(t)
		switch {
		case q.p.failed:
		case q.destroy: // which came too late
			t.op.Outcome = Dropped
		default:
			q.r.h.violation("request %d was answered 503, and nothing had failed", q.p.number)
		}
	default:
		q.r.h.violation("request %d was answered %d", q.p.number, res.StatusCode)
	}
}

// settle says what the response's cookie means for the operations, and puts it
// into the browser.
func (q *request) settle(got Cookie, value string) {
	r := q.r
	r.mu.Lock()
	defer r.mu.Unlock()
	if got == Unknown {
		r.h.violation("request %d: more than one cookie in the answer", q.p.number)
	}
	if q.last != nil && !q.last.ambiguous {
		q.last.op.Cookie = got
	} else if q.last == nil && got != Alone {
		r.h.violation("request %d: changed nothing, and its answer has a cookie (%s)", q.p.number, got)
	}
	switch {
	case q.moved: // nobody uses the new session: it is not what is looked at
		if got != Set {
			r.h.violation("request %d: its login is a new session, and its answer has no cookie (%s)", q.p.number, got)
		}
	case got == Set:
		for _, t := range q.ops {
			if t.op.Renewed != 0 {
				t.op.Renewed = r.number(value)
			}
			if t.op.Token < 0 {
				t.op.Token = r.number(value)
			}
		}
		r.owner[value] = q.id
		r.order = append(r.order, value)
		r.current = value
	case got == Removed:
		r.current = ""
	}
}

// started records a request that came without a session.
func (q *request) started(res *http.Response, end, now int64, got Cookie, value string) {
	r := q.r
	load := q.ops[0]
	load.op.Took = got == Set && !q.renewed
	if q.id != "" {
		r.h.record(load.op, load.from, load.to)
	}
	wanted := len(q.pending) > 0
	late := errors.Is(q.late, session.ErrSuperseded) && !q.renewed
	switch {
	case res.StatusCode == http.StatusServiceUnavailable && q.p.failed:
		return
	case res.StatusCode != http.StatusOK:
		r.h.violation("request %d was answered %d", q.p.number, res.StatusCode)
		return
	case wanted && !late && got != Set, (!wanted || late) && got != Alone:
		r.h.violation("request %d: began with nothing (%v), Set something: %v, answer's cookie: %q", q.p.number, q.late, wanted, got)
		return
	case got != Set:
		return
	}
	id := q.s.ID()
	r.mu.Lock()
	op := Op{Session: id, Kind: Create, Request: q.p.number, Change: q.pending, Renewed: r.number(value), Outcome: Done, Cookie: Set}
	r.owner[value], r.current = id, value
	r.order = append(r.order, value)
	r.ids = append(r.ids, id)
	r.mu.Unlock()
	r.h.record(op, end, now)
	if q.absolut > 0 {
		created := time.UnixMilli(createdMilli(id))
		r.expireAt(id, created.Add(q.absolut))
	}
}

// createdMilli returns the time in a UUIDv7.
func createdMilli(id string) int64 {
	sec, nsec := uuid.MustParse(id).Time().UnixTime()
	return sec*1000 + nsec/1e6
}

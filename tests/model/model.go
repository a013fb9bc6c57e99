package model

import (
	"fmt"
	"maps"
	"math"
	"slices"
	"strings"

	"github.com/anishathalye/porcupine"
)

// never is the return of an operation whose end nobody knows.
const never = math.MaxInt64

// Values are what a session holds: the text of each key, and under userKey
// the user.
type Values map[string]string

// userKey is no key that a request uses.
const userKey = "(user)"

func (v Values) String() string {
	var b strings.Builder
	for _, key := range slices.Sorted(maps.Keys(v)) {
		fmt.Fprintf(&b, "%s=%s ", key, v[key])
	}
	return "{" + strings.TrimSpace(b.String()) + "}"
}

// A Change is a key with its new text; nil deletes it.
type Change map[string]*string

func (c Change) String() string {
	var b strings.Builder
	for _, key := range slices.Sorted(maps.Keys(c)) {
		if c[key] == nil {
			fmt.Fprintf(&b, "-%s ", key)
		} else {
			fmt.Fprintf(&b, "%s=%s ", key, *c[key])
		}
	}
	return "[" + strings.TrimSpace(b.String()) + "]"
}

// over returns v with c laid over it.
func (c Change) over(v Values) Values {
	if len(c) == 0 {
		return v
	}
	out := maps.Clone(v)
	if out == nil {
		out = Values{}
	}
	for key, text := range c {
		if text == nil {
			delete(out, key)
		} else {
			out[key] = *text
		}
	}
	return out
}

// A Kind is what an operation does.
type Kind string

// The kinds.
const (
	Load   Kind = "load"
	Create Kind = "create"
	Commit Kind = "commit"
	Touch  Kind = "touch"
	Revoke Kind = "revoke"
	Expire Kind = "expire"

	// Deadline is the absolute timeout that the session got when it was new.
	// Another user is not bound by it.
	Deadline Kind = "deadline"

	// Shorten comes with an Expire that a test brought about: while it runs,
	// an earlier expiry may be seen.
	Shorten Kind = "shorten"
)

// An Outcome is what the response told of a commit.
type Outcome string

// The outcomes.
const (
	Untold  Outcome = "untold"  // done or dropped, as the session was
	Done    Outcome = "done"    //
	Dropped Outcome = "dropped" // the session had ended, or its token was old
	Open    Outcome = "open"    // an error: done or not
)

// A Cookie is what the response did to the browser's cookie.
type Cookie string

// The cookies.
const (
	Alone   Cookie = ""
	Set     Cookie = "set"
	Removed Cookie = "removed"
	Unknown Cookie = "unknown"
)

// An Op is an operation on one session, with all that its caller saw.
type Op struct {
	Session string // ID
	Kind    Kind
	Token   int // that the request came with
	Request int

	Found   bool   // Load: there was a session
	Took    bool   // Load without one: the request was answered with a cookie of its own
	Seen    Values // Load: the values; Commit of an update: what it was laid over, with Before
	Expires int64  // Load, Commit: as observed

	Before  Change // Commit: what the request had done
	Change  Change // Commit: all of it
	Take    bool   // Commit: it takes the flash messages
	Taken   []string
	After   Values // Commit: what the request saw afterwards
	Renewed int    // Commit, Create: the token that opens the session from then on
	Login   bool   // Commit: Renewed by SetUser
	Wipe    bool   // Commit: the session was another user's, so nothing is kept
	Destroy bool
	Again   bool // Commit: Destroy was tried before in this request, and failed
	Outcome Outcome
	Cookie  Cookie

	User  string // Revoke: of RevokeUser
	Count int    // Revoke: how many it ended
}

func (op Op) String() string {
	s := fmt.Sprintf("request %d: %s token %d", op.Request, op.Kind, op.Token)
	switch op.Kind {
	case Load:
		if !op.Found {
			if op.Took {
				return s + " → nothing, and got a session of its own"
			}
			return s + " → nothing"
		}
		return fmt.Sprintf("%s → %v expires %d", s, op.Seen, op.Expires)
	case Revoke:
		return fmt.Sprintf("request %d: revoke %s → %d %s", op.Request, op.User, op.Count, op.Outcome)
	case Expire, Deadline:
		return string(op.Kind)
	}
	s += fmt.Sprintf(" %v", op.Change)
	if op.Seen != nil {
		s += fmt.Sprintf(" on %v", op.Seen)
	}
	if op.Wipe {
		s += " for another user"
	}
	if op.Take {
		s += fmt.Sprintf(" take %q", op.Taken)
	}
	if op.Renewed != 0 {
		s += fmt.Sprintf(" renewed to %d", op.Renewed)
	}
	if op.Destroy {
		s += " destroy"
	}
	s += fmt.Sprintf(" → %s, cookie %q", op.Outcome, op.Cookie)
	if op.After != nil {
		s += fmt.Sprintf(", then %v", op.After)
	}
	if op.Expires != 0 {
		s += fmt.Sprintf(" expires %d", op.Expires)
	}
	return s
}

// A state is a session.
type state struct {
	alive   bool
	token   int
	values  Values
	expires int64 // it does not expire before that
	passed  bool  // on to another user
}

func (s state) String() string {
	if !s.alive {
		return "dead"
	}
	return fmt.Sprintf("token %d %v", s.token, s.values)
}

// step returns the states that op can lead to, none if it cannot have been.
func (s state) step(op Op) []state {
	switch op.Kind {
	case Create:
		created := state{alive: true, token: op.Renewed, values: op.Change.over(Values{}), expires: op.Expires}
		return []state{created}
	case Load:
		return s.load(op)
	case Touch:
		if !s.alive {
			return nil
		}
		s.expires = max(s.expires, op.Expires)
		return []state{s}
	case Deadline:
		if s.passed {
			return []state{s}
		}
		return []state{{}}
	case Revoke, Expire:
		return s.revoke(op)
	case Shorten:
		s.expires = 0
		return []state{s}
	}
	return s.commit(op)
}

func (s state) opens(op Op) bool { return s.alive && s.token == op.Token }

func (s state) load(op Op) []state {
	switch {
	case !op.Found:
		if s.opens(op) || op.Took && s.alive {
			return nil // it was there; or a late request replaced its cookie
		}
	case !s.opens(op) || !maps.Equal(s.values, op.Seen) || op.Expires < s.expires:
		return nil
	default:
		s.expires = op.Expires
	}
	return []state{s}
}

func (s state) revoke(op Op) []state {
	dead := state{}
	switch {
	case op.Outcome == Open:
		return []state{s, dead}
	case op.User == "":
		return []state{dead}
	case op.Count == 1:
		if s.alive && s.values[userKey] == op.User {
			return []state{dead}
		}
		return nil
	case s.alive && s.values[userKey] == op.User:
		return nil // it was one of the user's, and it was spared
	}
	return []state{s}
}

func (s state) commit(op Op) []state {
	done, can := s, false
	if s.opens(op) {
		done, can = s.apply(op), s.explains(op)
	}
	switch op.Outcome {
	case Done:
		if can {
			return []state{done}
		}
	case Dropped:
		if !s.opens(op) {
			return []state{s}
		}
	case Open:
		if s.opens(op) && (op.Seen == nil || op.Login) { // a login may be done on what an earlier try saw
			return []state{s, done}
		}
		if can {
			return []state{s, done}
		}
		return []state{s}
	case Untold:
		if can {
			return []state{done}
		}
		if !s.opens(op) && s.leaves(op) {
			return []state{s}
		}
	}
	return nil
}

// explains reports whether the caller saw what it must have seen if op was
// done in s.
func (s state) explains(op Op) bool {
	under := op.Before.over(op.keeps(s.values))
	switch {
	case op.Seen != nil && !maps.Equal(withoutUser(under), op.Seen):
		return false
	case op.Take && !slices.Equal(flashOf(under), op.Taken):
		return false
	case op.After != nil && !maps.Equal(s.apply(op).values, op.After):
		return false
	case op.Cookie == Unknown:
		return true
	case op.Destroy:
		return op.Cookie == Removed
	case op.Renewed != 0:
		return op.Cookie == Set
	}
	return op.Cookie == Alone
}

// leaves reports whether op, that was dropped, left alone what it had to.
func (s state) leaves(op Op) bool {
	switch {
	case len(op.Taken) > 0:
		return false
	case op.Login:
		return false // a login is never lost: it is another session's, see settle
	case op.Again && !s.alive && op.Cookie == Removed:
		return true // its first try may have done it
	}
	return op.Cookie == Alone || op.Cookie == Unknown
}

func (s state) apply(op Op) state {
	if op.Destroy {
		return state{}
	}
	s.values = op.Change.over(op.keeps(s.values))
	if op.Take {
		s.values = maps.Clone(s.values)
		maps.DeleteFunc(s.values, func(key, _ string) bool { return isFlash(key) })
	}
	if op.Renewed != 0 {
		s.token = op.Renewed
	}
	s.expires = max(s.expires, op.Expires)
	if op.Wipe { // the former user's timeouts went, too
		s.passed, s.expires = true, op.Expires
	}
	return s
}

// keeps returns what op leaves of v for its change to be laid over.
func (op Op) keeps(v Values) Values {
	if op.Wipe {
		return Values{}
	}
	return v
}

// withoutUser is what the function of an Update sees.
func withoutUser(v Values) Values {
	v = maps.Clone(v)
	delete(v, userKey)
	return v
}

func isFlash(key string) bool { return strings.HasPrefix(key, "_flash:") }

// flashOf returns the messages in v, in order.
func flashOf(v Values) []string {
	var texts []string
	for _, key := range slices.Sorted(maps.Keys(v)) {
		if isFlash(key) {
			texts = append(texts, v[key])
		}
	}
	return texts
}

// sequential is the model as porcupine wants it, one session a partition.
func sequential() porcupine.Model {
	m := porcupine.NondeterministicModel{
		Partition: func(history []porcupine.Operation) [][]porcupine.Operation {
			byID := map[string][]porcupine.Operation{}
			for _, op := range history {
				id := op.Input.(Op).Session
				byID[id] = append(byID[id], op)
			}
			return slices.Collect(maps.Values(byID))
		},
		Init: func() []any { return []any{state{}} },
		Step: func(s, op, _ any) []any {
			var states []any
			for _, next := range s.(state).step(op.(Op)) {
				states = append(states, next)
			}
			return states
		},
		Equal: func(a, b any) bool {
			x, y := a.(state), b.(state)
			return x.alive == y.alive && x.token == y.token && x.expires == y.expires && x.passed == y.passed && maps.Equal(x.values, y.values)
		},
		DescribeOperation: func(op, _ any) string { return op.(Op).String() },
		DescribeState:     func(s any) string { return s.(state).String() },
	}
	return m.ToModel()
}

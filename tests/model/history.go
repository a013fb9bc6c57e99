package model

import (
	"cmp"
	"errors"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/anishathalye/porcupine"
)

// A history is what the requests of one run did and saw.
type history struct {
	clock atomic.Int64 // orders calls and returns

	mu    sync.Mutex // guards the rest
	ops   []porcupine.Operation
	wrong []string
	shown map[string][]int // flash message → requests
	twice map[string]bool  // those that a handler stored again after an error, or that two sessions had
	users map[string]bool  // who have a session that is not looked at, see lostLogin
}

func newHistory() *history {
	return &history{shown: map[string][]int{}, twice: map[string]bool{}, users: map[string]bool{}}
}

// now is the next instant.
func (h *history) now() int64 { return h.clock.Add(1) }

func (h *history) record(op Op, from, to int64) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.ops = append(h.ops, porcupine.Operation{ClientId: op.Request, Input: op, Call: from, Return: to})
}

// violation notes what is wrong by itself, whatever the order.
func (h *history) violation(format string, args ...any) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.wrong = append(h.wrong, fmt.Sprintf(format, args...))
}

// show notes that a request showed messages.
func (h *history) show(request int, texts []string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, text := range texts {
		h.shown[text] = append(h.shown[text], request)
	}
}

// mayRepeat notes what a handler stores again after an error.
func (h *history) mayRepeat(change Change) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, text := range change {
		if text != nil {
			h.twice[*text] = true
		}
	}
}

// elsewhere notes that a user has a session that is not looked at.
func (h *history) elsewhere(user string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.users[user] = true
}

// checkTime is how long the checker may think about one session's history.
const checkTime = 20 * time.Second

// check returns the violations, as an error.
func (h *history) check() error {
	h.mu.Lock()
	defer h.mu.Unlock()
	var errs []error
	for _, text := range slices.Sorted(maps.Keys(h.shown)) {
		if by := h.shown[text]; len(by) > 1 && !h.twice[text] {
			h.wrong = append(h.wrong, fmt.Sprintf("flash message %q was shown by the requests %v", text, by))
		}
	}
	for _, wrong := range h.wrong {
		errs = append(errs, errors.New(wrong))
	}
	if len(h.wrong) > 0 {
		errs = append(errs, fmt.Errorf("in this history:\n%s", listing(h.ops)))
	}
	for i := range h.ops {
		if op := h.ops[i].Input.(Op); op.Kind == Revoke && h.users[op.User] {
			op.Outcome = Open // which of the user's sessions it ended is not known
			h.ops[i].Input = op
		}
	}
	m := sequential()
	for _, part := range m.Partition(h.ops) {
		switch porcupine.CheckOperationsTimeout(m, part, checkTime) {
		case porcupine.Illegal:
			errs = append(errs, fmt.Errorf("no order explains the history of session %s:\n%s", part[0].Input.(Op).Session, listing(part)))
		case porcupine.Unknown:
			errs = append(errs, fmt.Errorf("undecided after %v: %d operations", checkTime, len(part)))
		}
	}
	return errors.Join(errs...)
}

// listing prints operations in the order of their calls.
func listing(ops []porcupine.Operation) string {
	ops = slices.SortedFunc(slices.Values(ops), func(a, b porcupine.Operation) int { return cmp.Compare(a.Call, b.Call) })
	var b strings.Builder
	for _, op := range ops {
		to := fmt.Sprint(op.Return)
		if op.Return == never {
			to = "…"
		}
		fmt.Fprintf(&b, "  %4d-%4s  %v\n", op.Call, to, op.Input)
	}
	return uuids.ReplaceAllString(b.String(), "…$1")
}

// uuids are cut in a listing: their ends are random.
var uuids = regexp.MustCompile(`[0-9a-f]{8}-[0-9a-f-]{23}([0-9a-f]{4})`)

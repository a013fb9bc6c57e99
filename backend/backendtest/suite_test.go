package backendtest

import (
	"context"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/chisession/session/backend"
)

func TestCorrectStorePasses(t *testing.T) {
	t.Parallel()
	Run(t, func(*testing.T) backend.Store { return newToy("") })
}

// plain is a store without any optional interface.
type plain struct{ backend.Store }

func TestPlainStorePasses(t *testing.T) {
	t.Parallel()
	Run(t, func(*testing.T) backend.Store { return plain{newToy("")} })
}

func TestSharedStorePasses(t *testing.T) {
	t.Parallel()
	RunShared(t, func(*testing.T) (a, b backend.Store) {
		s := newToy("")
		return s, s
	})
}

// TestSuiteFindsFlaws runs, for every flaw that a toy can have, the case that
// must find it: a suite that cannot fail proves nothing.
func TestSuiteFindsFlaws(t *testing.T) {
	for _, tt := range []struct{ flaw, by string }{
		{"update creates", "Update"},
		{"update does not count", "Update"},
		{"update ignores the version", "UpdateVersions"},
		{"update in two steps", "UpdateRace"},
		{"update in two steps", "UpdateNoneLost"},
		{"update in two steps", "DeleteRace"},
		{"update in two steps", "ByUserRace"},
		{"update in two steps", "Mixed"},
		{"update revives", "Expired"},
		{"update shortens", "UpdateExpires"},
		{"update shortens", "UpdateIntoThePast"},
		{"update never shortens", "UpdateExpires"},
		{"update never shortens", "UpdateIntoThePast"},
		{"update reuses the buffer", "Immutable"},
		{"create overwrites", "CreateExists"},
		{"create keeps the version", "Create"},
		{"create in two steps", "CreateRace"},
		{"keeps Shorten", "Create"},
		{"keeps Confirm", "Create"},
		{"keeps Confirm", "UpdateExpires"},
		{"keeps seconds", "Create"},
		{"touch moves back", "Touch"},
		{"touch counts", "Touch"},
		{"an idle touch is not found", "Touch"},
		{"touch revives", "Expired"},
		{"touch in two steps", "TouchRace"},
		{"touch in two steps", "DeleteRace"},
		{"leaves expiry to the sweep", "Expiry"},
		{"leaves expiry to the sweep", "Expired"},
		{"keeps seconds", "Expiry"},
		{"delete of nothing fails", "Delete"},
		{"delete does nothing", "Delete"},
		{"delete version ignores it", "DeleteVersion"},
		{"delete version takes expired ones", "ExpiredDeleteVersion"},
		{"delete version in two steps", "DeleteVersionRace"},
		{"cuts IDs", "IDs"},
		{"cuts large data", "DataSizes"},
		{"wants UTF-8", "DataBytes"},
		{"trims users", "UserNames"},
		{"ends users at NUL", "UserNames"},
		{"cuts long users", "UserTooLong"},
		{"trims users", "ByUserExact"},
		{"index folds case", "ByUserExact"},
		{"index keeps expired ones", "ExpiredByUser"},
		{"index does not follow", "ByUser"},
		{"index ends at 100", "ByUserMany"},
		{"index cuts too early", "ByUserHeads"},
		{"list keeps expired ones", "List"},
		{"list lacks anonymous ones", "List"},
		{"list begins with the oldest", "List"},
		{"list ignores the limit", "List"},
		{"list folds case", "ListPrefix"},
		{"sweep ignores the limit", "Sweep"},
		{"sweep does not count", "Sweep"},
		{"sweep goes by the first expiry", "SweepTouched"},
		{"sweep in two steps", "SweepRace"},
		{"sweep in two steps", "SweepCreateRace"},
		{"sweep is early and in two steps", "SweepTouchRace"},
		{"counts what was", "Count"},
		{"ignores the context", "Cancelled"},
		{"works when closed", "Closed"},
	} {
		t.Run(tt.flaw+" is found by "+tt.by, func(t *testing.T) {
			t.Parallel()
			tc := caseNamed(t, tt.by)
			for range 10 { // a race may be missed once
				if c := tc.check(func() backend.Store { return newToy(tt.flaw) }); len(c.errs) > 0 {
					return
				}
			}
			t.Error("the case found nothing wrong")
		})
	}
}

func caseNamed(t *testing.T, name string) testCase {
	t.Helper()
	for _, tc := range cases {
		if tc.name == name {
			return tc
		}
	}
	t.Fatalf("no case %q", name)
	return testCase{}
}

// TestSharedFindsSplitStorage gives the two handles a storage each, as a cache
// in the process would.
func TestSharedFindsSplitStorage(t *testing.T) {
	for _, name := range []string{"Load", "Update", "Delete", "CreateRace", "ByUser"} {
		c := caseNamed(t, name).check(func() backend.Store { return newPair(newToy(""), newToy("")) })
		if len(c.errs) == 0 {
			t.Errorf("%s found nothing wrong with two stores that share nothing", name)
		}
	}
}

func TestErrorsSayWhereAndWhat(t *testing.T) {
	c := caseNamed(t, "UpdateVersions").check(func() backend.Store { return newToy("update ignores the version") })
	text := c.errs[0].Error()
	for _, want := range []string{"verbs.go:", "Update of another version", "got error <nil>", "version conflict"} {
		if !strings.Contains(text, want) {
			t.Errorf("error %q: want it to have %q", text, want)
		}
	}
}

// brokenDown is a store whose server cannot be reached.
type brokenDown struct{ backend.Store }

func (brokenDown) Load(context.Context, uuid.UUID) (backend.Record, error) {
	return backend.Record{}, context.DeadlineExceeded
}

// TestOtherErrorsAreNotNotFound: an error that no sentinel stands for is never
// taken for an outcome.
func TestOtherErrorsAreNotNotFound(t *testing.T) {
	for _, name := range []string{"Load", "Delete", "Expiry"} {
		if c := caseNamed(t, name).check(func() backend.Store { return brokenDown{newToy("")} }); len(c.errs) == 0 {
			t.Errorf("%s found nothing wrong with a store that is down", name)
		}
	}
}

// stalling is a store whose first Touch takes longer than a brisk record lives,
// as on a machine that does much else.
type stalling struct {
	*toy
	stall *sync.Once
}

func (s stalling) Touch(ctx context.Context, id uuid.UUID, expires time.Time) error {
	s.stall.Do(func() { time.Sleep(brisk) })
	return s.toy.Touch(ctx, id, expires)
}

// TestSlowStoreGetsMoreTime: a store that stalls once keeps the contract all the
// same, and one that breaks it is found out, however slow it is.
func TestSlowStoreGetsMoreTime(t *testing.T) {
	for name, flaw := range map[string]string{"Expiry": "keeps seconds", "ProlongedStays": "update does not count", "SweepTouched": "sweep goes by the first expiry"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			run := func(flaw string) *check {
				var stall sync.Once
				return caseNamed(t, name).check(func() backend.Store { return stalling{newToy(flaw), &stall} })
			}
			if c := run(""); len(c.errs) > 0 || len(c.notes) == 0 {
				t.Errorf("of a correct store that stalls: %v, noted %q; want a note and no error", c.errs, c.notes)
			}
			if c := run(flaw); len(c.errs) == 0 {
				t.Errorf("nothing wrong was found with a store that stalls and %s", flaw)
			}
		})
	}
}

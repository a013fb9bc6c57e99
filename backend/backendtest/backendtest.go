// Package backendtest proves that a [backend.Store] keeps the contract, and
// makes one fail on purpose.
//
// [Run] is the conformance suite that every backend of this module passes,
// for use in the tests of your own. [Fault] wraps a store so that the tests of
// what stands above it can have errors, delays, lost replies and gates where
// they want them.
package backendtest

import (
	"testing"

	"github.com/chisession/session/backend"
)

// Run checks the store that open returns against every sentence of the
// contract, races included; run it with -race. It takes some seconds, as some
// records have to expire, and some thousand calls.
//
// Each call of open returns a store on storage of its own, empty and shared
// with nobody; cleaning up is its business, by t.Cleanup. Optional interfaces
// are found by assertion and checked if they are there; which are not is
// logged. The clock of the store's server must agree with the test's to 25 ms.
func Run(t *testing.T, open func(t *testing.T) backend.Store) {
	run(t, open)
}

// RunShared is [Run] for two stores that are open on one storage, as in two
// processes: each call goes to one of the two, so that all that one does must
// hold for the other, and the races are races between them.
func RunShared(t *testing.T, open func(t *testing.T) (a, b backend.Store)) {
	run(t, func(t *testing.T) backend.Store { return newPair(open(t)) })
}

func run(t *testing.T, open func(t *testing.T) backend.Store) {
	has := Capabilities(open(t))
	t.Logf("the store has %v", has)
	for _, tc := range cases {
		if missing := tc.needs &^ has; missing != 0 {
			t.Logf("not checked: %s, as the store has no %v", tc.name, missing)
			continue
		}
		t.Run(tc.name, func(t *testing.T) {
			c := tc.check(func() backend.Store { return open(t) })
			for _, note := range c.notes {
				t.Log(note)
			}
			for _, err := range c.errs {
				t.Error(err)
			}
		})
	}
}

// A testCase is a part of the contract. It reports to a check and not to a
// testing.T, so that this package's own tests can see it fail.
type testCase struct {
	name  string
	needs Capability
	run   func(c *check)
}

var cases = []testCase{
	{"Load", 0, testLoad},
	{"Create", 0, testCreate},
	{"CreateExists", 0, testCreateExists},
	{"Update", 0, testUpdate},
	{"UpdateVersions", 0, testUpdateVersions},
	{"UpdateExpires", 0, testUpdateExpires},
	{"UpdateIntoThePast", 0, testUpdateIntoThePast},
	{"Touch", 0, testTouch},
	{"Delete", 0, testDelete},
	{"DeleteVersion", VersionedDeleter, testDeleteVersion},
	{"Immutable", 0, testImmutable},
	{"DataSizes", 0, testDataSizes},
	{"DataBytes", 0, testDataBytes},
	{"IDs", 0, testIDs},
	{"UserNames", 0, testUserNames},
	{"UserTooLong", 0, testUserTooLong},
	{"ByUser", UserIndex, testByUser},
	{"ByUserExact", UserIndex, testByUserExact},
	{"ByUserMany", UserIndex, testByUserMany},
	{"ByUserHeads", UserIndex, testByUserHeads},
	{"ByUserRace", UserIndex, testByUserRace},
	{"List", Lister, testList},
	{"ListPrefix", Lister, testListPrefix},
	{"Expiry", 0, testExpiry},
	{"Expired", 0, testExpired},
	{"ExpiredDeleteVersion", VersionedDeleter, testExpiredDeleteVersion},
	{"ExpiredByUser", UserIndex, testExpiredByUser},
	{"ProlongedStays", 0, testProlongedStays},
	{"Sweep", Sweeper, testSweep},
	{"SweepTouched", Sweeper, testSweepTouched},
	{"SweepRace", Sweeper, testSweepRace},
	{"SweepTouchRace", Sweeper, testSweepTouchRace},
	{"SweepCreateRace", Sweeper, testSweepCreateRace},
	{"Count", Counter, testCount},
	{"Changed", Comparer, testChanged},
	{"ChangedMany", Comparer, testChangedMany},
	{"ChangedQuiet", Comparer, testChangedQuiet},
	{"CreateRace", 0, testCreateRace},
	{"UpdateRace", 0, testUpdateRace},
	{"UpdateNoneLost", 0, testUpdateNoneLost},
	{"DeleteRace", 0, testDeleteRace},
	{"DeleteVersionRace", VersionedDeleter, testDeleteVersionRace},
	{"TouchRace", 0, testTouchRace},
	{"Mixed", 0, testMixed},
	{"Cancelled", 0, testCancelled},
	{"Closed", closer, testClosed},
}

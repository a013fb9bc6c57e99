//go:build servers

package mysql

import (
	"fmt"
	"os"
	"slices"
	"testing"
	"time"

	"github.com/chisession/session/backend"
	"github.com/chisession/session/internal/sweepload"
)

// TestFiguresSweep: 1,000,000 expired sessions are removed under the hands of
// those who make requests. Their p99 is at most twice that of quiet times, and a
// batch takes at most 5 ms. It does a hundredth of that, and judges no times,
// unless FIGURES is set.
func TestFiguresSweep(t *testing.T) {
	expired, full := 10_000, os.Getenv("FIGURES") != ""
	if full {
		expired = 1_000_000
	} else {
		t.Parallel()
	}
	db := database(t)
	s, filler := openIn(t, db), pool(t, db) // which waits as long as it takes
	// Keys are in the order in which sessions were made, and they mostly
	// expire in it: so are UUIDs of version 7.
	const fill = `INSERT INTO sessions (id, version, expires, user, data)
		SELECT CONCAT(UNHEX(LPAD(HEX(seq * 16 + FLOOR(RAND() * 16)), 12, '0')), RANDOM_BYTES(10)), 1,
			UTC_TIMESTAMP(6) + INTERVAL ? SECOND + INTERVAL seq DIV ? SECOND, IF(seq %% 2, NULL, CONCAT('user', seq)), ?
		FROM seq_%d_to_%d`
	live := make([]backend.Record, 4)
	for i := range live {
		live[i] = create(t, s, record())
	}
	store := func(from, to int, args ...any) {
		t.Helper()
		if _, err := filler.Exec(fmt.Sprintf(fill, from, to), args...); err != nil {
			t.Fatal(err)
		}
	}
	data := slices.Repeat([]byte{0xa5}, 300)
	perSecond := expired/3600 + 1
	for from := 1; from < expired; from += 100_000 {
		store(from, min(from+99_999, expired), -7200, perSecond, data)
	}
	store(expired+1, expired+expired/10, 3600, perSecond, data)
	got, err := sweepload.Measure(s, sweepBatch, live)
	if err != nil {
		t.Fatal(err)
	}
	t.Log(got)
	if got.Removed != expired {
		t.Errorf("%d sessions were swept, want %d", got.Removed, expired)
	}
	if batch := sweepload.At(got.Batches, 0.5); full && (got.Ratio() > 2 || batch > 5*time.Millisecond) {
		t.Errorf("p99 is %.2f times the quiet one, want at most 2; a batch takes %v, want at most 5 ms", got.Ratio(), batch)
	}
}

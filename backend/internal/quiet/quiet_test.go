package quiet

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/uuid"

	"github.com/chisession/session/backend"
)

func TestCache(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var c Cache
		k := backend.Version{ID: uuid.New(), Version: 7}
		at := func(ago time.Duration) Sign { return Sign{Modified: [2]int64{time.Now().Add(-ago).UnixNano()}} }
		has := func(k backend.Version, sign Sign, want bool, when string) {
			t.Helper()
			if got := c.Has(k, sign); got != want {
				t.Errorf("Has %s = %v, want %v", when, got, want)
			}
		}
		quiet := at(time.Minute)
		has(k, quiet, false, "before it was noted")
		c.Note(k, quiet)
		has(k, quiet, true, "after it was noted")
		has(backend.Version{ID: k.ID, Version: 8}, quiet, false, "of another version")
		has(backend.Version{ID: uuid.New(), Version: 7}, quiet, false, "of another record")
		has(k, at(0), false, "after a write")
		size := quiet
		size.Size[1]++
		has(k, size, false, "after a write that only the size shows")

		for name, sign := range map[string]Sign{"just now": at(0), "within the tick": at(settled), "to come": at(-time.Hour)} {
			c.Note(k, sign)
			has(k, sign, false, "of a write "+name)
		}
		for range 100 {
			time.Sleep(time.Second)
			c.Note(backend.Version{ID: uuid.New(), Version: 1}, quiet)
		}
		has(k, quiet, false, "after more than half a minute")
		if n := len(c.young) + len(c.old); n > 31 {
			t.Errorf("%d records are remembered, of 100 in as many seconds", n)
		}
	})
}

// Package quiet remembers which records were found as somebody knows them, so that
// they need not be read again as long as the files that they are in show no sign of
// a write. It is for backends whose records are read by this process itself.
package quiet

import (
	"sync"
	"time"

	"github.com/google/uuid"

	"github.com/chisession/session/backend"
)

const (
	// settled is how long ago the last write must be for a Sign to be good: one
	// that came after it within the file system's tick would not show.
	settled = time.Second

	// forget is how long a record is remembered, or up to twice as long. Then it
	// is read again whatever the Sign says: its writer may have been killed
	// before that changed.
	forget = 15 * time.Second
)

// A Sign is what files look like. After each write it is another one.
type Sign struct {
	Modified [2]int64 // Unix ns, of up to two files
	Size     [2]int64 // their sizes, or whatever else tells them apart
}

// good reports whether a later write is sure to change s. A time to come is none to
// go by.
func (s Sign) good(now time.Time) bool {
	return max(s.Modified[0], s.Modified[1]) < now.Add(-settled).UnixNano()
}

// A Cache is what is remembered. It is safe for concurrent use; the zero Cache is
// empty. It takes about 100 bytes for each record that was asked about within half
// a minute.
type Cache struct {
	mu         sync.Mutex
	young, old map[uuid.UUID]seen
	born       time.Time // of young
}

type seen struct {
	version uint64
	sign    Sign
}

// Has reports whether k was there when the files looked as they do now.
func (c *Cache) Has(k backend.Version, sign Sign) bool {
	want := seen{k.Version, sign}
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.young[k.ID] == want || c.old[k.ID] == want
}

// Note says that k was there after the files looked like that.
func (c *Cache) Note(k backend.Version, sign Sign) {
	now := time.Now()
	if !sign.good(now) {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if now.Sub(c.born) >= forget {
		c.young, c.old, c.born = make(map[uuid.UUID]seen), c.young, now
	}
	c.young[k.ID] = seen{k.Version, sign}
}

package clusters

import (
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/chisession/session/backend"
	"github.com/chisession/session/backend/goredis"
	"github.com/chisession/session/backend/redis"
	"github.com/chisession/session/backend/rueidis"
	"github.com/chisession/session/internal/testserver"
)

// BenchmarkLoads has many callers load sessions from one server, through each
// backend in turn, a fifth of a second at a time. It reports the medians of how
// many loads a second goredis and rueidis make for one of redis.
func BenchmarkLoads(b *testing.B) {
	server, err := testserver.StartRedis(testserver.RedisOptions{})
	must(b, "StartRedis", err)
	b.Cleanup(func() { must(b, "Stop", server.Stop()) })
	names := []string{redis.Name, goredis.Name, rueidis.Name}
	stores := make([]backend.Store, len(names))
	for i, name := range names {
		stores[i] = open(b, name, server.URL())
	}
	var ids []uuid.UUID
	for range 1000 {
		rec := backend.Record{ID: uuid.Must(uuid.NewV7()), Expires: time.Now().Add(time.Hour), Data: make([]byte, 300)}
		must(b, "Create", stores[0].Create(ctx, rec))
		ids = append(ids, rec.ID)
	}
	for _, callers := range []int{1, 16, 64, 256} {
		b.Run(fmt.Sprint(callers), func(b *testing.B) {
			ratios := make([][]float64, len(names))
			for b.Loop() {
				counts := make([]float64, len(names))
				for i, s := range stores {
					counts[i] = float64(loads(b, s, ids, callers))
				}
				for i := range counts {
					ratios[i] = append(ratios[i], counts[i]/counts[0])
				}
			}
			for i, name := range names[1:] {
				slices.Sort(ratios[i+1])
				b.ReportMetric(ratios[i+1][len(ratios[i+1])/2], name+"/redis")
			}
		})
	}
}

// loads counts how many sessions callers load in a fifth of a second.
func loads(b *testing.B, s backend.Store, ids []uuid.UUID, callers int) int64 {
	var n atomic.Int64
	var wg sync.WaitGroup
	deadline := time.Now().Add(200 * time.Millisecond)
	for c := range callers {
		wg.Go(func() {
			for i := c; time.Now().Before(deadline); i++ {
				if _, err := s.Load(ctx, ids[i%len(ids)]); err != nil {
					b.Error(err)
					return
				}
				n.Add(1)
			}
		})
	}
	wg.Wait()
	return n.Load()
}

package clusters

import (
	"fmt"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	redigo "github.com/gomodule/redigo/redis"
	"github.com/google/uuid"

	"github.com/chisession/session/backend"
	"github.com/chisession/session/backend/redis"
	"github.com/chisession/session/backend/rueidis"
	"github.com/chisession/session/internal/testserver"
)

// TestFigures prints what docs/scaling.md has of sizes and costs: bytes a session,
// processor time of the server for a call, and what a WAIT costs.
func TestFigures(t *testing.T) {
	if os.Getenv("FIGURES") == "" {
		t.Skip("FIGURES=1 prints figures, and tests nothing")
	}
	server, err := testserver.StartRedis(testserver.RedisOptions{})
	must(t, "StartRedis", err)
	t.Cleanup(func() { must(t, "Stop", server.Stop()) })
	bytesEach(t, server, "", 200_000)
	bytesEach(t, server, "user", 200_000)
	costs(t, server)
	waits(t)
}

// figure is a record of 300 bytes.
func figure(user string) backend.Record {
	return backend.Record{ID: uuid.Must(uuid.NewV7()), User: user, Expires: time.Now().Add(24 * time.Hour).Truncate(time.Millisecond), Data: make([]byte, 300)}
}

func bytesEach(t *testing.T, server *testserver.Redis, user string, n int) {
	must(t, "FlushAll", server.FlushAll())
	used := func() int64 {
		info, err := redigo.String(server.Do("INFO", "memory"))
		must(t, "INFO", err)
		_, rest, _ := strings.Cut(info, "used_memory:")
		b, _ := strconv.ParseInt(strings.Fields(rest)[0], 10, 64)
		return b
	}
	s, before := open(t, rueidis.Name, server.URL()), used()
	var wg sync.WaitGroup
	for c := range 64 {
		wg.Go(func() {
			for i := c; i < n; i += 64 {
				name := user
				if name != "" {
					name += strconv.Itoa(i)
				}
				if err := s.Create(ctx, figure(name)); err != nil {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
	t.Logf("%d sessions of 300 bytes, user %q: %d bytes each", n, user, (used()-before)/int64(n))
}

// costs prints the server's processor time for a call.
func costs(t *testing.T, server *testserver.Redis) {
	for _, name := range []string{redis.Name, rueidis.Name} {
		s := open(t, name, server.URL())
		for what, call := range map[string]func(rec *backend.Record) error{
			"Load":   func(rec *backend.Record) error { _, err := s.Load(ctx, rec.ID); return err },
			"Update": func(rec *backend.Record) error { err := s.Update(ctx, *rec); rec.Version++; return err },
		} {
			const callers, each = 64, 1500
			before := cpu(t, server.Pid())
			var wg sync.WaitGroup
			for range callers {
				wg.Go(func() {
					rec := figure("")
					if err := s.Create(ctx, rec); err != nil {
						t.Error(err)
						return
					}
					rec.Version = 1
					for range each {
						if err := call(&rec); err != nil {
							t.Error(err)
							return
						}
					}
				})
			}
			wg.Wait()
			spent := cpu(t, server.Pid()) - before
			t.Logf("%s of 64 callers through %s: %.1f µs of the server's processor, %.0f a second and core",
				what, name, spent.Seconds()/callers/each*1e6, callers*each/spent.Seconds())
		}
	}
}

// cpu returns the processor time that a process has had.
func cpu(t *testing.T, pid int) time.Duration {
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	must(t, "read the process's times", err)
	f := strings.Fields(string(stat[strings.LastIndex(string(stat), ")")+2:]))
	user, _ := strconv.Atoi(f[11])
	system, _ := strconv.Atoi(f[12])
	return time.Duration(user+system) * 10 * time.Millisecond
}

// waits compares a login that waits for a replica with one that does not.
func waits(t *testing.T) {
	g, err := testserver.StartRedisSentinels(testserver.RedisGroupOptions{})
	must(t, "StartRedisSentinels", err)
	t.Cleanup(func() { must(t, "Stop", g.Stop()) })
	for _, name := range []string{redis.Name, rueidis.Name} {
		stores := []backend.Store{open(t, name, g.SavePath("")), open(t, name, g.SavePath("replicas=1")), open(t, name, g.SavePath("replicas=1&everywrite=true"))}
		rec := figure("ada")
		must(t, "Create", stores[0].Create(ctx, rec))
		rec.Version = 1
		update := func(s backend.Store, confirm bool) float64 {
			start := time.Now()
			for range 16 {
				rec.Confirm = confirm
				must(t, "Update", s.Update(ctx, rec))
				rec.Version++
			}
			return float64(time.Since(start))
		}
		var login, plain []float64
		for range 150 {
			bare := update(stores[0], false)
			login = append(login, update(stores[1], true)/bare)
			plain = append(plain, update(stores[2], false)/bare)
		}
		slices.Sort(login)
		slices.Sort(plain)
		t.Logf("%s: a login with Replicas 1 takes %.2f × one without, a change with EveryWrite %.2f ×", name, login[75], plain[75])
	}
}

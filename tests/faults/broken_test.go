package faults

import (
	"context"
	"math/rand/v2"
	"sync"
	"testing"
	"time"
)

var (
	disconnects = row{serverProcess, "100 clients disconnect while their handler runs",
		"what the handler Set is stored all the same; goroutines and descriptors flat"}
	panics = row{serverProcess, "200 handlers panic, before and after the first byte",
		"what they Set is dropped, the session lives, every panic goes on to net/http; goroutines and descriptors flat"}
	collectors = row{serverProcess, "four processes (one, in memory) collect every 5 ms while users stay just active enough",
		"nobody is ever logged out; what is abandoned goes"}
)

func TestDisconnects(t *testing.T) {
	on(t, disconnects, cheap(all), func(t *testing.T, k kind, note noter) {
		s := &soaked{k: k, c: start(t, options{Provider: k.name, SavePath: k.fresh(t)})}
		w := gather(t, s.c, 5)
		before := s.c.idle()
		for range pick(20, 4) {
			for _, b := range w.browsers {
				w.wg.Go(func() {
					ctx, cancel := context.WithTimeout(context.Background(), time.Duration(1+rand.IntN(20))*time.Millisecond)
					defer cancel()
					b.sent++
					if resp, err := s.open(ctx, b, "/slow?for=5s&value="+b.value(b.sent)); err == nil {
						resp.Body.Close()
						t.Error("the slow response came")
					}
				})
			}
			w.wg.Wait()
			for _, b := range w.browsers {
				b.there(s.c)
			}
		}
		s.c.idle() // none that was given up is on its way any more
		// In the end, one that certainly had begun.
		for _, b := range w.browsers {
			b.sent++
			ctx, cancel := context.WithCancel(context.Background())
			hits := s.c.measures().Stats.Hits
			w.wg.Go(func() {
				if resp, err := s.open(ctx, b, "/slow?for=5s&value="+b.value(b.sent)); err == nil {
					resp.Body.Close()
				}
			})
			waitFor(t, "the request to be under way", func() bool { return s.c.measures().Stats.Hits > hits })
			cancel()
			w.wg.Wait()
			waitFor(t, "the value to be stored", func() bool { b.there(s.c); return b.acked == b.sent })
		}
		after := s.c.flat(before, 2*len(w.browsers)) // a handler may go on beside the next request
		s.c.end()
		note("goroutines %d → %d, descriptors %d → %d", before.Goroutines, after.Goroutines, before.Descriptors, after.Descriptors)
	})
}

func TestPanics(t *testing.T) {
	on(t, panics, cheap(all), func(t *testing.T, k kind, note noter) {
		s := &soaked{k: k, c: start(t, options{Provider: k.name, SavePath: k.fresh(t)})}
		w := gather(t, s.c, 5)
		before := s.c.idle()
		n := pick(20, 4)
		for _, b := range w.browsers {
			w.wg.Go(func() {
				for range n {
					s.broken(t, b, "/panic")
					b.there(s.c)
					s.broken(t, b, "/panic?late=1")
					b.write(s.c)
				}
			})
		}
		w.wg.Wait()
		w.there(s.c)
		after := s.c.flat(before, len(w.browsers))
		if after.Panics != int64(10*n) {
			t.Errorf("%d panics reached net/http, want %d", after.Panics, 10*n)
		}
		s.c.end()
		note("%d panics; goroutines %d → %d, descriptors %d → %d", after.Panics, before.Goroutines, after.Goroutines, before.Descriptors, after.Descriptors)
	})
}

func TestCollectors(t *testing.T) {
	on(t, collectors, cheap(all), func(t *testing.T, k kind, note noter) {
		opts := options{Provider: k.name, SavePath: k.fresh(t), TouchEvery: 50 * time.Millisecond, SweepEvery: 5 * time.Millisecond}
		opts.IdleTimeout = 6 * time.Second
		processes := 4
		if k.name == "memory" {
			processes = 1
		}
		var list []*child
		for range processes {
			list = append(list, start(t, opts))
		}
		w := gather(t, list[0], pick(40, 8))
		ctx, cancel := context.WithTimeout(t.Context(), time.Duration(pick(15_000, 500))*time.Millisecond)
		defer cancel()
		var mu sync.Mutex
		visits, abandoned := 0, 0
		for _, b := range w.browsers {
			w.wg.Go(func() {
				for i := 0; ctx.Err() == nil; i++ {
					c := list[rand.IntN(len(list))]
					b.there(c)
					if i%3 == 0 {
						c.ok("", "/set?value="+mark)
						mu.Lock()
						abandoned++
						mu.Unlock()
					}
					mu.Lock()
					visits++
					mu.Unlock()
					// Far less than what makes an idle session end: the disk
					// of a busy machine may take seconds for a touch.
					time.Sleep(time.Duration(rand.IntN(pick(2000, 100))) * time.Millisecond)
				}
			})
		}
		w.wg.Wait()
		swept := uint64(0)
		waitFor(t, "what was abandoned to go", func() bool {
			if k.name == "memory" {
				return list[0].measures().Count == 0
			}
			return k.records(t, opts.SavePath) == 0
		})
		for _, c := range list {
			m := c.measures().Stats
			swept += m.Swept
			if m.Errors != 0 || m.Unreadable != 0 || m.Rejected != 0 {
				t.Errorf("a process counted %+v", m)
			}
			c.end()
		}
		if k.name != "redis" && swept < uint64(abandoned) {
			t.Errorf("%d were swept, %d abandoned", swept, abandoned)
		}
		note("%d visits, nobody logged out; %d abandoned, %d swept", visits, abandoned, swept)
	})
}

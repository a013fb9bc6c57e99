package main

import (
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
)

const workers, rounds = 8, 50

// together runs do for each worker and round, the workers by turns on the two
// processes.
func together(a, b *child, do func(c *child, worker, round int)) {
	var wg sync.WaitGroup
	for worker := range workers {
		wg.Go(func() {
			for round := range rounds {
				do([]*child{a, b}[worker%2], worker, round)
			}
		})
	}
	wg.Wait()
}

// TestParallelKeys: 8 × 50 requests from two processes, each setting another
// key of one session. None is lost.
func TestParallelKeys(t *testing.T) {
	forEachStore(t, func(t *testing.T, a, b *child) {
		token := a.login("ada")
		together(a, b, func(c *child, worker, round int) {
			c.ok(token, fmt.Sprintf("/set?key=w%d-%d&value=x", worker, round))
		})
		for _, c := range []*child{a, b} {
			if n := len(c.ok(token, "/get").Values); n != workers*rounds+1 {
				t.Errorf("%d keys, want %d and the first", n, workers*rounds)
			}
		}
	})
}

// TestSetAndDelete: each worker deletes the key before the one that it sets.
func TestSetAndDelete(t *testing.T) {
	forEachStore(t, func(t *testing.T, a, b *child) {
		token := a.login("ada")
		together(a, b, func(c *child, worker, round int) {
			c.ok(token, fmt.Sprintf("/set?key=w%d-%d&value=x", worker, round))
			if round > 0 {
				c.ok(token, fmt.Sprintf("/delete?key=w%d-%d", worker, round-1))
			}
		})
		values := b.ok(token, "/get").Values
		for worker := range workers {
			if values[fmt.Sprintf("w%d-%d", worker, rounds-1)] != "x" {
				t.Errorf("the last key of worker %d is gone", worker)
			}
		}
		if len(values) != workers+1 {
			t.Errorf("%d keys, want %d", len(values), workers+1)
		}
	})
}

// TestIncrements: 8 × 50 exact increments of one counter.
func TestIncrements(t *testing.T) {
	forEachStore(t, func(t *testing.T, a, b *child) {
		token := a.login("ada")
		together(a, b, func(c *child, _, _ int) { c.ok(token, "/update?key=n") })
		if n := b.ok(token, "/get").Values["n"]; n != float64(workers*rounds) {
			t.Errorf("the counter is %v, want %d", n, workers*rounds)
		}
	})
}

// acting are requests under way; each is an act and its moment.
var acting = []struct {
	path, when string
	lost       int    // the status when the session has ended meanwhile
	login      string // the user of the new session that it gets in that case
}{
	{"/set?key=late&value=1", "before", http.StatusOK, ""},
	{"/set?key=late&value=1", "after", http.StatusOK, ""},
	{"/get", "before", http.StatusOK, ""}, // a reader, which touches
	{"/delete?key=a", "before", http.StatusOK, ""},
	{"/clear", "after", http.StatusOK, ""},
	{"/renew", "before", http.StatusOK, ""},
	{"/renew", "after", http.StatusOK, ""},
	{"/update?key=n", "before", http.StatusConflict, ""},
	{"/save?key=late&value=1", "before", http.StatusConflict, ""},
	{"/reload", "before", http.StatusConflict, ""},
	{"/login?value=ada", "before", http.StatusOK, "ada"},
	{"/login?value=bob", "after", http.StatusOK, "bob"},
	{"/logout", "before", http.StatusOK, ""},
}

// TestLogout: 50 logouts, each in one process while another request of the
// session is under way in the other. Nothing comes back.
func TestLogout(t *testing.T) {
	ends := []struct {
		name string
		end  func(t *testing.T, c *child, token, id string)
	}{
		{"logout", func(t *testing.T, c *child, token, _ string) {
			if !c.ok(token, "/logout").remove {
				t.Error("the logout has not removed the cookie")
			}
		}},
		{"revoke", func(_ *testing.T, c *child, _, id string) { c.ok("", "/revoke?id="+id) }},
		{"revoke-user", func(_ *testing.T, c *child, _, _ string) { c.ok("", "/revoke-user?user=ada") }},
	}
	forEachStore(t, func(t *testing.T, a, b *child) {
		for i := range 50 {
			here, there := []*child{a, b}[i%2], []*child{b, a}[i%2]
			act, how := acting[i%len(acting)], ends[0]
			if i >= 2*len(acting) {
				how = ends[1+i/len(acting)%2]
			}
			name := how.name + " during " + act.path + " " + act.when
			token := here.login("ada")
			id := here.ok(token, "/get").ID
			slow := here.begin(token, act.path, act.when)
			how.end(t, there, token, id)
			got := slow.finish()
			if (got.cookie != "") != (act.login != "") || got.remove {
				t.Errorf("%s: the slow answer's cookie is %q", name, got.cookie)
			}
			if act.login != "" { // which is not the session that has ended, nor has its values
				if fresh := here.ok(got.cookie, "/get"); fresh.ID == id || fresh.User != act.login || len(fresh.Values) > 0 {
					t.Errorf("%s: the new session is %+v", name, fresh.state)
				}
				here.ok(got.cookie, "/logout")
			}
			if got.status != act.lost {
				t.Errorf("%s: the slow answer is %d %s, want %d", name, got.status, got.Error, act.lost)
			}
			for _, c := range []*child{a, b} {
				if again := c.ok(token, "/get"); !again.New || len(again.Values) > 0 {
					t.Errorf("%s: the session is back: %+v", name, again.state)
				}
				if list := c.get("", "/sessions?user=ada").Error; list != "" {
					t.Errorf("%s: the user still has the sessions %s", name, list)
				}
			}
		}
	}, "-touch-every", "1ms")
}

// TestRenew: a renewal in one process while the old token is at work in the
// other, which neither changes nor ends the renewed session.
func TestRenew(t *testing.T) {
	forEachStore(t, func(t *testing.T, a, b *child) {
		for i, act := range acting {
			here, there := []*child{a, b}[i%2], []*child{b, a}[i%2]
			for _, renewal := range []string{"/renew", "/login?value=eve"} {
				name := renewal + " during " + act.path + " " + act.when
				old := here.login("ada")
				slow := here.begin(old, act.path, act.when)
				won := there.ok(old, renewal)
				got := slow.finish()
				if won.cookie == "" || (got.cookie != "") != (act.login != "") || got.remove {
					t.Errorf("%s: the cookies are %q and %q", name, won.cookie, got.cookie)
				}
				if act.login != "" { // which has what was loaded, if it is the same user's
					fresh := here.ok(got.cookie, "/get")
					if fresh.ID == won.ID || fresh.User != act.login || (fresh.Values["a"] == "1") != (act.login == "ada") {
						t.Errorf("%s: the new session is %+v", name, fresh.state)
					}
				}
				want := act.lost
				if act.path == "/logout" {
					want = http.StatusServiceUnavailable // the session lives on
				}
				if got.status != want {
					t.Errorf("%s: the slow answer is %d %s, want %d", name, got.status, got.Error, want)
				}
				values := map[string]any{"a": "1"}
				if renewal != "/renew" {
					values = map[string]any{} // ada's are not eve's
				}
				for _, c := range []*child{a, b} {
					now := c.ok(won.cookie, "/get")
					if now.New || !maps.Equal(now.Values, values) || now.ID != won.ID {
						t.Errorf("%s: the renewed session is %+v", name, now.state)
					}
					if stale := c.ok(old, "/get"); !stale.New || len(stale.Values) > 0 {
						t.Errorf("%s: the old token opens %+v", name, stale.state)
					}
				}
			}
		}
	})
}

// TestTwoRenewals: both at once, many times. One wins.
func TestTwoRenewals(t *testing.T) {
	forEachStore(t, func(t *testing.T, a, b *child) {
		for range 25 {
			old := a.login("ada")
			one, two := a.begin(old, "/renew", "after"), b.begin(old, "/renew", "after")
			var first, second reply
			var wg sync.WaitGroup
			wg.Go(func() { first = one.finish() })
			wg.Go(func() { second = two.finish() })
			wg.Wait()
			if (first.cookie == "") == (second.cookie == "") || first.remove || second.remove {
				t.Fatalf("the cookies are %q and %q, want exactly one", first.cookie, second.cookie)
			}
			if now := a.ok(first.cookie+second.cookie, "/get"); now.User != "ada" || now.Values["a"] != "1" {
				t.Errorf("the session is %+v", now.state)
			}
			if stale := b.ok(old, "/get"); !stale.New {
				t.Errorf("the old token opens %+v", stale.state)
			}
		}
	})
}

// TestMaxPerUser: 8 logins at once, 3 allowed.
func TestMaxPerUser(t *testing.T) {
	const most = 3
	forEachStore(t, func(t *testing.T, a, b *child) {
		for round := range 10 {
			user := fmt.Sprintf("user%d", round)
			tokens := make([]string, most+5)
			var wg sync.WaitGroup
			for i := range tokens {
				wg.Go(func() { tokens[i] = []*child{a, b}[i%2].ok("", "/login?value="+user).cookie })
			}
			wg.Wait()
			live := 0
			for _, token := range tokens {
				if a.ok(token, "/get").User == user {
					live++
				}
			}
			listed := len(strings.Fields(b.get("", "/sessions?user="+user).Error))
			if live != most || listed != most {
				t.Errorf("%d live, %d listed, want %d", live, listed, most)
			}
		}
	}, "-max-per-user", fmt.Sprint(most))
}

// TestFlash: eight readers in two processes ask for one message at once.
// Exactly one shows it.
func TestFlash(t *testing.T) {
	forEachStore(t, func(t *testing.T, a, b *child) {
		token := a.login("ada")
		for round := range 10 {
			text := fmt.Sprintf("message-%d", round)
			b.ok(token, "/flash?value="+text)
			var shown [workers][]string
			var wg sync.WaitGroup
			for i := range shown {
				wg.Go(func() { shown[i] = []*child{a, b}[i%2].ok(token, "/take").Shown })
			}
			wg.Wait()
			if all := slices.Concat(shown[:]...); len(all) != 1 || all[0] != text {
				t.Errorf("shown was %q, want %q once", all, text)
			}
		}
	})
}

// TestShared: what one process stores, the other has at once; what one ends
// is over in the other.
func TestShared(t *testing.T) {
	forEachStore(t, func(t *testing.T, a, b *child) {
		token := a.login("ada")
		for i := range 20 {
			here, there := []*child{a, b}[i%2], []*child{b, a}[i%2]
			here.ok(token, fmt.Sprintf("/set?key=k&value=%d", i))
			if got := there.ok(token, "/get").Values["k"]; got != fmt.Sprint(i) {
				t.Fatalf("read %v, just stored was %d", got, i)
			}
		}
		b.ok(token, "/logout")
		if !a.ok(token, "/get").New {
			t.Error("the other process still has the session")
		}
	})
}

// TestRestart: a process that ends in order and one that comes after it.
func TestRestart(t *testing.T) {
	for _, store := range stores {
		t.Run(store.name, func(t *testing.T) {
			args := []string{"-provider", store.name, "-save-path", store.savePath(t)}
			first := startChild(t, args...)
			token := first.login("ada")
			started := time.Now()
			first.end()
			if took := time.Since(started); took > 30*time.Second {
				t.Errorf("the server took %v to end", took)
			}
			if got := startChild(t, args...).ok(token, "/get"); got.User != "ada" || got.Values["a"] != "1" {
				t.Errorf("after the restart the session is %+v", got.state)
			}
		})
	}
}

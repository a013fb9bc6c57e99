//go:build linux || darwin || freebsd

package session_test

import (
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"github.com/chisession/session"
	"github.com/chisession/session/backend"
)

// lockUp makes every write of the store at a save path wait for somebody else,
// until the returned function is called.
var lockUp = map[string]func(t *testing.T, savePath string) (release func()){
	"file": func(t *testing.T, savePath string) func() {
		var locked []*os.File
		for i := range 256 {
			d, err := os.Open(filepath.Join(savePath, fmt.Sprintf("%02x", i)))
			if err != nil {
				t.Fatal(err)
			}
			if err := syscall.Flock(int(d.Fd()), syscall.LOCK_EX); err != nil {
				t.Fatal(err)
			}
			locked = append(locked, d)
		}
		return func() {
			for _, d := range locked {
				d.Close()
			}
		}
	},
	"mysql": func(t *testing.T, savePath string) func() {
		_, name, _ := cutLast(savePath, '/')
		conn, err := mariaDB.get(t).Admin().Conn(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if _, err := conn.ExecContext(t.Context(), "LOCK TABLES `"+name+"`.sessions WRITE"); err != nil {
			t.Fatal(err)
		}
		return func() {
			if _, err := conn.ExecContext(t.Context(), "UNLOCK TABLES"); err != nil {
				t.Error(err)
			}
			conn.Close()
		}
	},
}

// cutLast is strings.Cut at the last sep.
func cutLast(s string, sep byte) (before, after string, found bool) {
	for i := len(s) - 1; i >= 0; i-- {
		if s[i] == sep {
			return s[:i], s[i+1:], true
		}
	}
	return s, "", false
}

// TestStoreTimeoutHoldsForBoundedStores: a store that ends its calls by itself,
// after a second or three, ends them sooner if Config.StoreTimeout says so.
// Opened by name, and handed in.
func TestStoreTimeoutHoldsForBoundedStores(t *testing.T) {
	const timeout = 200 * time.Millisecond
	for _, k := range kinds {
		lock := lockUp[k.name]
		if lock == nil {
			continue
		}
		for _, byName := range []bool{true, false} {
			t.Run(fmt.Sprintf("%s/by name=%v", k.name, byName), func(t *testing.T) {
				path := k.fresh(t)
				cfg := session.Config{StoreTimeout: timeout, SweepEvery: -1}
				if byName {
					cfg.Provider, cfg.SavePath = k.name, path
				} else {
					cfg.Store = k.openAt(t, path)
					if !backend.AbilitiesOf(cfg.Store).Bounded {
						t.Fatalf("%T is not bounded: this test needs one that is", cfg.Store)
					}
				}
				a := newApp(t, cfg)
				a.basics()
				b := a.browser(t)
				b.get("/set?k=a&v=1")
				token := b.token()
				release := lock(t, path)
				for _, path := range []string{"/set?k=a&v=2", "/renew", "/destroy"} {
					began := time.Now()
					status := b.do(b.request(http.MethodPost, path)).status
					took := time.Since(began)
					if status != http.StatusServiceUnavailable {
						t.Errorf("%s on a locked store: status %d, want 503", path, status)
					}
					// A load and a write, and room for a busy machine.
					if took > 2*timeout+300*time.Millisecond {
						t.Errorf("%s on a locked store took %v, want about %v", path, took, timeout)
					}
				}
				release()
				b.setToken(token) // which a logout that failed took from the browser
				if got := b.get("/get?k=a").body; got != "1" {
					t.Errorf("after it the value is %q, want 1", got)
				}
			})
		}
	}
}

package main

import (
	"fmt"
	"math/rand/v2"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
)

// A writer is a browser that counts up a value of its session, over and over.
type writer struct {
	token string
	sent  int // the last number that was sent
	acked int // the last number whose answer came
}

// TestKillWhileWriting kills a server with kill -9 while eight sessions write, 100
// times: no session is broken, and every acknowledged write is there.
func TestKillWhileWriting(t *testing.T) {
	kills := 100
	if testing.Short() {
		kills = 10
	}
	args := []string{"-provider", "file", "-save-path", t.TempDir() + "/sessions"}
	writers := make([]writer, 8)
	for round := range kills {
		server := startChild(t, args...)
		for i := range writers {
			writers[i].check(t, server, round)
		}
		// Killed after a random number of answers, while others are under way.
		var left atomic.Int64
		left.Store(rand.Int64N(60) + 1)
		enough := make(chan struct{})
		var wg sync.WaitGroup
		for i := range writers {
			wg.Go(func() {
				for writers[i].write(t, server) {
					if left.Add(-1) == 0 {
						close(enough)
					}
				}
			})
		}
		done := make(chan struct{})
		go func() { wg.Wait(); close(done) }()
		select {
		case <-enough:
		case <-done:
			t.Error("all writers ended before the kill")
		}
		server.kill()
		<-done
		if t.Failed() {
			t.Fatalf("after kill %d of %d", round+1, kills)
		}
	}
	server := startChild(t, args...)
	for i := range writers {
		writers[i].check(t, server, kills)
	}
}

// check compares what the server has with what was acknowledged.
func (w *writer) check(t *testing.T, server *child, round int) {
	t.Helper()
	if w.token == "" {
		w.token = server.login("ada")
		return
	}
	got := server.ok(w.token, "/get")
	if got.User != "ada" || got.Values["a"] != "1" {
		t.Errorf("after %d kills a session is broken: %+v", round, got.state)
		return
	}
	text, _ := got.Values["n"].(string)
	number, padding, _ := strings.Cut(text, ".")
	n, _ := strconv.Atoi(number)
	if n < w.acked || n > w.sent || strings.Trim(padding, "x") != "" {
		t.Errorf("after %d kills a session has %d, acknowledged was %d, sent %d", round, n, w.acked, w.sent)
	}
	w.sent, w.acked = n, n
}

// write sends one more number, with padding that grows and shrinks, so that
// files do. It reports false when the server is gone.
func (w *writer) write(t *testing.T, server *child) bool {
	w.sent++
	value := fmt.Sprintf("%d.%s", w.sent, strings.Repeat("x", rand.IntN(3000)))
	got, err := server.try(w.token, "/set?key=n&value="+value)
	if err != nil {
		return false
	}
	if got.status != http.StatusOK || got.Values["n"] != value {
		t.Errorf("set %d: %d %s, %d bytes stored", w.sent, got.status, got.Error, len(fmt.Sprint(got.Values["n"])))
		return false
	}
	w.acked = w.sent
	return true
}

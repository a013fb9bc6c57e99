package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/chisession/session/backend"
)

// openLoad calls do at a fixed rate for a while, whether the calls before have
// ended or not, and returns how long each took from the instant at which it
// was due: a server that stalls is not spared the requests of that time
// (no coordinated omission).
func openLoad(rate int, lasts time.Duration, workers int, do func(worker int) error) ([]time.Duration, error) {
	n := int(float64(rate) * lasts.Seconds())
	due := make(chan time.Time, n)
	times := make([][]time.Duration, workers)
	errs := make([]error, workers)
	var all sync.WaitGroup
	for w := range workers {
		all.Go(func() {
			for at := range due {
				if err := do(w); err != nil {
					errs[w] = err
				}
				times[w] = append(times[w], time.Since(at))
			}
		})
	}
	start := time.Now()
	every := lasts / time.Duration(n)
	for i := range n {
		at := start.Add(time.Duration(i) * every)
		time.Sleep(time.Until(at))
		due <- at
	}
	close(due)
	all.Wait()
	merged := slices.Concat(times...)
	slices.Sort(merged)
	return merged, errors.Join(errs...)
}

// serveUntilEOF is what the child process of the load does: it serves the
// handlers over a library until its parent closes the pipe, or dies.
func serveUntilEOF(name string) error {
	var lib library = &raw{}
	if name == nameOurs {
		store, err := backend.Open(inMemory, "")
		if err != nil {
			return err
		}
		own, err := newOurs(store)
		if err != nil {
			return err
		}
		lib = own
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	server := &http.Server{Handler: newRouter(lib)}
	go func() {
		_, _ = io.Copy(io.Discard, os.Stdin) // ends with the parent
		_ = server.Close()
	}()
	fmt.Println(l.Addr())
	if err := server.Serve(l); !errors.Is(err, http.ErrServerClosed) {
		return err
	}
	return nil
}

// A child is a server in a process of its own.
type child struct {
	cmd    *exec.Cmd
	stdin  io.Closer
	url    string
	client *http.Client
	cookie string
}

func startChild(name string) (*child, error) {
	exe, err := os.Executable()
	if err != nil {
		return nil, err
	}
	c := &child{cmd: exec.Command(exe, "-serve", name)}
	c.cmd.Stderr = os.Stderr
	stdin, err := c.cmd.StdinPipe()
	if err != nil {
		return nil, err
	}
	stdout, err := c.cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	c.stdin = stdin
	if err := c.cmd.Start(); err != nil {
		return nil, err
	}
	addr, err := bufio.NewReader(stdout).ReadString('\n')
	if err != nil {
		return nil, errors.Join(err, c.stop())
	}
	c.url = "http://" + strings.TrimSpace(addr)
	c.client = &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: 64}}
	if name == nameOurs {
		resp, err := c.client.Get(c.url + "/E")
		if err != nil {
			return nil, errors.Join(err, c.stop())
		}
		_ = resp.Body.Close() // nothing of it is needed
		c.cookie, _, _ = strings.Cut(resp.Header.Get("Set-Cookie"), ";")
	}
	return c, nil
}

func (c *child) stop() error {
	if c.client != nil {
		c.client.CloseIdleConnections()
	}
	return errors.Join(c.stdin.Close(), c.cmd.Wait())
}

func (c *child) get(path string) error {
	r, err := http.NewRequestWithContext(context.Background(), http.MethodGet, c.url+path, http.NoBody)
	if err != nil {
		return err
	}
	if c.cookie != "" {
		r.Header.Set("Cookie", c.cookie)
	}
	resp, err := c.client.Do(r)
	if err != nil {
		return err
	}
	_, err = io.Copy(io.Discard, resp.Body)
	if err == nil && resp.StatusCode != http.StatusOK {
		err = fmt.Errorf("%s: %s", path, resp.Status)
	}
	return errors.Join(err, resp.Body.Close())
}

// load measures a real server with and without the middleware, in turns.
func load(rate, turns int, lasts time.Duration) (t table, err error) {
	t = table{
		title: fmt.Sprintf("A real server under an open load of %s requests a second (memory)", thousands(rate)),
		head:  []string{"", "p50", "p99", "p99.9"},
		note: "Server and client are two processes that share this machine; each time counts from the instant at which the request was due. " +
			fmt.Sprintf("Medians of %d turns of %v each.", turns, lasts),
	}
	bare, err := startChild(nameChi)
	if err != nil {
		return t, err
	}
	defer func() { err = errors.Join(err, bare.stop()) }()
	with, err := startChild(nameOurs)
	if err != nil {
		return t, err
	}
	defer func() { err = errors.Join(err, with.stop()) }()
	rows := []struct {
		name, path string
		server     *child
		runs       [][]time.Duration
	}{
		{"chi alone", "/A", bare, nil},
		{"with the middleware, session untouched", "/A", with, nil},
		{"reading one value (B)", "/B", with, nil},
		{"writing one (C)", "/C", with, nil},
	}
	for range turns {
		for i := range rows {
			row := &rows[i]
			run, err := openLoad(rate, lasts, 32, func(int) error { return row.server.get(row.path) })
			if err != nil {
				return t, err
			}
			row.runs = append(row.runs, run)
		}
	}
	for _, row := range rows {
		t.rows = append(t.rows, append([]string{row.name}, percentiles(row.runs)...))
	}
	return t, nil
}

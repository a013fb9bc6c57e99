package testserver

import (
	"errors"
	"fmt"
	"strconv"
	"strings"

	"github.com/gomodule/redigo/redis"
)

// RedisCount is what a server has done for its clients.
type RedisCount struct {
	// Trips is the number of requests as they came in: commands that were
	// pipelined are one, unless they are larger than a read (16 KiB).
	Trips int

	// Commands is the number of times that each command was called, by its
	// lower-case name, those called by scripts included.
	Commands map[string]int
}

// Count runs fn and returns what it made the server do. Nobody else may use
// the server meanwhile.
func (r *Redis) Count(fn func() error) (RedisCount, error) {
	c, err := r.Dial()
	if err != nil {
		return RedisCount{}, err
	}
	defer func() { _ = c.Close() }() // nothing is left to lose
	before, _, err := settledStats(c)
	if err != nil {
		return RedisCount{}, err
	}
	if err := fn(); err != nil {
		return RedisCount{}, err
	}
	after, asked, err := settledStats(c)
	if err != nil {
		return RedisCount{}, err
	}
	closed := before.clients + after.accepted - before.accepted - after.clients // the server read their end
	n := RedisCount{Trips: after.Trips - before.Trips - asked - closed, Commands: map[string]int{}}
	for name, calls := range after.Commands {
		if calls -= before.Commands[name]; calls > 0 && name != "info" {
			n.Commands[name] = calls
		}
	}
	return n, nil
}

// redisStats are what a server has counted: of its clients, too, those that there
// are and all that there ever were.
type redisStats struct {
	RedisCount
	clients, accepted int
}

// settledStats asks until nothing but that was read since it asked before: a
// connection that was closed a moment ago is one read more, which can be late. It
// returns also how often it asked.
func settledStats(c redis.Conn) (n redisStats, asked int, err error) {
	for {
		before := n
		if n, err = readStats(c); err != nil {
			return n, asked, fmt.Errorf("testserver: count commands: %w", err)
		}
		if asked++; asked > 1 && n.Trips == before.Trips+1 && n.clients == before.clients {
			return n, asked, nil
		}
	}
}

func readStats(c redis.Conn) (redisStats, error) {
	n := redisStats{RedisCount: RedisCount{Commands: map[string]int{}}}
	info, err := redis.String(c.Do("INFO", "everything"))
	if err != nil {
		return n, err
	}
	for line := range strings.Lines(info) {
		field, value, _ := strings.Cut(strings.TrimSpace(line), ":")
		switch field {
		case "total_reads_processed":
			n.Trips, err = strconv.Atoi(value)
		case "total_connections_received":
			n.accepted, err = strconv.Atoi(value)
		case "connected_clients":
			n.clients, err = strconv.Atoi(value)
		}
		if name, ok := strings.CutPrefix(field, "cmdstat_"); ok {
			calls, _, _ := strings.Cut(strings.TrimPrefix(value, "calls="), ",")
			n.Commands[name], err = strconv.Atoi(calls)
		}
		if err != nil {
			return n, err
		}
	}
	return n, nil
}

// Record runs fn and returns every command the server executed meanwhile, one
// a line as MONITOR prints them, those called by scripts included.
func (r *Redis) Record(fn func() error) (lines []string, err error) {
	mon, err := r.Dial()
	if err != nil {
		return nil, err
	}
	defer func() { _ = mon.Close() }() // nothing is left to lose
	if _, err := mon.Do("MONITOR"); err != nil {
		return nil, fmt.Errorf("testserver: monitor: %w", err)
	}
	const end = "testserver-end-of-record"
	read := make(chan error, 1)
	go func() {
		for {
			line, err := redis.String(mon.Receive())
			if err != nil || strings.Contains(line, end) {
				read <- err
				return
			}
			lines = append(lines, line)
		}
	}()
	err = fn()
	_, endErr := r.Do("ECHO", end)
	if err = errors.Join(err, endErr); err != nil {
		_ = mon.Close() // ends the goroutine
	}
	return lines, errors.Join(err, <-read)
}

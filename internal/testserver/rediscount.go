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
	before, err := redisStats(c)
	if err != nil {
		return RedisCount{}, err
	}
	if err := fn(); err != nil {
		return RedisCount{}, err
	}
	after, err := redisStats(c)
	if err != nil {
		return RedisCount{}, err
	}
	n := RedisCount{Trips: after.Trips - before.Trips - 1, Commands: map[string]int{}} // -1: ours
	for name, calls := range after.Commands {
		if calls -= before.Commands[name]; calls > 0 && name != "info" {
			n.Commands[name] = calls
		}
	}
	return n, nil
}

func redisStats(c redis.Conn) (RedisCount, error) {
	info, err := redis.String(c.Do("INFO", "everything"))
	if err != nil {
		return RedisCount{}, fmt.Errorf("testserver: count commands: %w", err)
	}
	n := RedisCount{Commands: map[string]int{}}
	for line := range strings.Lines(info) {
		field, value, _ := strings.Cut(strings.TrimSpace(line), ":")
		if field == "total_reads_processed" {
			n.Trips, err = strconv.Atoi(value)
		}
		if name, ok := strings.CutPrefix(field, "cmdstat_"); ok {
			calls, _, _ := strings.Cut(strings.TrimPrefix(value, "calls="), ",")
			n.Commands[name], err = strconv.Atoi(calls)
		}
		if err != nil {
			return RedisCount{}, fmt.Errorf("testserver: count commands: %w", err)
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

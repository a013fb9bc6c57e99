package redis

import (
	"strings"
	"testing"
	"time"
)

func TestParse(t *testing.T) {
	base := target{network: "tcp", addr: "127.0.0.1:6379", poolSize: 100, idle: 4 * time.Minute}
	with := func(change func(*target)) target {
		t := base
		change(&t)
		return t
	}
	for savePath, want := range map[string]target{
		"127.0.0.1:6379":               base,
		"127.0.0.1":                    base,
		"127.0.0.1:6379,100,,0":        base,
		"127.0.0.1:6379,":              base,
		"127.0.0.1:6379,0,,,0":         base,
		"127.0.0.1:6379, 7":            with(func(t *target) { t.poolSize = 7 }),
		"127.0.0.1:6379,7,pa:ss@word":  with(func(t *target) { t.poolSize, t.password = 7, "pa:ss@word" }),
		"127.0.0.1:6379,7, pw ,3,30":   with(func(t *target) { t.poolSize, t.password, t.db, t.idle = 7, " pw ", 3, 30*time.Second }),
		":6380":                        with(func(t *target) { t.addr = "localhost:6380" }),
		"[::1]:6380":                   with(func(t *target) { t.addr = "[::1]:6380" }),
		"[::1]":                        with(func(t *target) { t.addr = "[::1]:6379" }),
		"redis://127.0.0.1":            base,
		"redis://127.0.0.1/":           base,
		"redis://:pw@127.0.0.1:6379/2": with(func(t *target) { t.password, t.db = "pw", 2 }),
		"redis://pw@127.0.0.1":         with(func(t *target) { t.password = "pw" }),
		"redis://u:p%40,@127.0.0.1":    with(func(t *target) { t.user, t.password = "u", "p@," }),
		"redis://127.0.0.1?prefix=x:&poolsize=5&idletimeout=60": with(func(t *target) { t.opts.Prefix, t.poolSize, t.idle = "x:", 5, time.Minute }),
		"unix:/run/redis.sock":                       with(func(t *target) { t.network, t.addr = "unix", "/run/redis.sock" }),
		"unix:///run/redis.sock?db=2&password=p%26w": with(func(t *target) { t.network, t.addr, t.db, t.password = "unix", "/run/redis.sock", 2, "p&w" }),
		"redis+unix://u:pw@/run/redis.sock?db=2":     with(func(t *target) { t.network, t.addr, t.db, t.user, t.password = "unix", "/run/redis.sock", 2, "u", "pw" }),
	} {
		got, err := parse(savePath)
		if err != nil || got != want {
			t.Errorf("parse(%q):\n got %#v, %v\nwant %#v", savePath, got, err, want)
		}
	}
}

func TestParseRefuses(t *testing.T) {
	for savePath, want := range map[string]string{
		"":                                  "empty",
		"  ":                                "empty",
		"localhost:6379,s3cret":             "pool size",
		"localhost:6379,-1":                 "pool size",
		"localhost:6379,1,,s3cret":          "database",
		"localhost:6379,1,,0,s3cret":        "idle timeout",
		"localhost:6379,1,s3cret,pw,0,0":    "6 fields",
		"s3cret@localhost:6379":             "@",
		"1:2:3":                             "host:port",
		"http://u:s3cret@localhost":         "http",
		"redis://u:s3cret@localhost:port":   "URL",
		"redis://u:s3cret%@localhost":       "URL",
		"redis://localhost/x":               "database",
		"redis://localhost?password=s3cret": "none of",
		"redis://localhost?a=%zz":           "query",
		"unix:":                             "socket",
		"unix://run/redis.sock":             "socket",
		"unix:/run/redis.sock?pool=1":       "pool",
	} {
		got, err := parse(savePath)
		if err == nil || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "s3cret") {
			t.Errorf("parse(%q): got %#v, %v, want an error with %q and no password", savePath, got, err, want)
		}
	}
}

func FuzzParse(f *testing.F) {
	f.Add("127.0.0.1:6379,100,pw,0,30")
	f.Add("redis://u:p@h:1/2?prefix=x")
	f.Add("unix:/run/redis.sock?db=1")
	f.Fuzz(func(t *testing.T, savePath string) {
		got, err := parse(savePath)
		if err == nil && (got.addr == "" || got.poolSize < 1 || got.idle <= 0 || got.db < 0) {
			t.Errorf("parse(%q): got %#v", savePath, got)
		}
	})
}

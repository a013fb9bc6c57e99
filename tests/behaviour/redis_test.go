package behaviour

import (
	"bytes"
	"fmt"
	"net/url"
	"os"
	"sync/atomic"
	"testing"

	"github.com/gomodule/redigo/redis"

	_ "github.com/chisession/session/backend/redis"
	"github.com/chisession/session/internal/behaviour"
)

var redisKind = behaviour.Kind{Name: "redis", Lasts: true, Fresh: freshPrefix, Count: countKeys, Dump: dumpKeys}

var prefixes atomic.Int64

func freshPrefix(t testing.TB) string {
	t.Helper()
	return fmt.Sprintf("%s?prefix=%d-%d:", redisServer.get(t).URL(), os.Getpid(), prefixes.Add(1))
}

// keys returns the keys at a save path that match the pattern.
func keys(t testing.TB, savePath, pattern string) []string {
	t.Helper()
	u, err := url.Parse(savePath)
	if err != nil {
		t.Fatal(err)
	}
	found, err := redis.Strings(redisServer.get(t).Do("KEYS", u.Query().Get("prefix")+pattern))
	if err != nil {
		t.Fatal(err)
	}
	return found
}

// countKeys counts the session keys; those of the user index have an @.
func countKeys(t testing.TB, savePath string) int {
	t.Helper()
	return len(keys(t, savePath, "[^@]*"))
}

func dumpKeys(t testing.TB, savePath string) (all []byte) {
	t.Helper()
	server := redisServer.get(t)
	for _, key := range keys(t, savePath, "*") {
		value, err := redis.Bytes(server.Do("GET", key))
		if err != nil { // the index of a user
			members, indexErr := redis.ByteSlices(server.Do("ZRANGE", key, 0, -1))
			if indexErr != nil {
				t.Fatal(err, indexErr)
			}
			value = bytes.Join(members, []byte{'\n'})
		}
		all = append(append(all, key...), value...)
	}
	return all
}

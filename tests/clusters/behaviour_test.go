package clusters

import (
	"bytes"
	"database/sql"
	"fmt"
	"math/rand/v2"
	"net/url"
	"strings"
	"testing"

	redigo "github.com/gomodule/redigo/redis"

	driver "github.com/go-sql-driver/mysql"

	"github.com/chisession/session/backend"
	"github.com/chisession/session/backend/goredis"
	"github.com/chisession/session/backend/mysql"
	"github.com/chisession/session/backend/rueidis"
	"github.com/chisession/session/internal/behaviour"
	"github.com/chisession/session/tests/model"
)

// unlessFull leaves out of a plain run what takes minutes.
func unlessFull(t *testing.T) {
	t.Helper()
	if runs == 1 {
		t.Skip("make clusters runs it")
	}
}

// TestBehaviour runs all that sessions promise on a Redis Cluster and on Galera. What
// a store that waits for replicas does differently, internal/behaviour has a topic
// for.
func TestBehaviour(t *testing.T) {
	unlessFull(t)
	must(t, "settle", cluster.get(t).Settle())
	must(t, "settle", galera.get(t).Settle())
	behaviour.Run(t,
		behaviour.Kind{Name: goredis.Name, Lasts: true, Fresh: freshPrefix(""), Count: countKeys, Dump: dumpKeys},
		behaviour.Kind{Name: rueidis.Name, Lasts: true, Fresh: freshPrefix(""), Count: countKeys, Dump: dumpKeys},
		behaviour.Kind{Name: mysql.Name, Lasts: true, Fresh: freshDatabase, Dump: dumpTable},
	)
}

// TestModel checks histories on a Redis Cluster and on two nodes of Galera, each
// with two stores.
func TestModel(t *testing.T) {
	const histories = 20
	unlessFull(t)
	must(t, "settle", galera.get(t).Settle())
	for name, places := range map[string]func(t *testing.T) [2]string{
		goredis.Name: func(t *testing.T) [2]string { at := freshPrefix("replicas=1")(t); return [2]string{at, at} },
		rueidis.Name: func(t *testing.T) [2]string { at := freshPrefix("")(t); return [2]string{at, at} },
		mysql.Name: func(t *testing.T) [2]string {
			db, err := galera.get(t).CreateDatabase()
			must(t, "CreateDatabase", err)
			return [2]string{galera.get(t).DSN(db, nil), galera.get(t).DSN(db, []int{1, 2, 0})}
		},
	} {
		for _, mode := range []model.Mode{model.Deterministic, model.Free} {
			t.Run(name+"/"+string(mode), func(t *testing.T) {
				at := places(t)
				stores := []backend.Store{open(t, name, at[0]), open(t, name, at[1])}
				first := rand.Uint64N(1e9)
				for i := range uint64(histories) {
					seed := first + i
					_, err := model.Run(model.Options{Seed: seed, Mode: mode, Faults: seed%2 == 1, Clients: 3 + int(seed/2%3), Requests: 4, Stores: stores})
					if err != nil {
						t.Fatalf("seed %d: %v", seed, err)
					}
				}
			})
		}
	}
}

func freshPrefix(query string) func(testing.TB) string {
	return func(t testing.TB) string {
		return cluster.get(t).SavePath(strings.TrimSuffix(fmt.Sprintf("prefix=b%d:&%s", number(), query), "&"))
	}
}

// keys calls fn with each key at a save path, and the node that has it.
func keys(t testing.TB, savePath string, fn func(node int, key string)) {
	t.Helper()
	_, query, _ := strings.Cut(savePath, "?")
	values, err := url.ParseQuery(query)
	must(t, "ParseQuery", err)
	for _, i := range cluster.get(t).Primaries() {
		found, err := redigo.Strings(cluster.get(t).Nodes[i].Do("KEYS", values.Get("prefix")+"*"))
		must(t, "KEYS", err)
		for _, key := range found {
			fn(i, key)
		}
	}
}

// countKeys counts the session keys; those of the index by user have an @.
func countKeys(t testing.TB, savePath string) (n int) {
	t.Helper()
	keys(t, savePath, func(_ int, key string) {
		if !strings.Contains(key, "@") {
			n++
		}
	})
	return n
}

func dumpKeys(t testing.TB, savePath string) (all []byte) {
	t.Helper()
	keys(t, savePath, func(i int, key string) {
		node := cluster.get(t).Nodes[i]
		value, err := redigo.Bytes(node.Do("GET", key))
		if err != nil { // the index of a user
			members, err := redigo.ByteSlices(node.Do("ZRANGE", key, 0, -1))
			must(t, "ZRANGE", err)
			value = bytes.Join(members, []byte{'\n'})
		}
		all = append(append(all, key...), value...)
	})
	return all
}

func freshDatabase(t testing.TB) string {
	t.Helper()
	g := galera.get(t)
	db, err := g.CreateDatabase()
	must(t, "CreateDatabase", err)
	t.Cleanup(func() { must(t, "DropDatabase", g.Nodes[0].DropDatabase(db)) })
	return g.DSN(db, nil)
}

func dumpTable(t testing.TB, savePath string) (all []byte) {
	t.Helper()
	cfg, err := driver.ParseDSN(savePath)
	must(t, "ParseDSN", err)
	rows, err := galera.get(t).Nodes[0].Admin().Query("SELECT id, user, data FROM `" + cfg.DBName + "`.sessions")
	must(t, "SELECT", err)
	defer rows.Close()
	for rows.Next() {
		var id, user, data sql.RawBytes
		must(t, "Scan", rows.Scan(&id, &user, &data))
		all = append(append(append(all, id...), user...), data...)
	}
	must(t, "SELECT", rows.Err())
	return all
}

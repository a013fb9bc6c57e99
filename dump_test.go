package session_test

import (
	"bytes"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"io/fs"
	"log/slog"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/go-sql-driver/mysql"
	"github.com/gomodule/redigo/redis"

	"github.com/chisession/session"
)

// dumps says how to read all that a store holds, without the store.
var dumps = map[string]func(t *testing.T, savePath string) []byte{
	"file": dumpFiles, "mysql": dumpMySQL, "redis": dumpRedis,
}

func dumpFiles(t *testing.T, savePath string) []byte {
	var all []byte
	err := filepath.WalkDir(savePath, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		content, err := os.ReadFile(path)
		all = append(append(all, path...), content...)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return all
}

func dumpMySQL(t *testing.T, savePath string) []byte {
	dsn, err := mysql.ParseDSN(savePath)
	if err != nil {
		t.Fatal(err)
	}
	rows, err := mariaDB.get(t).Admin().Query("SELECT * FROM `" + dsn.DBName + "`.sessions")
	if err != nil {
		t.Fatal(err)
	}
	defer rows.Close()
	columns, err := rows.Columns()
	if err != nil {
		t.Fatal(err)
	}
	var all []byte
	for rows.Next() {
		row, into := make([][]byte, len(columns)), make([]any, len(columns))
		for i := range row {
			into[i] = &row[i]
		}
		if err := rows.Scan(into...); err != nil {
			t.Fatal(err)
		}
		all = append(all, bytes.Join(row, []byte{'\n'})...)
	}
	if err := rows.Err(); err != nil {
		t.Fatal(err)
	}
	return all
}

func dumpRedis(t *testing.T, savePath string) []byte {
	u, err := url.Parse(savePath)
	if err != nil {
		t.Fatal(err)
	}
	server := redisServer.get(t)
	keys, err := redis.Strings(server.Do("KEYS", u.Query().Get("prefix")+"*"))
	if err != nil {
		t.Fatal(err)
	}
	var all []byte
	for _, key := range keys {
		all = append(all, key...)
		value, err := redis.Bytes(server.Do("GET", key))
		if err != nil { // the index of a user
			members, indexErr := redis.ByteSlices(server.Do("ZRANGE", key, 0, -1))
			if indexErr != nil {
				t.Fatal(err, indexErr)
			}
			value = bytes.Join(members, []byte{'\n'})
		}
		all = append(all, value...)
	}
	return all
}

// TestDumpAfterThousandLogins: a dump of the store holds no token, in any
// spelling, and nothing of what was Set (DR-1).
// Of SECURITY-BAR: DR-3.
func TestDumpAfterThousandLogins(t *testing.T) {
	for _, k := range kinds {
		dump := dumps[k.name]
		if dump == nil {
			continue // memory has nothing at rest
		}
		t.Run(k.name, func(t *testing.T) {
			savePath := k.fresh(t)
			m := newManager(t, session.Config{Provider: k.name, SavePath: savePath, Logger: slog.New(slog.DiscardHandler)})
			var secrets [][]byte
			for i := range 1000 {
				res := through(m, nil, func(s *session.Session) {
					s.SetUser(fmt.Sprintf("user-%d", i))
					s.Set("passphrase", fmt.Sprintf("open-sesame-%d", i))
				})
				_, rest, _ := strings.Cut(res.Header.Get("Set-Cookie"), "=")
				token, _, _ := strings.Cut(rest, ";")
				raw, err := base64.RawURLEncoding.DecodeString(token)
				if err != nil || len(raw) != 48 {
					t.Fatalf("login %d: token of %d bytes, %v", i, len(raw), err)
				}
				secrets = append(secrets, []byte(token[22:]), raw[16:], []byte(hex.EncodeToString(raw[16:])))
			}
			all := dump(t, savePath)
			if n := bytes.Count(all, []byte("user-")); n < 1000 {
				t.Fatalf("the dump of %d bytes names %d users: it is not the whole store", len(all), n)
			}
			for _, readable := range []string{"open-sesame", "passphrase"} {
				if bytes.Contains(all, []byte(readable)) {
					t.Errorf("the dump has %q in the clear", readable)
				}
			}
			for i, secret := range secrets {
				if bytes.Contains(all, secret) {
					t.Fatalf("the dump has the secret of login %d", i/3)
				}
			}
		})
	}
}

package old

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/gomodule/redigo/redis"

	"github.com/chisession/session/migrate"
)

// MostCounted is how many records a survey looks at.
const MostCounted = 100_000

// Survey implements migrate.Surveyor: it counts keys by SCAN, and asks the
// server which one it is by CLIENT INFO, if it may.
func (r Redis) Survey(ctx context.Context, prefix string) (found migrate.Survey, err error) {
	found.Where = "redis, keys beginning with " + r.Prefix + prefix
	if r.Prefix+prefix == "" {
		found.Where = "redis, keys without a prefix"
	}
	c, err := r.Pool.GetContext(ctx)
	if err != nil {
		return found, fmt.Errorf("redis: %w", err)
	}
	defer c.Close()
	if info, err := redis.String(redis.DoContext(c, ctx, "CLIENT", "INFO")); err == nil {
		found.Where = fmt.Sprintf("redis %s, database %s, %s", word(info, "laddr"), word(info, "db"), strings.TrimPrefix(found.Where, "redis, "))
	}
	seen, cursor := 0, "0"
	for {
		reply, err := redis.Values(redis.DoContext(c, ctx, "SCAN", cursor, "MATCH", escape(r.Prefix+prefix)+"*", "COUNT", 1000))
		var refused redis.Error
		if errors.As(err, &refused) && strings.HasPrefix(string(refused), "NOPERM") {
			return found, fmt.Errorf("redis: the account may not count, which needs SCAN: %w", err)
		}
		if err != nil {
			return found, fmt.Errorf("redis: %w", err)
		}
		var keys []string
		if _, err := redis.Scan(reply, &cursor, &keys); err != nil {
			return found, fmt.Errorf("redis: %w", err)
		}
		for _, key := range keys {
			if r.Valid(key[len(r.Prefix)+len(prefix):]) {
				found.Live++
			}
		}
		seen += 1000
		if cursor == "0" {
			return found, nil
		}
		if seen >= MostCounted {
			found.More = true
			return found, nil
		}
	}
}

// word returns the value of a name in name=value words.
func word(text, name string) string {
	for _, w := range strings.Fields(text) {
		if value, ok := strings.CutPrefix(w, name+"="); ok {
			return value
		}
	}
	return "?"
}

// escape makes text a pattern of Redis that matches only itself.
func escape(text string) string {
	return strings.NewReplacer(`\`, `\\`, `*`, `\*`, `?`, `\?`, `[`, `\[`, `]`, `\]`, `^`, `\^`).Replace(text)
}

// Survey implements migrate.Surveyor, by two statements.
func (s *SQL) Survey(ctx context.Context, prefix string) (found migrate.Survey, err error) {
	var host, database string
	var port int
	if err := s.db.QueryRowContext(ctx, s.dialect.where).Scan(&host, &port, &database); err != nil {
		return migrate.Survey{Where: s.dialect.name + ", table " + s.table}, fmt.Errorf("%s: %w", s.dialect.name, err)
	}
	found.Where = s.dialect.place(host, port, database, s.table)
	var all int
	args := append(append([]any{}, s.args...), len(prefix), prefix, MostCounted+1)
	if err := s.db.QueryRowContext(ctx, s.count, args...).Scan(&found.Live, &all); err != nil {
		return found, fmt.Errorf("%s: %w", s.dialect.name, err)
	}
	found.Expired, found.More = all-found.Live, all > MostCounted
	return found, nil
}

// Package old has what the stores of old session libraries have in common.
package old

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/gomodule/redigo/redis"

	"github.com/chisession/session/migrate"
)

// Redis is a store of one string a session, which expires by itself.
type Redis struct {
	Pool   *redis.Pool
	Prefix string // of the keys
	Valid  func(id string) bool
}

// removeIf deletes a key if its value is the one given.
var removeIf = redis.NewScript(1, `if redis.call('GET', KEYS[1]) == ARGV[1] then return redis.call('DEL', KEYS[1]) end return 0`)

// Load implements migrate.Source. It is one GETRANGE, which reads no more than
// it needs to see that a record is too long.
func (r Redis) Load(ctx context.Context, id string, max int) ([]byte, error) {
	c, err := r.Pool.GetContext(ctx)
	if err != nil {
		return nil, fmt.Errorf("redis: %w", err)
	}
	defer c.Close()
	data, err := redis.Bytes(redis.DoContext(c, ctx, "GETRANGE", r.Prefix+id, 0, max))
	var reply redis.Error
	switch {
	case errors.As(err, &reply) && strings.HasPrefix(string(reply), "WRONGTYPE"):
		return nil, fmt.Errorf("%w: the key holds no string", migrate.ErrUnreadable)
	case err != nil:
		return nil, fmt.Errorf("redis: %w", err)
	}
	return checked(data, len(data), max)
}

// Remove implements migrate.Source, by a script.
func (r Redis) Remove(ctx context.Context, id string, data []byte) error {
	c, err := r.Pool.GetContext(ctx)
	if err != nil {
		return fmt.Errorf("redis: %w", err)
	}
	defer c.Close()
	n, err := redis.Int(removeIf.DoContext(ctx, c, r.Prefix+id, data))
	if err != nil {
		return fmt.Errorf("redis: %w", err)
	}
	return removed(int64(n))
}

// checked returns the data of a record of size bytes.
func checked(data []byte, size, max int) ([]byte, error) {
	switch {
	case size == 0:
		return nil, migrate.ErrNotFound
	case size > max:
		return nil, fmt.Errorf("%w: it is longer than %d bytes", migrate.ErrUnreadable, max)
	}
	return data, nil
}

// removed says what n removed records mean.
func removed(n int64) error {
	if n != 1 {
		return migrate.ErrChanged
	}
	return nil
}

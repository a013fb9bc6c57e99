package goredis

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/chisession/session/backend"
	"github.com/chisession/session/backend/internal/redisengine"
	"github.com/chisession/session/backend/internal/sentinel"
)

// A wire carries the engine's commands over a client.
type wire struct {
	client  redis.UniversalClient
	cluster *redis.ClusterClient // the client, if it is one
	obeys   bool                 // the client ends its calls with their contexts
	limit   time.Duration        // of a call; 0 on a caller's client
	watch   *sentinel.Watch      // nil: no Sentinels, or the client's own business
	dials   *dials               // nil on a caller's client

	// node returns the client of the server that has a key; nil if there is no
	// way to know.
	node func(ctx context.Context, key string) (*redis.Client, error)
}

func newWire(client redis.UniversalClient) *wire {
	w := &wire{client: client}
	switch c := client.(type) {
	case *redis.Client:
		w.obeys = c.Options().ContextTimeoutEnabled
		w.node = func(context.Context, string) (*redis.Client, error) { return c, nil }
	case *redis.ClusterClient:
		w.cluster, w.obeys = c, c.Options().ContextTimeoutEnabled
		w.node = c.MasterForKey
	}
	return w
}

// A once is a command that is not sent again when its outcome is unknown.
type once struct{ *redis.Cmd }

// NoRetry implements [redis.Cmder].
func (once) NoRetry() bool { return true }

// Do implements [redisengine.Wire].
func (w *wire) Do(ctx context.Context, cmd redisengine.Command) (any, error) {
	return w.call(ctx, func(ctx context.Context) (any, error) {
		switch {
		case cmd.Replicas > 0:
			return w.confirmed(ctx, cmd)
		case cmd.Words[0] == "GET":
			return bytes(redis.NewStringCmd(ctx, cmd.Words...), w.process(ctx))
		case cmd.Again:
			c := redis.NewCmd(ctx, cmd.Words...)
			return reply(c, w.client.Process(ctx, c))
		}
		c := once{redis.NewCmd(ctx, cmd.Words...)}
		return reply(c.Cmd, w.client.Process(ctx, c))
	})
}

func (w *wire) process(ctx context.Context) func(redis.Cmder) error {
	return func(c redis.Cmder) error { return w.client.Process(ctx, c) }
}

// Many implements [redisengine.Wire].
func (w *wire) Many(ctx context.Context, cmds []redisengine.Command) ([]any, error) {
	got, err := w.call(ctx, func(ctx context.Context) (any, error) { return w.pipeline(ctx, cmds) })
	replies, _ := got.([]any)
	return replies, err
}

func (w *wire) pipeline(ctx context.Context, cmds []redisengine.Command) (any, error) {
	pipe := w.client.Pipeline()
	sent := make([]redis.Cmder, len(cmds))
	for i, cmd := range cmds {
		sent[i] = redis.NewCmd(ctx, cmd.Words...)
		if cmd.Words[0] == "GETRANGE" {
			sent[i] = redis.NewStringCmd(ctx, cmd.Words...)
		}
		_ = pipe.Process(ctx, sent[i]) // only queues it
	}
	_, _ = pipe.Exec(ctx) // each command has its own error
	replies := make([]any, len(sent))
	for i, c := range sent {
		var err error
		if s, ok := c.(*redis.StringCmd); ok {
			replies[i], err = bytes(s, redis.Cmder.Err)
		} else {
			replies[i], err = reply(c.(*redis.Cmd), c.Err())
		}
		if refused, ok := errors.AsType[redisengine.Refusal](err); ok {
			replies[i] = refused
		} else if err != nil {
			return nil, err
		}
	}
	return replies, nil
}

// Primaries implements [redisengine.Wire]. A ring's servers are primaries, too.
func (w *wire) Primaries(ctx context.Context, fn func(redisengine.Ask) error) error {
	var each func(context.Context, func(context.Context, *redis.Client) error) error
	switch c := w.client.(type) {
	case *redis.ClusterClient:
		each = c.ForEachMaster
	case *redis.Ring:
		each = c.ForEachShard
	default:
		return fn(func(words ...any) (any, error) { return w.Do(ctx, redisengine.Command{Words: words, Again: true}) })
	}
	var mu sync.Mutex // guards nodes
	var nodes []*redis.Client
	_, err := w.call(ctx, func(ctx context.Context) (any, error) {
		return nil, each(ctx, func(_ context.Context, c *redis.Client) error {
			mu.Lock()
			defer mu.Unlock()
			nodes = append(nodes, c)
			return nil
		})
	})
	if err != nil {
		return err
	}
	mu.Lock()
	defer mu.Unlock()
	for _, node := range nodes {
		if err := fn(w.asking(ctx, node)); err != nil {
			return err
		}
	}
	return nil
}

// asking returns a way to ask one server.
func (w *wire) asking(ctx context.Context, server *redis.Client) redisengine.Ask {
	return func(words ...any) (any, error) {
		return w.call(ctx, func(ctx context.Context) (any, error) {
			c := redis.NewCmd(ctx, words...)
			return reply(c, server.Process(ctx, c))
		})
	}
}

// Mode implements [redisengine.Wire].
func (w *wire) Mode(ctx context.Context) (string, error) {
	if w.cluster != nil {
		return "cluster", nil
	}
	if w.node == nil {
		return "", nil // a ring, say
	}
	got, err := w.Do(ctx, redisengine.Command{Words: []any{"HELLO"}, Again: true})
	fields, _ := got.([]any)
	for i := 0; i+1 < len(fields); i += 2 {
		if name, _ := fields[i].([]byte); string(name) == "mode" {
			mode, _ := fields[i+1].([]byte)
			return string(mode), err
		}
	}
	return "", err
}

// call makes a call within its time.
func (w *wire) call(ctx context.Context, do func(context.Context) (any, error)) (any, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	outer, began := ctx, time.Now()
	if w.limit > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, w.limit)
		defer cancel()
	}
	var got any
	var err error
	if w.obeys || ctx.Done() == nil {
		got, err = do(ctx)
	} else {
		got, err = detached(ctx, do)
	}
	if err != nil {
		w.look(err)
		if cause := outer.Err(); cause != nil && !errors.Is(err, cause) {
			err = fmt.Errorf("%w: %w", cause, err)
		}
		err = w.why(err, began)
	}
	return got, err
}

// detached makes a call in a goroutine of its own: a client that does not heed
// contexts is left to end it by its own time-outs.
func detached(ctx context.Context, do func(context.Context) (any, error)) (any, error) {
	type outcome struct {
		got any
		err error
	}
	done := make(chan outcome, 1)
	go func() {
		got, err := do(ctx)
		done <- outcome{got, err}
	}()
	select {
	case o := <-done:
		return o.got, o.err
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// look finds out where the primaries are now, if err says that one did not answer
// or is none any more. go-redis does so after MOVED alone, and from a node that
// is frozen there comes none.
func (w *wire) look(err error) {
	if _, refused := errors.AsType[redisengine.Refusal](err); refused && !redisengine.Refused(err, "READONLY", "CLUSTERDOWN", "MASTERDOWN", "MOVED", "LOADING") ||
		errors.Is(err, backend.ErrNotReplicated) || errors.Is(err, context.Canceled) {
		return
	}
	switch {
	case w.cluster != nil:
		w.cluster.ReloadState(context.Background()) // in the background, one at a time
	case w.watch != nil:
		w.watch.Doubt()
	}
}

// why adds to the error of a call what the Sentinels say, if they name no primary,
// or else why the last dial failed, if the call had no more time: go-redis tells
// only how much that was.
func (w *wire) why(err error, began time.Time) error {
	var cause error
	if _, refused := errors.AsType[redisengine.Refusal](err); refused {
		return err
	}
	if w.watch != nil {
		cause = w.watch.Err()
	}
	if cause == nil && w.dials != nil && errors.Is(err, context.DeadlineExceeded) {
		cause = w.dials.failed(began)
	}
	if cause != nil && !errors.Is(err, cause) {
		return fmt.Errorf("%w: %w", err, cause)
	}
	return err
}

// bytes sends a command whose reply is a string, and returns it without a copy.
func bytes(c *redis.StringCmd, send func(redis.Cmder) error) (any, error) {
	if err := send(c); err != nil {
		return nil, failure(err)
	}
	b, err := c.Bytes()
	return b, err
}

// reply returns a command's reply as the engine takes it.
func reply(c *redis.Cmd, err error) (any, error) {
	if err != nil {
		return nil, failure(err)
	}
	return plain(c.Val()), nil
}

func plain(v any) any {
	switch v := v.(type) {
	case string:
		return []byte(v)
	case redis.Error:
		if errors.Is(v, redis.Nil) {
			return nil
		}
		return redisengine.Refuse(v.Error())
	case []any:
		for i := range v {
			v[i] = plain(v[i])
		}
	case map[any]any: // HELLO, in RESP3
		var list []any
		for name, value := range v {
			list = append(list, plain(name), plain(value))
		}
		return list
	}
	return v
}

// failure makes an error what the engine takes: nil for a reply of nil, and a
// Refusal for a server's error.
func failure(err error) error {
	if errors.Is(err, redis.Nil) {
		return nil
	}
	if refused, ok := errors.AsType[redis.Error](err); ok {
		return redisengine.Refuse(refused.Error())
	}
	return err
}

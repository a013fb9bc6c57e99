package goredis

import (
	"context"
	"errors"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/chisession/session/backend/internal/redisengine"
)

const (
	maxDetours = 20
	detour     = 25 * time.Millisecond
)

// confirmed sends a command and its WAIT on one connection to the server that has
// the key. go-redis sends WAIT, which has no key, to any node, and follows MOVED
// with one command of a pipeline and not the next: so the way is found here.
func (w *wire) confirmed(ctx context.Context, cmd redisengine.Command) (any, error) {
	node, err := w.node(ctx, cmd.Key)
	for range maxDetours {
		if err != nil {
			return nil, err
		}
		var got any
		got, err = send(ctx, node, cmd, false)
		switch {
		case redisengine.Refused(err, "ASK"):
			if node, err = w.asked(ctx, err); err == nil {
				got, err = send(ctx, node, cmd, true)
			}
			if !redisengine.Refused(err, "MOVED", "ASK", "TRYAGAIN") {
				return got, err
			}
		case w.cluster == nil || !redisengine.Refused(err, "MOVED", "READONLY", "TRYAGAIN", "CLUSTERDOWN"):
			return got, err
		}
		// Nothing was done. The map of slots is old, or will soon be.
		w.cluster.ReloadState(ctx)
		if node, err = w.later(ctx, cmd.Key); err != nil {
			return nil, err
		}
	}
	_, err = send(ctx, node, cmd, false)
	return nil, errors.Join(err, errors.New("the cluster sends the command around"))
}

// later returns the server that has the key in a moment.
func (w *wire) later(ctx context.Context, key string) (*redis.Client, error) {
	timer := time.NewTimer(detour)
	defer timer.Stop()
	select {
	case <-timer.C:
		return w.node(ctx, key)
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// asked returns the server that ASK names, to which the key is being moved.
func (w *wire) asked(ctx context.Context, ask error) (*redis.Client, error) {
	if w.cluster == nil {
		return nil, ask
	}
	addr := redisengine.Redirected(ask)
	found := make(chan *redis.Client, 1)
	err := w.cluster.ForEachMaster(ctx, func(_ context.Context, c *redis.Client) error {
		if c.Options().Addr == addr {
			found <- c
		}
		return nil
	})
	select {
	case c := <-found:
		return c, nil
	default:
		return nil, errors.Join(ask, err)
	}
}

// send sends a command and its WAIT, behind an ASKING if it is asked for.
func send(ctx context.Context, node *redis.Client, cmd redisengine.Command, asking bool) (any, error) {
	c, wait := redis.NewCmd(ctx, cmd.Words...), redis.NewCmd(ctx, cmd.Behind()...)
	pipe := node.Pipeline()
	if asking {
		_ = pipe.Process(ctx, redis.NewCmd(ctx, "ASKING")) // these only queue
	}
	if cmd.Again {
		_ = pipe.Process(ctx, c)
	} else {
		_ = pipe.Process(ctx, once{c})
	}
	_ = pipe.Process(ctx, wait)
	_, _ = pipe.Exec(ctx) // each command has its own error
	got, err := reply(c, c.Err())
	if err != nil {
		return nil, err
	}
	n, err := reply(wait, wait.Err())
	if err != nil {
		return nil, err
	}
	return got, cmd.Confirmed(n)
}

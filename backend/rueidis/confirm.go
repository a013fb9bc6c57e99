package rueidis

import (
	"context"

	"github.com/redis/rueidis"

	"github.com/chisession/session/backend/internal/redisengine"
)

// confirmed sends a command and its WAIT on a connection of their own, which no
// other request shares: it would wait, too.
func (w *wire) confirmed(ctx context.Context, cmd redisengine.Command) (any, error) {
	if w.limit > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, w.limit+w.try)
		defer cancel()
	}
	return w.tries(ctx, cmd.Again, func() (any, error) {
		got, err := w.both(ctx, w.client, cmd, false)
		if node := w.client.Nodes()[redisengine.Redirected(err)]; node != nil && redisengine.Refused(err, "ASK") {
			return w.both(ctx, node, cmd, true)
		}
		return got, err // MOVED has had rueidis read the map of slots
	})
}

// both sends a command and its WAIT, behind an ASKING if it is asked for.
func (w *wire) both(ctx context.Context, client rueidis.Client, cmd redisengine.Command, asking bool) (any, error) {
	c, release := client.Dedicate()
	defer release()
	if asking {
		if _, err := reply(c.Do(ctx, c.B().Arbitrary("ASKING").Build())); err != nil {
			return nil, err
		}
	}
	wait := c.B().Wait().Numreplicas(int64(cmd.Replicas)).Timeout(cmd.Wait.Milliseconds()).Build()
	results := c.DoMulti(ctx, w.build(cmd), wait)
	got, err := reply(results[0])
	if err != nil {
		return nil, err
	}
	n, err := reply(results[1])
	if err != nil {
		return nil, err // it may have been done
	}
	return got, cmd.Confirmed(n)
}

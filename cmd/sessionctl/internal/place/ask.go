package place

import (
	"context"
	"errors"

	redigo "github.com/gomodule/redigo/redis"
	driver "github.com/redis/go-redis/v9"
)

// Ask sends one command to Redis; in a cluster to the node that has the key, and
// one without a key to any. The response is as redigo has it.
func (p *Place) Ask(command string, args ...any) (any, error) {
	if p.goredis == nil {
		c := p.Redis.Get()
		defer func() { _ = c.Close() }() // it goes back to the pool; its error is the response's
		return redigo.DoWithTimeout(c, Timeout, command, args...)
	}
	return askWithin(p.goredis.Client(), command, args...)
}

func askWithin(c driver.UniversalClient, command string, args ...any) (any, error) {
	ctx, cancel := context.WithTimeout(context.Background(), Timeout)
	defer cancel()
	return askClient(ctx, c, command, args...)
}

// OnEachPrimary calls fn with a way to ask each primary of a cluster. Of what is no
// cluster there is one.
func (p *Place) OnEachPrimary(fn func(addr string, ask func(command string, args ...any) (any, error)) error) error {
	cluster, ok := p.clusterClient()
	if !ok {
		return fn(p.Target.String(), p.Ask)
	}
	ctx, cancel := context.WithTimeout(context.Background(), Timeout)
	defer cancel()
	var nodes []*driver.Client
	found := make(chan *driver.Client, 1000) // the most that a cluster has
	err := cluster.ForEachMaster(ctx, func(_ context.Context, c *driver.Client) error {
		found <- c
		return nil
	})
	close(found)
	for c := range found {
		nodes = append(nodes, c)
	}
	for _, c := range nodes {
		err = errors.Join(err, fn(c.Options().Addr, func(command string, args ...any) (any, error) { return askWithin(c, command, args...) }))
	}
	return err
}

// Cluster reports whether the place is a Redis Cluster.
func (p *Place) Cluster() bool {
	_, ok := p.clusterClient()
	return ok
}

func (p *Place) clusterClient() (*driver.ClusterClient, bool) {
	if p.goredis == nil {
		return nil, false
	}
	c, ok := p.goredis.Client().(*driver.ClusterClient)
	return c, ok
}

// HasSentinels reports whether there are Sentinels to ask.
func (p *Place) HasSentinels() bool { return p.Target.sentinels() }

// Sentinels asks the Sentinels whether a failover is possible.
func (p *Place) Sentinels(ctx context.Context) error {
	if p.goredis != nil {
		return p.goredis.Sentinels(ctx)
	}
	return p.redis.Sentinels(ctx)
}

// askClient sends a command through go-redis.
func askClient(ctx context.Context, c driver.UniversalClient, command string, args ...any) (any, error) {
	reply, err := c.Do(ctx, append([]any{command}, args...)...).Result()
	if errors.Is(err, driver.Nil) {
		return nil, nil
	}
	if refused, ok := errors.AsType[driver.Error](err); ok {
		return nil, redigo.Error(refused.Error())
	}
	return asRedigo(reply), err
}

// asRedigo makes a reply what redigo would have made of it.
func asRedigo(reply any) any {
	switch reply := reply.(type) {
	case string:
		return []byte(reply)
	case []any:
		for i := range reply {
			reply[i] = asRedigo(reply[i])
		}
	case map[any]any:
		var list []any
		for name, value := range reply {
			list = append(list, asRedigo(name), asRedigo(value))
		}
		return list
	}
	return reply
}

package rueidis

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/redis/rueidis"

	"github.com/chisession/session/backend"
	"github.com/chisession/session/backend/internal/redisengine"
	"github.com/chisession/session/backend/internal/sentinel"
)

// pause is how long a call that met no primary waits before it is tried again.
const pause = 25 * time.Millisecond

// A wire carries the engine's commands over a client.
type wire struct {
	client  rueidis.Client
	cluster bool
	alone   bool            // there is one server, and nobody to name another
	limit   time.Duration   // of a call; 0 on a caller's client
	try     time.Duration   // of one try of it
	watch   *sentinel.Watch // nil: no Sentinels, or the client's own business
}

// Do implements [redisengine.Wire].
func (w *wire) Do(ctx context.Context, cmd redisengine.Command) (any, error) {
	if cmd.Replicas > 0 {
		return w.confirmed(ctx, cmd)
	}
	return w.tries(ctx, cmd.Again, func() (any, error) { return reply(w.client.Do(ctx, w.build(cmd))) })
}

// Many implements [redisengine.Wire].
func (w *wire) Many(ctx context.Context, cmds []redisengine.Command) ([]any, error) {
	got, err := w.tries(ctx, true, func() (any, error) { return w.multi(ctx, cmds) })
	replies, _ := got.([]any)
	return replies, err
}

// multi sends commands in one round trip to each server. Those without a key go
// by themselves: in a cluster rueidis mixes them with none.
func (w *wire) multi(ctx context.Context, cmds []redisengine.Command) (any, error) {
	replies := make([]any, len(cmds))
	keep := func(i int, got any, err error) error {
		if refused, ok := errors.AsType[redisengine.Refusal](err); ok {
			got, err = refused, nil
		}
		replies[i] = got
		return err
	}
	var sent []rueidis.Completed
	var places []int
	for i, cmd := range cmds {
		if len(cmd.Words) > 1 || !w.cluster {
			sent, places = append(sent, w.build(cmd)), append(places, i)
			continue
		}
		got, err := reply(w.client.Do(ctx, w.build(cmd)))
		if err := keep(i, got, err); err != nil {
			return nil, err
		}
	}
	for n, result := range w.client.DoMulti(ctx, sent...) {
		got, err := reply(result)
		if err := keep(places[n], got, err); err != nil {
			return nil, err
		}
	}
	return replies, nil
}

// Primaries implements [redisengine.Wire]. rueidis knows the replicas of a cluster as
// well, and does not tell which they are: they say it themselves.
func (w *wire) Primaries(ctx context.Context, fn func(redisengine.Ask) error) error {
	if !w.cluster {
		return fn(w.asking(ctx, w.client))
	}
	for _, node := range w.client.Nodes() {
		ask := w.asking(ctx, node)
		greeting, err := ask("HELLO")
		if err != nil {
			return err
		}
		if field(greeting, "role") != "master" {
			continue
		}
		if err := fn(ask); err != nil {
			return err
		}
	}
	return nil
}

// asking returns a way to ask one server.
func (w *wire) asking(ctx context.Context, server rueidis.Client) redisengine.Ask {
	return func(words ...any) (any, error) {
		return w.tries(ctx, true, func() (any, error) {
			return reply(server.Do(ctx, w.build(redisengine.Command{Words: words, Again: true})))
		})
	}
}

// field returns a field of a reply that has names and values.
func field(reply any, name string) string {
	fields, _ := reply.([]any)
	for i := 0; i+1 < len(fields); i += 2 {
		if got, _ := fields[i].([]byte); string(got) == name {
			value, _ := fields[i+1].([]byte)
			return string(value)
		}
	}
	return ""
}

// Mode implements [redisengine.Wire].
func (w *wire) Mode(ctx context.Context) (string, error) {
	if w.cluster {
		return "cluster", nil
	}
	got, err := w.tries(ctx, true, func() (any, error) {
		fields, err := w.client.Do(ctx, w.client.B().Arbitrary("HELLO").Build()).AsMap()
		if err != nil {
			return nil, failure(err)
		}
		mode := fields["mode"]
		return mode.ToString()
	})
	mode, _ := got.(string)
	return mode, err
}

// tries makes a call, and again for as long as there is time, where the server
// said that it had not done it. On a client of our own, what may be sent twice is
// made again after any failure of the network, too.
func (w *wire) tries(ctx context.Context, again bool, do func() (any, error)) (any, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	began := time.Now()
	for {
		got, err := do()
		if err == nil || errors.Is(err, backend.ErrNotReplicated) {
			return got, err
		}
		w.doubt(err)
		refused, redirects := redisengine.Redirection(err)
		if refused && (!redirects || w.alone && redisengine.Refused(err, "READONLY")) || !refused && (!again || w.limit == 0) {
			return got, err
		}
		if time.Since(began)+pause >= cmp.Or(w.limit, usual.call) || !sleep(ctx, pause) {
			return got, err
		}
	}
}

// doubt has the Sentinels asked when a call met no primary that answers.
func (w *wire) doubt(err error) {
	if w.watch == nil || errors.Is(err, context.Canceled) {
		return
	}
	if refused, why := redisengine.Redirection(err); !refused || why {
		w.watch.Doubt()
	}
}

func sleep(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
		return false
	}
}

// build makes rueidis's form of a command. On a caller's client, what may be sent
// again is marked so; ours leaves that to tries. None is marked as a read to a
// caller's client: it may send those to replicas.
func (w *wire) build(cmd redisengine.Command) rueidis.Completed {
	if cmd.Words[0] == "GET" && w.limit > 0 {
		return w.client.B().Get().Key(cmd.Key).Build()
	}
	from, to := cmd.Keys()
	c := w.client.B().Arbitrary(cmd.Words[0].(string))
	for i, word := range cmd.Words[1:] {
		if i+1 >= from && i+1 < to {
			c = c.Keys(text(word))
		} else {
			c = c.Args(text(word))
		}
	}
	if cmd.Again {
		return c.Build().ToRetryable()
	}
	return c.Build()
}

// text returns a word as a string, a []byte without a copy: nobody changes it
// while it is sent.
func text(word any) string {
	switch word := word.(type) {
	case string:
		return word
	case []byte:
		return rueidis.BinaryString(word)
	case int:
		return strconv.Itoa(word)
	case int64:
		return strconv.FormatInt(word, 10)
	}
	return fmt.Sprint(word)
}

// reply returns a reply as the engine takes it.
func reply(r rueidis.RedisResult) (any, error) {
	m, err := r.ToMessage()
	if err != nil {
		return nil, failure(err)
	}
	return plain(&m)
}

func plain(m *rueidis.RedisMessage) (any, error) {
	switch {
	case m.IsNil():
		return nil, nil
	case m.IsInt64():
		return m.ToInt64()
	case m.IsMap():
		values, err := m.AsMap()
		var list []any
		for name, value := range values {
			got, err := plain(&value)
			if err != nil {
				return nil, err
			}
			list = append(list, []byte(name), got)
		}
		return list, err
	case m.IsArray():
		values, err := m.ToArray()
		list := make([]any, len(values))
		for i := range values {
			got, err := plain(&values[i])
			if refused, ok := errors.AsType[redisengine.Refusal](err); ok {
				got, err = refused, nil
			}
			if err != nil {
				return nil, err
			}
			list[i] = got
		}
		return list, err
	}
	b, err := m.AsBytes()
	return b, failure(err)
}

// failure makes an error what the engine takes: nil for a reply of nil, and a
// Refusal for a server's error.
func failure(err error) error {
	if err == nil || rueidis.IsRedisNil(err) {
		return nil
	}
	if refused, ok := rueidis.IsRedisErr(err); ok {
		return redisengine.Refuse(refused.Error())
	}
	return err
}

package redisengine

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/google/uuid"

	"github.com/chisession/session/backend"
)

const (
	probeTime = 3 * time.Second  // for all of a Check
	tidyTime  = time.Second      // for removing what it may have left
	probeLife = 10 * time.Second // of its record, should it not come to removing it
)

// Check proves that this Store may do all that it will have to: it tries every
// command, and stores, finds and removes a record of its own, with a name that
// nobody else has, for seconds at most. An error says which command or right is
// missing, and the cure. That the server is full, or misses a replica it wants,
// is no error: sessions can be read meanwhile.
//
// Open does it. Do it at start on a pool of your own: without the right to one
// command of the index, say, everybody could log in, and nobody be logged out.
// It costs about fifteen round trips.
func (s *Store) Check(ctx context.Context) error {
	if err := s.Prove(ctx); err != nil {
		return fmt.Errorf("%s: check: %w", s.name, err)
	}
	return nil
}

// Prove is Check without the prefix of its error.
func (s *Store) Prove(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, probeTime)
	defer cancel()
	rec := backend.Record{ID: uuid.New(), Data: []byte("probe"), Version: 1}
	rec.User = "probe " + rec.ID.String()
	now, err := s.tryCommands(ctx, rec)
	if err != nil {
		return err
	}
	if err := s.tryAsking(ctx); err != nil {
		return err
	}
	s.ask(ctx)
	rec.Expires = now.Add(probeLife)
	if s.Confirms() {
		if err := s.tryWait(ctx, rec); err != nil && !errors.Is(err, backend.ErrNotReplicated) {
			return err
		}
	}
	err = s.tryRecord(ctx, rec)
	if Refused(err, "OOM", "MISCONF", "NOREPLICAS") || errors.Is(err, backend.ErrNotReplicated) {
		return nil
	}
	if Refused(err, "READONLY") {
		return fmt.Errorf("this server is a replica, which refuses every write: give the address of the primary (or the Sentinels, redis+sentinel://…): %w", err)
	}
	return err
}

// probeCommands are what a Store sends or its script calls, in a form that does
// nothing to a key that is not there. PING and TIME go with no key.
var probeCommands = []struct {
	name  string
	index bool // its key is a user's index
	args  []any
}{
	{"GET", false, nil},
	{"SET", false, []any{"", "XX", "PX", 1}},
	{"DEL", false, nil},
	{"GETRANGE", false, []any{0, 0}},
	{"SETRANGE", false, []any{0, ""}},
	{"PEXPIREAT", false, []any{1}},
	{"PEXPIREAT", true, []any{1}},
	{"PEXPIRETIME", true, nil},
	{"ZADD", true, []any{"XX", 0, ""}},
	{"ZSCORE", true, []any{""}},
	{"ZRANGE", true, []any{0, 0}},
	{"ZREM", true, []any{""}},
	{"ZREMRANGEBYSCORE", true, []any{0, 0}},
}

// tryCommands finds out which commands the server lacks or forbids, and in
// which mode it runs. It returns the time by the server's clock, which may be
// hours from ours and is the one that records expire by.
func (s *Store) tryCommands(ctx context.Context, rec backend.Record) (time.Time, error) {
	keys := map[bool]string{false: s.Key(rec.ID), true: s.Index(rec.User)}
	names := []string{"PING", "TIME", "EVAL", "EVALSHA"}
	cmds := []Command{
		{Words: []any{"PING"}}, {Words: []any{"TIME"}},
		{Words: []any{"EVAL", "return 1", 1, keys[false]}},
		{Words: []any{"EVALSHA", strings.Repeat("0", 40), 1, keys[false]}},
	}
	for _, c := range probeCommands {
		names = append(names, c.name)
		cmds = append(cmds, Command{Words: slices.Concat([]any{c.name, keys[c.index]}, c.args), Key: keys[c.index]})
	}
	for i := range cmds {
		cmds[i].Again = true
		if cmds[i].Key == "" {
			cmds[i].Key = keys[false]
		}
	}
	replies, err := s.many(ctx, cmds)
	if err != nil {
		return time.Time{}, err
	}
	if len(replies) != len(names) {
		return time.Time{}, fmt.Errorf("%d replies to %d commands", len(replies), len(names))
	}
	mode, err := s.wire.Mode(ctx)
	if s.learn(mode, err) == unknownMode {
		return time.Time{}, err
	}
	return clock(replies[1]), s.judge(names, replies)
}

// clock reads the reply to TIME: seconds, then microseconds. It is ours if that
// is something else; judge has the error.
func clock(reply any) time.Time {
	if parts, ok := reply.([]any); ok && len(parts) == 2 {
		if text, ok := parts[0].([]byte); ok {
			if seconds, err := strconv.ParseInt(string(text), 10, 64); err == nil {
				return time.Unix(seconds, 0)
			}
		}
	}
	return time.Now()
}

// judge makes one error of what the server refused.
func (s *Store) judge(names []string, replies []any) error {
	var lacks, forbidden, keys []string
	for i, reply := range replies {
		refusal, ok := reply.(Refusal)
		switch text := string(refusal); {
		case !ok || Refused(refusal, "NOSCRIPT", "OOM", "MISCONF", "NOREPLICAS", "READONLY"):
		case Refused(refusal, "MOVED", "ASK"):
			return ErrCluster
		case Refused(refusal, "CLUSTERDOWN"):
			return fmt.Errorf("%w (redis-cli --cluster check says which slots nobody serves)", refusal)
		case strings.HasPrefix(strings.TrimPrefix(text, "ERR "), "unknown command"): // rueidis leaves out the ERR
			lacks = append(lacks, names[i])
		case Refused(refusal, "NOPERM") && strings.Contains(text, "key"):
			keys = append(keys, names[i])
		case Refused(refusal, "NOPERM"):
			forbidden = append(forbidden, names[i])
		default:
			return fmt.Errorf("%s: %w", names[i], refusal)
		}
	}
	var errs []error
	if len(lacks) > 0 {
		errs = append(errs, fmt.Errorf("the server has no command %s: it must be Redis 7.0 or newer, or Valkey, and not have renamed it", list(lacks)))
	}
	if len(forbidden) > 0 {
		errs = append(errs, fmt.Errorf("the account may not run %s: ACL SETUSER <user> +%s", list(forbidden),
			strings.ToLower(strings.Join(slices.Compact(slices.Sorted(slices.Values(forbidden))), " +"))))
	}
	if len(keys) > 0 {
		errs = append(errs, fmt.Errorf("the account may not use keys that begin with %q (%s): ACL SETUSER <user> ~%s*", s.opts.Prefix, list(keys), s.opts.Prefix))
	}
	return errors.Join(errs...)
}

// list prints names, each once.
func list(names []string) string {
	return strings.Join(slices.Compact(slices.Sorted(slices.Values(names))), ", ")
}

// tryRecord takes a record through its life.
func (s *Store) tryRecord(ctx context.Context, rec backend.Record) error {
	defer func() { // most often there is nothing left
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), tidyTime)
		defer cancel()
		for _, key := range []string{s.Key(rec.ID), s.Index(rec.User)} {
			_, _ = s.do(ctx, Command{Words: []any{"DEL", key}, Key: key, Again: true})
		}
	}()
	if err := s.Create(ctx, rec); err != nil {
		return err
	}
	_, err := s.Load(ctx, rec.ID)
	if err == nil {
		err = s.Touch(ctx, rec.ID, rec.Expires.Add(time.Second))
	}
	if err == nil {
		err = s.Update(ctx, rec)
	}
	if err != nil {
		return err
	}
	found, err := s.ByUser(ctx, rec.User)
	if err == nil && len(found) != 1 {
		err = fmt.Errorf("a record that was just stored is in its user's index %d times: a proxy before several servers must keep one key on one server", len(found))
	}
	if err == nil {
		err = s.Delete(ctx, rec.ID)
	}
	return err
}

// tryAsking finds out whether the account may follow a slot that moves, which it
// will have to one day, on a cluster.
func (s *Store) tryAsking(ctx context.Context) error {
	if !s.Cluster() {
		return nil
	}
	var forbidden error
	enough := errors.New("one primary is enough")
	_ = s.wire.Primaries(ctx, func(ask Ask) error {
		if _, err := ask("ASKING"); Refused(err, "NOPERM") {
			forbidden = fmt.Errorf("the account may not run ASKING, without which calls fail while slots move: ACL SETUSER <user> +asking: %w", err)
		}
		return enough
	})
	return forbidden
}

// tryWait finds out whether the account may WAIT.
func (s *Store) tryWait(ctx context.Context, rec backend.Record) error {
	key := s.Key(rec.ID)
	_, err := s.do(ctx, Command{Words: []any{"GET", key}, Key: key, Again: true, Replicas: 1, Wait: time.Millisecond})
	if Refused(err, "NOPERM") {
		return fmt.Errorf("Options.Replicas needs the command WAIT: ACL SETUSER <user> +wait: %w", err)
	}
	return err
}

// ErrCluster says that the wire follows no redirections, and has met some.
var ErrCluster = errors.New("this server is a node of a Redis Cluster, whose redirections this client does not follow: " +
	"use backend/goredis or backend/rueidis with redis+cluster://host1,host2,host3")

package redisengine

import (
	"context"
	"errors"
	"fmt"
	"strings"
)

// Durability says what becomes of a login or a logout that was acknowledged, when
// a server fails, as the settings were at the last [Store.Check]; "" before the
// first. In a cluster one node has answered for all.
func (s *Store) Durability() string {
	if text := s.durability.Load(); text != nil {
		return *text
	}
	return ""
}

// A survey is what a server says of its settings. What the account may not ask is
// missing.
type survey struct {
	replication, persistence map[string]string
	appendfsync, save        string
	saveKnown                bool
}

// ask finds out what Durability says. It costs five round trips.
func (s *Store) ask(ctx context.Context) {
	var sv *survey
	enough := errors.New("one primary is enough") // a replica would know nothing of the others
	_ = s.wire.Primaries(ctx, func(ask Ask) error {
		if sv == nil {
			sv = surveyed(ask)
		}
		return enough
	})
	if sv == nil { // the account may not find out which server is one
		sv = surveyed(func(words ...any) (any, error) { return s.do(ctx, Command{Words: words, Again: true}) })
	}
	text := sv.failover(s.opts.Replicas, s.opts.EveryWrite) + "; " + sv.crash()
	s.durability.Store(&text)
}

// surveyed asks a server for its settings.
func surveyed(ask Ask) *survey {
	sv := &survey{replication: fields(ask.text("INFO", "replication")), persistence: fields(ask.text("INFO", "persistence"))}
	sv.appendfsync, _ = ask.setting("appendfsync")
	sv.save, sv.saveKnown = ask.setting("save")
	return sv
}

// text asks for a text; it is empty where that is not allowed.
func (ask Ask) text(words ...any) string {
	reply, _ := ask(words...) // an error: it is not known
	b, _ := reply.([]byte)
	return string(b)
}

// setting asks for a setting, and reports whether it is known.
func (ask Ask) setting(name string) (string, bool) {
	reply, _ := ask("CONFIG", "GET", name) // an error: it is not known
	pair, _ := reply.([]any)
	if len(pair) != 2 {
		return "", false
	}
	value, ok := pair[1].([]byte)
	return string(value), ok
}

// fields reads what INFO says.
func fields(info string) map[string]string {
	all := map[string]string{}
	for line := range strings.Lines(info) {
		if name, value, ok := strings.Cut(strings.TrimSpace(line), ":"); ok {
			all[name] = value
		}
	}
	return all
}

// failover says what a failover undoes.
func (sv survey) failover(replicas int, every bool) string {
	connected, known := sv.replication["connected_slaves"]
	known = known && sv.replication["role"] == "master"
	switch {
	case replicas > 0:
		what := "a login or logout"
		if every {
			what = "every write"
		}
		text := fmt.Sprintf("%s is acknowledged once %d of the replicas have it, and survives a failover to the one that has the most", what, replicas)
		if known && len(connected) == 1 && connected < fmt.Sprint(replicas) {
			text += fmt.Sprintf("; it is refused now, as %s are connected", connected)
		}
		return text
	case known && connected == "0":
		return "one server without a replica"
	case known:
		return fmt.Sprintf("%s replicas, asynchronous: a failover undoes the logins and logouts that the next primary had not received (Replicas: 1 prevents that)", connected)
	}
	return "asynchronous, if there are replicas: a failover undoes the logins and logouts that the next primary had not received (Replicas: 1 prevents that)"
}

// crash says what a crash and a restart of a server undo.
func (sv survey) crash() string {
	switch aof := sv.persistence["aof_enabled"]; {
	case aof == "1" && sv.appendfsync == "always":
		return "a crash undoes nothing (appendfsync always)"
	case aof == "1" && sv.appendfsync == "no":
		return "a crash undoes what the system had not written to the disk (appendfsync no)"
	case aof == "1":
		return "a crash undoes those of the last second or two (appendonly)"
	case aof == "":
		return "what a crash undoes is not known: the account may not run INFO"
	case sv.saveKnown && sv.save == "":
		return "nothing is kept on disk: a server that restarts has logged everybody out, and one that a supervisor restarts at once stays the primary (appendonly yes prevents that)"
	}
	return "no append-only file: a crash undoes those since the last snapshot, if there are any"
}

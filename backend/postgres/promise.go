package postgres

import "strings"

// A Promise is what becomes of a write that the server has acknowledged, when
// a server fails. It is that of the moment when the Store was made.
type Promise struct {
	Unlogged bool // the table is UNLOGGED
	Pooled   bool // a pooler such as PgBouncer stands before the server

	// The server's settings of these names, for this account.
	SynchronousCommit, StandbyNames, Fsync string
}

// Promise returns what the server promised when the Store was made.
func (s *Store) Promise() Promise { return s.promise }

// Confirms implements [backend.Confirmer]: the server waits for a standby, as it
// did when the Store was made.
func (s *Store) Confirms() bool { return s.promise.SurvivesFailover() }

// Durability implements [backend.Durable]: [Promise.String].
func (s *Store) Durability() string { return s.promise.String() }

// SurvivesCrash reports whether an acknowledged write is still there when the
// server has crashed and starts again.
func (p Promise) SurvivesCrash() bool {
	return !p.Unlogged && p.SynchronousCommit != "off" && p.Fsync != "off"
}

// SurvivesFailover reports whether an acknowledged write, a logout say, is still
// there when a standby takes over: whether the server waits for one.
func (p Promise) SurvivesFailover() bool {
	switch p.SynchronousCommit {
	case "on", "remote_write", "remote_apply":
		return !p.Unlogged && strings.TrimSpace(p.StandbyNames) != ""
	}
	return false
}

// String says it in a sentence.
func (p Promise) String() string {
	switch {
	case p.Unlogged:
		return "the table is UNLOGGED: a crash of the server and a failover to a standby lose every session"
	case p.Fsync == "off":
		return "fsync is off: a crash of the machine may lose or damage any session"
	case p.SynchronousCommit == "off":
		return "synchronous_commit is off: a crash of the server undoes the logins and logouts of the last second, and a failover those that the standby had not received"
	case p.SurvivesFailover():
		return "synchronous: an acknowledged login or logout survives a crash, and a failover to one of " + p.StandbyNames
	}
	return "asynchronous: an acknowledged login or logout survives a crash; a failover to a standby undoes what that had not received"
}

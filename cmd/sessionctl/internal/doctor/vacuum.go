package doctor

import (
	"context"
	"time"
)

// What PostgreSQL's table of sessions looks like while all is well. Every session
// that is in use makes a dead version of its row a minute.
const (
	fewUpdates    = 10_000   // say nothing yet
	fewHOT        = 70       // per cent
	fewDead       = 10_000   // rows: any vacuum may be about to begin
	manyDead      = 30       // per cent of the live ones; autovacuum begins at 5
	smallTable    = 64 << 20 // bytes: whatever it wastes does no harm
	bloated       = 3        // times what its rows need
	longOpen      = time.Hour
	longOpenHurts = 24 * time.Hour
)

// hot looks at how many updates leave the indexes alone.
func (c postgresChecks) hot(ctx context.Context) Result {
	if r, missing := c.missing(ctx); missing {
		return r
	}
	var updates, hot int64
	var onExpiry bool
	const query = `SELECT coalesce(s.n_tup_upd, 0), coalesce(s.n_tup_hot_upd, 0), EXISTS (
			SELECT FROM pg_index AS i JOIN pg_attribute AS a ON a.attrelid = i.indrelid AND a.attnum = ANY (i.indkey)
			WHERE i.indrelid = $1::regclass AND a.attname IN ('expires', 'version', 'data'))
		FROM (SELECT $1::regclass AS oid) AS c LEFT JOIN pg_stat_user_tables AS s ON s.relid = c.oid`
	if err := c.get(ctx, query, c.table(), &updates, &hot, &onExpiry); err != nil {
		return unknown("how many updates are HOT", err)
	}
	switch share := float64(hot) / float64(max(updates, 1)) * 100; {
	case onExpiry:
		return warn("DROP INDEX it: expired sessions are found by the index on bucket", "an index has a column that every update changes, so that none is HOT: table and indexes grow")
	case updates < fewUpdates:
		return ok("too few updates to tell")
	case share < fewHOT:
		return warn("look for long transactions, and for fillfactor = 70; then VACUUM", "%.0f %% of %d updates are HOT: the others go into every index", share, updates)
	default:
		return ok("%.0f %% of %d updates", share, updates)
	}
}

// autovacuum looks at what it has left to do.
func (c postgresChecks) autovacuum(ctx context.Context) Result {
	if r, missing := c.missing(ctx); missing {
		return r
	}
	var on bool
	var live, dead int64
	var last *time.Time
	const query = `SELECT current_setting('autovacuum') = 'on' AND current_setting('track_counts') = 'on'
			AND NOT coalesce((SELECT reloptions @> ARRAY['autovacuum_enabled=false'] OR reloptions @> ARRAY['autovacuum_enabled=off'] FROM pg_class WHERE oid = c.oid), false),
			coalesce(s.n_live_tup, 0), coalesce(s.n_dead_tup, 0), greatest(s.last_autovacuum, s.last_vacuum)
		FROM (SELECT $1::regclass AS oid) AS c LEFT JOIN pg_stat_user_tables AS s ON s.relid = c.oid`
	if err := c.get(ctx, query, c.table(), &on, &live, &dead, &last); err != nil {
		return unknown("what autovacuum does", err)
	}
	when := "never yet"
	if last != nil {
		when = "last " + time.Since(*last).Round(time.Second).String() + " ago"
	}
	switch {
	case !on:
		return fail("autovacuum = on and track_counts = on, and ALTER TABLE ... RESET (autovacuum_enabled)", "autovacuum is off for the table of sessions: it grows without end")
	case dead > fewDead && dead*100 > live*manyDead:
		return warn("autovacuum_vacuum_scale_factor = 0.05 for the table (sessionctl migrate has it), a higher autovacuum_vacuum_cost_limit, and no long transactions",
			"autovacuum lags behind: %d dead rows beside %d live ones, %s", dead, live, when)
	}
	return ok("%d dead rows beside %d live ones, %s", dead, live, when)
}

// bloat compares the table's size with what its rows need, by some of its pages.
func (c postgresChecks) bloat(ctx context.Context) Result {
	if r, missing := c.missing(ctx); missing {
		return r
	}
	var size int64
	if err := c.get(ctx, "SELECT pg_relation_size($1::regclass)", c.table(), &size); err != nil {
		return unknown("the table's size", err)
	}
	if size < smallTable {
		return ok("%s: too small to matter", Bytes(size))
	}
	// 24 bytes of header and 4 of pointer a row; data above 2 kB are elsewhere,
	// and 18 bytes here.
	var rows int64
	var width float64
	query := `SELECT coalesce((SELECT n_live_tup FROM pg_stat_user_tables WHERE relid = $1::regclass), 0), coalesce((SELECT
		avg(28 + 16 + 8 + 8 + 4 + coalesce(length(username), 0) + CASE WHEN length(data) > 2000 THEN 18 ELSE length(data) END)
		FROM ` + c.p.QuotedTable() + ` TABLESAMPLE SYSTEM (0.1)), 100)`
	if err := c.get(ctx, query, c.table(), &rows, &width); err != nil {
		return unknown("what the table's rows need", err)
	}
	need := max(int64(float64(rows)*width/0.7), 1)
	if size > bloated*need {
		return warn("VACUUM, and if it comes back: long transactions, autovacuum; to give the space back, VACUUM FULL at a quiet hour, or pg_repack",
			"the table has %s, and its %d rows need %s", Bytes(size), rows, Bytes(need))
	}
	return ok("%s, of which its %d rows need %s", Bytes(size), rows, Bytes(need))
}

// transactions looks for those that keep the server from removing old versions of
// rows. Of other accounts' an ordinary account does not see when they began.
func (c postgresChecks) transactions(ctx context.Context) Result {
	var seconds float64
	const query = `SELECT coalesce(max(extract(epoch FROM clock_timestamp() - xact_start)), 0)::float8 FROM pg_stat_activity
		WHERE backend_type = 'client backend' AND state <> 'idle'`
	if err := c.get(ctx, query, nil, &seconds); err != nil {
		return unknown("how long transactions are open", err)
	}
	open := (time.Duration(seconds) * time.Second)
	switch {
	case open > longOpenHurts:
		return fail("end it (pg_terminate_backend), and set idle_in_transaction_session_timeout", "a transaction is open for %v: no old version of a row is removed since, and the table grows", open)
	case open > longOpen:
		return warn("see whose it is in pg_stat_activity, and set idle_in_transaction_session_timeout", "a transaction is open for %v: no old version of a row is removed since", open)
	}
	return ok("none that lasts")
}

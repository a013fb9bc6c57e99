package doctor

import (
	"context"
	"crypto/tls"
	"fmt"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/chisession/session/backend/postgres"
	"github.com/chisession/session/cmd/sessionctl/internal/place"
)

// Postgres returns the checks of a PostgreSQL. now is this host's clock.
func Postgres(p *place.Place, now func() time.Time) []Check {
	c := postgresChecks{p}
	return []Check{
		{"version", c.version},
		{"role", c.role},
		{"table", c.exists},
		{"schema", c.schema},
		{"rights", c.rights},
		{"durability", c.durability},
		{"standby", c.standby},
		{"pooler", c.pooler},
		{"connections", c.connections},
		{"HOT updates", c.hot},
		{"autovacuum", c.autovacuum},
		{"bloat", c.bloat},
		{"long transactions", c.transactions},
		clock(now, c.time),
		{"encryption", c.encryption},
	}
}

type postgresChecks struct{ p *place.Place }

// get scans the one row of a query, whose parameters are args.
func (c postgresChecks) get(ctx context.Context, query string, args []any, dest ...any) error {
	ctx, cancel := context.WithTimeout(ctx, place.Timeout)
	defer cancel()
	return c.p.Postgres.QueryRow(ctx, query, args...).Scan(dest...)
}

// table are the parameters of a query about the table.
func (c postgresChecks) table() []any { return []any{c.p.QuotedTable()} }

func (c postgresChecks) version(ctx context.Context) Result {
	var version string
	if err := c.get(ctx, "SELECT current_setting('server_version')", nil, &version); err != nil {
		return unknown("the version", err)
	}
	var number int // 150006, of a beta of 18: 180000
	if err := c.get(ctx, "SELECT current_setting('server_version_num')::int", nil, &number); err != nil {
		return unknown("the version", err)
	}
	if number < 13_00_00 {
		return fail("upgrade the server: PostgreSQL 13 is the oldest that sessions are kept safely in", "the server is PostgreSQL %s, which is too old", version)
	}
	return ok("PostgreSQL %s", version)
}

func (c postgresChecks) role(ctx context.Context) Result {
	var standby bool
	var readOnly string
	if err := c.get(ctx, "SELECT pg_is_in_recovery(), current_setting('default_transaction_read_only')", nil, &standby, &readOnly); err != nil {
		return unknown("whether the server takes writes", err)
	}
	switch {
	case standby:
		return fail("point the save path at the primary, or name all hosts with target_session_attrs=read-write",
			"the server is a standby: it refuses every write, and responds with the past")
	case readOnly == "on":
		return fail("ALTER ROLE or ALTER DATABASE ... RESET default_transaction_read_only", "default_transaction_read_only is on: every write is refused")
	}
	return ok("primary")
}

func (c postgresChecks) exists(ctx context.Context) Result {
	var there bool
	if err := c.get(ctx, "SELECT to_regclass($1) IS NOT NULL", c.table(), &there); err != nil {
		return unknown("table "+c.p.Table(), err)
	}
	if !there {
		return fail("run sessionctl migrate --apply, or let the application create it (grant it CREATE on the schema)", "there is no table %s", c.p.Table())
	}
	return ok("table %s is there", c.p.Table())
}

// missing is the result of what needs a table where there is none.
func (c postgresChecks) missing(ctx context.Context) (Result, bool) {
	if c.exists(ctx).Status == Fail {
		return warn("see table", "without a table, there is nothing to look at"), true
	}
	return Result{}, false
}

func (c postgresChecks) schema(ctx context.Context) Result {
	if r, missing := c.missing(ctx); missing {
		return r
	}
	if c.role(ctx).Status == Fail {
		return warn("see role", "a server that takes no writes is not looked at")
	}
	if _, err := c.p.Store(); err != nil {
		return fail("create the table with the statements of sessionctl migrate, in another place or in place of this one", "%v", err)
	}
	return ok("columns and indexes are as they should be")
}

func (c postgresChecks) rights(ctx context.Context) Result {
	if r, missing := c.missing(ctx); missing {
		return r
	}
	var lacks []string
	for _, right := range []string{"SELECT", "INSERT", "UPDATE", "DELETE"} {
		var has bool
		if err := c.get(ctx, "SELECT has_table_privilege($1, $2)", append(c.table(), right), &has); err != nil {
			return unknown("what the account may do", err)
		}
		if !has {
			lacks = append(lacks, right)
		}
	}
	if len(lacks) > 0 {
		rights := strings.Join(lacks, ", ")
		return fail(fmt.Sprintf("GRANT %s ON %s TO <the account>", rights, c.p.QuotedTable()), "the account lacks %s on table %s", rights, c.p.Table())
	}
	var hidden bool
	if err := c.get(ctx, "SELECT row_security_active($1::regclass)", c.table(), &hidden); err == nil && hidden {
		return fail("ALTER TABLE ... DISABLE ROW LEVEL SECURITY", "row level security hides rows of table %s from the account", c.p.Table())
	}
	return ok("SELECT, INSERT, UPDATE and DELETE")
}

func (c postgresChecks) durability(ctx context.Context) Result {
	p := postgres.Promise{}
	const settings = `SELECT current_setting('synchronous_commit'), current_setting('synchronous_standby_names'), current_setting('fsync'),
		coalesce((SELECT relpersistence = 'u' FROM pg_class WHERE oid = to_regclass($1)), false)`
	if err := c.get(ctx, settings, c.table(), &p.SynchronousCommit, &p.StandbyNames, &p.Fsync, &p.Unlogged); err != nil {
		return unknown("what an acknowledged write is worth", err)
	}
	switch {
	case p.Fsync == "off":
		return fail("fsync = on", "%s", p)
	case p.Unlogged:
		return warn("ALTER TABLE ... SET LOGGED, and Options.Unlogged unset", "%s", p)
	case !p.SurvivesCrash():
		return warn("synchronous_commit = on, for this account at least", "%s", p)
	}
	return ok("%s", p)
}

// standby tells how many servers follow, and what their taking over would undo.
func (c postgresChecks) standby(ctx context.Context) Result {
	var following int
	var names, commit string
	const query = `SELECT count(*), current_setting('synchronous_standby_names'), current_setting('synchronous_commit') FROM pg_stat_replication`
	if err := c.get(ctx, query, nil, &following, &names, &commit); err != nil {
		return unknown("whether a standby follows", err)
	}
	waits := postgres.Promise{SynchronousCommit: commit, StandbyNames: names}.SurvivesFailover()
	switch {
	case following == 0 && waits:
		return fail("start the standby, or empty synchronous_standby_names", "no standby follows, and the server waits for one of %s: every login and logout hangs", names)
	case following == 0:
		return ok("none follows: when the server is lost, so are its sessions")
	case !waits:
		return warn("synchronous_standby_names = 'ANY 1 (*)', and synchronous_commit = on",
			"%s: when one takes over, logins that it had not received are gone, and sessions that logged out are back", count(following, "asynchronous standby follows", "asynchronous standbys follow"))
	}
	return ok("%s, and the server waits for one of %s", count(following, "standby follows", "standbys follow"), names)
}

func count(n int, one, many string) string {
	if n == 1 {
		return "1 " + one
	}
	return fmt.Sprint(n, " ", many)
}

// pooler finds out whether connections are the server's own. Two at once lead to
// one process of the server only where a pooler lends it for a transaction.
func (c postgresChecks) pooler(ctx context.Context) Result {
	ctx, cancel := context.WithTimeout(ctx, place.Timeout)
	defer cancel()
	var told, process [2]uint32
	for i := range told {
		conn, err := c.p.Postgres.Acquire(ctx)
		if err != nil {
			return unknown("whether a pooler stands between", err)
		}
		defer conn.Release()
		if told[i], process[i], err = processes(ctx, conn); err != nil {
			return unknown("whether a pooler stands between", err)
		}
	}
	cfg, _, err := postgres.ParseConfig(c.p.Target.SavePath)
	if err != nil {
		return unknown("in which form the application sends statements", err)
	}
	named := strings.Contains(c.p.Target.SavePath, "default_query_exec_mode") &&
		(cfg.ConnConfig.DefaultQueryExecMode == pgx.QueryExecModeCacheStatement || cfg.ConnConfig.DefaultQueryExecMode == pgx.QueryExecModeDescribeExec)
	switch {
	case told == process:
		return ok("none")
	case process[0] != process[1]:
		return ok("a pooler stands between, which lends each client a connection of its own")
	case named:
		return fail("default_query_exec_mode=cache_describe, or leave it out",
			"a pooler lends connections for a transaction each, and the connection string has statements prepared by name: some calls fail")
	}
	return ok("a pooler lends connections for a transaction each, which sessions can do with")
}

// processes returns the server's process as a connection was told of it when it
// was made, and the one that responds.
func processes(ctx context.Context, conn *pgxpool.Conn) (told, process uint32, err error) {
	var pid int64
	err = conn.QueryRow(ctx, "SELECT pg_backend_pid()", pgx.QueryExecModeSimpleProtocol).Scan(&pid)
	return conn.Conn().PgConn().PID(), uint32(pid), err
}

func (c postgresChecks) connections(ctx context.Context) Result {
	var used, most int
	const query = `SELECT (SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'client backend'),
		current_setting('max_connections')::int - current_setting('superuser_reserved_connections')::int`
	if err := c.get(ctx, query, nil, &used, &most); err != nil {
		return unknown("how many connections there are", err)
	}
	if used > most*4/5 {
		return warn("raise max_connections, or lower pool_max_conns (16 in each process of the application)",
			"%d of %d connections are in use: soon requests are refused", used, most)
	}
	return ok("%d of %d in use", used, most)
}

func (c postgresChecks) time(ctx context.Context) (now time.Time, err error) {
	err = c.get(ctx, "SELECT clock_timestamp()", nil, &now)
	return now, err
}

// encryption looks at a connection, as with sslmode=prefer, the default, there may
// be none.
func (c postgresChecks) encryption(ctx context.Context) Result {
	ctx, cancel := context.WithTimeout(ctx, place.Timeout)
	defer cancel()
	conn, err := c.p.Postgres.Acquire(ctx)
	if err != nil {
		return unknown("whether the connection is encrypted", err)
	}
	defer conn.Release()
	_, encrypted := conn.Conn().PgConn().Conn().(*tls.Conn)
	return judgeTLS(encrypted, c.p.Target.Local(), "add sslmode=verify-full to the connection string")
}

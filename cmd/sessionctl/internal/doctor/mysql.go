package doctor

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	driver "github.com/go-sql-driver/mysql"

	"github.com/chisession/session"
	"github.com/chisession/session/backend/mysql"
	"github.com/chisession/session/cmd/sessionctl/internal/place"
)

// The server's errors that a missing table and missing grants make.
const (
	errNoTable       = 1146
	errTableDenied   = 1142
	errColumnDenied  = 1143
	errCommandDenied = 1044
)

// MySQL returns the checks of a MariaDB or MySQL. maxBytes is the
// configuration's, 0 for its default; now is this host's clock.
func MySQL(p *place.Place, maxBytes int, now func() time.Time) []Check {
	m := mysqlChecks{p, cmp.Or(p.Target.Table, mysql.DefaultTable)}
	return []Check{
		{"version", m.version},
		{"role", m.role},
		{"table", m.exists},
		{"schema", m.schema},
		{"grants", m.grants},
		{"packet size", func(ctx context.Context) Result { return m.packet(ctx, cmp.Or(maxBytes, session.DefaultMaxBytes)) }},
		{"durability", m.durability},
		{"failover", m.failover},
		clock(now, m.time),
		{"encryption", m.encryption},
	}
}

type mysqlChecks struct {
	p     *place.Place
	table string
}

func (m mysqlChecks) get(ctx context.Context, dest any, query string) error {
	ctx, cancel := context.WithTimeout(ctx, place.Timeout)
	defer cancel()
	return m.p.MySQL.GetContext(ctx, dest, query)
}

// unknown is the result of a question that the server did not answer.
func unknown(what string, err error) Result {
	return warn("look into the server's log", "%s is unknown: %v", what, err)
}

func (m mysqlChecks) version(ctx context.Context) Result {
	var version string
	if err := m.get(ctx, &version, "SELECT VERSION()"); err != nil {
		return unknown("the version", err)
	}
	if strings.Contains(version, "MariaDB") {
		return judgeVersion("MariaDB", strings.TrimPrefix(version, "5.5.5-"), 10, 6) // a prefix for old replicas
	}
	return judgeVersion("MySQL", version, 8, 0)
}

func (m mysqlChecks) role(ctx context.Context) Result {
	var readOnly bool
	if err := m.get(ctx, &readOnly, "SELECT @@global.read_only"); err != nil {
		return unknown("whether the server is read only", err)
	}
	if readOnly {
		return fail("point the save path at the primary", "the server is read only, as a replica is: it refuses every write")
	}
	return ok("primary, as far as it says")
}

// denied reports whether the server refused what the account may not do.
func denied(err error) bool {
	server, ok := errors.AsType[*driver.MySQLError](err)
	return ok && (server.Number == errTableDenied || server.Number == errColumnDenied || server.Number == errCommandDenied)
}

func missing(err error) bool {
	server, ok := errors.AsType[*driver.MySQLError](err)
	return ok && server.Number == errNoTable
}

// quoted returns the table's name for a statement. Connect's caller checked
// it.
func (m mysqlChecks) quoted() string { return "`" + strings.ReplaceAll(m.table, ".", "`.`") + "`" }

func (m mysqlChecks) exists(ctx context.Context) Result {
	rows, err := m.p.MySQL.QueryContext(ctx, "SELECT 1 FROM "+m.quoted()+" LIMIT 0")
	if err == nil {
		err = rows.Close()
	}
	switch {
	case missing(err):
		return fail("run sessionctl migrate --apply, or let the application create it (grant it CREATE)", "there is no table %s", m.table)
	case denied(err):
		return ok("the account may not read table %s: see grants", m.table)
	case err != nil:
		return unknown("table "+m.table, err)
	}
	return ok("table %s is there", m.table)
}

func (m mysqlChecks) schema(ctx context.Context) Result {
	if m.exists(ctx).Status == Fail {
		return warn("see table", "without a table, there is nothing to look at")
	}
	_, err := m.p.Store() // which looks at all that
	switch {
	case err == nil:
		return ok("columns, indexes and engine are as they should be")
	case denied(err):
		return warn("see grants", "the account may not do what would show it")
	}
	return fail("create the table with the statements of sessionctl migrate, in another place or in place of this one", "%v", err)
}

// grants tries to prepare one statement for each right. Nothing is executed.
func (m mysqlChecks) grants(ctx context.Context) Result {
	var lacks []string
	for _, probe := range []struct{ right, query string }{
		{"SELECT", "SELECT id, version, expires, user, data FROM {table} WHERE id = ?"},
		{"INSERT", "INSERT INTO {table} (id, version, expires, user, data) VALUES (?, ?, ?, ?, ?)"},
		{"UPDATE", "UPDATE {table} SET version = ?, expires = ?, user = ?, data = ?"},
		{"DELETE", "DELETE FROM {table}"},
	} {
		stmt, err := m.p.MySQL.PrepareContext(ctx, strings.ReplaceAll(probe.query, "{table}", m.quoted()))
		switch {
		case err == nil:
			err = stmt.Close()
			if err != nil {
				return unknown("what the account may do", err)
			}
		case denied(err):
			lacks = append(lacks, probe.right)
		case missing(err):
			return warn("see table", "without a table, there is nothing to try")
		default:
			return unknown("what the account may do", err)
		}
	}
	if len(lacks) > 0 {
		rights := strings.Join(lacks, ", ")
		return fail(fmt.Sprintf("GRANT %s ON %s TO <the account>", rights, m.quoted()), "the account lacks %s on table %s", rights, m.table)
	}
	return ok("SELECT, INSERT, UPDATE and DELETE")
}

func (m mysqlChecks) packet(ctx context.Context, maxBytes int) Result {
	var packet int64
	if err := m.get(ctx, &packet, "SELECT @@max_allowed_packet"); err != nil {
		return unknown("max_allowed_packet", err)
	}
	const spare = 4096 // of a statement, besides the values
	if packet < int64(maxBytes)+spare {
		return warn(fmt.Sprintf("raise max_allowed_packet above %d, or lower sessionmaxbytes", maxBytes+spare),
			"max_allowed_packet is %s: a session near its limit of %s cannot be stored", Bytes(packet), Bytes(int64(maxBytes)))
	}
	return ok("max_allowed_packet is %s", Bytes(packet))
}

func (m mysqlChecks) durability(ctx context.Context) Result {
	var flush int
	if err := m.get(ctx, &flush, "SELECT @@innodb_flush_log_at_trx_commit"); err != nil {
		return unknown("innodb_flush_log_at_trx_commit", err)
	}
	if flush != 1 {
		return warn("innodb_flush_log_at_trx_commit = 1", "innodb_flush_log_at_trx_commit is %d: a power cut loses the last second's logins", flush)
	}
	return ok("every commit is flushed to the disk")
}

// failover says what becomes of a logout when a server dies: of a Galera cluster,
// how many nodes it has, and whether a node may answer with the past.
func (m mysqlChecks) failover(ctx context.Context) Result {
	set := map[string]string{}
	for _, query := range []string{
		"SHOW SESSION VARIABLES WHERE Variable_name IN ('wsrep_on', 'wsrep_sync_wait')",
		"SHOW GLOBAL STATUS WHERE Variable_name IN ('wsrep_cluster_size', 'wsrep_cluster_status', 'wsrep_ready')",
	} {
		var rows []struct {
			Name  string `db:"Variable_name"`
			Value string `db:"Value"`
		}
		if err := m.p.MySQL.SelectContext(ctx, &rows, query); err != nil {
			return unknown("whether this is Galera", err)
		}
		for _, row := range rows {
			set[row.Name] = row.Value
		}
	}
	size, _ := strconv.Atoi(set["wsrep_cluster_size"]) // absent is none
	switch {
	case set["wsrep_on"] != "ON":
		return ok("no Galera: a failover to a replica, if there is one, undoes what it had not received")
	case set["wsrep_cluster_status"] != "Primary" || set["wsrep_ready"] != "ON":
		return fail("look into its log, and start the other nodes", "this node of Galera is in no cluster that has a majority: it refuses everything")
	case size < 3:
		return warn("add a node, or an arbitrator (garbd)", "Galera with %d nodes: if one dies, the rest may refuse everything", size)
	}
	return ok("Galera with %d nodes: an acknowledged logout is on all of them", size)
}

func (m mysqlChecks) time(ctx context.Context) (time.Time, error) {
	var micros int64
	err := m.get(ctx, &micros, "SELECT TIMESTAMPDIFF(MICROSECOND, TIMESTAMP'1970-01-01 00:00:00', UTC_TIMESTAMP(6))")
	return time.UnixMicro(micros), err
}

// encryption asks the server, as with tls=preferred there may be none.
func (m mysqlChecks) encryption(ctx context.Context) Result {
	ctx, cancel := context.WithTimeout(ctx, place.Timeout)
	defer cancel()
	var name, cipher string
	if err := m.p.MySQL.QueryRowContext(ctx, "SHOW SESSION STATUS LIKE 'Ssl_cipher'").Scan(&name, &cipher); err != nil {
		return unknown("whether the connection is encrypted", err)
	}
	return judgeTLS(cipher != "", m.p.Target.Local(), "add tls=true to the DSN")
}

package old

import (
	"fmt"
	"regexp"
	"strconv"
	"strings"
)

// A Dialect is how a database wants its statements.
type Dialect struct {
	name   string         // for errors and the log
	names  *regexp.Regexp // of tables
	quote  string         // around names
	dollar bool           // parameters are $1, $2, ..., not ?

	// With {key} and {data} for the columns. Two keys are one only if their
	// bytes are: a collation may think otherwise, and so the one row that the
	// index finds is compared once more, with a second parameter.
	isKey, size, begins string

	// where asks for host, port and database; {table} is not in it.
	where string
}

// The dialects.
var (
	MySQL = Dialect{
		name: "mysql", names: simpleName, quote: "`",
		isKey: "{key} = ? AND CAST({key} AS BINARY) = ?", size: "LENGTH({data})", begins: "LEFT({key}, ?)",
		where: "SELECT @@hostname, @@port, COALESCE(DATABASE(), '')",
	}

	// Names stand as they are, as the old libraries have them: PostgreSQL
	// makes them lower case.
	Postgres = Dialect{
		name: "postgres", names: qualifiedName, dollar: true,
		isKey: `{key} = ? AND {key} COLLATE "C" = ?`, size: "octet_length({data})", begins: "LEFT({key}, ?)",
		where: "SELECT COALESCE(host(inet_server_addr()), 'socket'), COALESCE(inet_server_port(), 0), current_database()",
	}

	// PostgresBytes is Postgres for keys of the type bytea.
	PostgresBytes = Dialect{
		name: "postgres", names: qualifiedName, dollar: true,
		isKey: `{key} = convert_to(?, 'UTF8') AND {key} = convert_to(?, 'UTF8')`, size: "octet_length({data})",
		begins: "convert_from(substring({key} FOR ?), 'UTF8')", where: Postgres.where,
	}

	SQLite = Dialect{
		name: "sqlite", names: simpleName, quote: `"`,
		isKey: "{key} = ? AND CAST({key} AS BLOB) = CAST(? AS BLOB)", size: "length(CAST({data} AS BLOB))", begins: "substr({key}, 1, ?)",
		where: "SELECT file, 0, name FROM pragma_database_list WHERE name = 'main'",
	}
)

// statement fills in a statement with {table}, {data}, {is key}, {size},
// {begins} and {live}.
func (d Dialect) statement(text string, c Columns, live string) string {
	quoted := func(name string) string { return d.quote + name + d.quote }
	columns := strings.NewReplacer("{key}", quoted(c.Key), "{data}", quoted(c.Data))
	text = strings.NewReplacer("{table}", quoted(c.Table), "{data}", quoted(c.Data), "{is key}", columns.Replace(d.isKey),
		"{size}", columns.Replace(d.size), "{begins}", columns.Replace(d.begins), "{live}", live).Replace(text)
	if !d.dollar {
		return text
	}
	var b strings.Builder
	n := 0
	for part := range strings.SplitSeq(text, "?") {
		if n > 0 {
			b.WriteString("$" + strconv.Itoa(n))
		}
		b.WriteString(part)
		n++
	}
	return b.String()
}

// place says where the sessions are, as the database names it.
func (d Dialect) place(host string, port int, database, table string) string {
	if port == 0 {
		return fmt.Sprintf("%s %s, database %s, table %s", d.name, host, database, table)
	}
	return fmt.Sprintf("%s %s:%d, database %s, table %s", d.name, host, port, database, table)
}

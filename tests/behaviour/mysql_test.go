package behaviour

import (
	"database/sql"
	"testing"

	"github.com/go-sql-driver/mysql"

	_ "github.com/chisession/session/backend/mysql"
	"github.com/chisession/session/internal/behaviour"
)

var mysqlKind = behaviour.Kind{Name: "mysql", Lasts: true, Fresh: freshDatabase, Dump: dumpTable, LockUp: lockTable}

func freshDatabase(t testing.TB) string {
	t.Helper()
	server := mariaDB.get(t)
	name, err := server.CreateDatabase()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := server.DropDatabase(name); err != nil {
			t.Error(err)
		}
	})
	return server.DSN(name)
}

// table returns the quoted name of the table at a save path.
func table(t testing.TB, savePath string) string {
	t.Helper()
	dsn, err := mysql.ParseDSN(savePath)
	if err != nil {
		t.Fatal(err)
	}
	return "`" + dsn.DBName + "`.sessions"
}

func dumpTable(t testing.TB, savePath string) (all []byte) {
	t.Helper()
	rows, err := mariaDB.get(t).Admin().Query("SELECT * FROM " + table(t, savePath))
	if err != nil {
		t.Fatal(err)
	}
	defer rows.Close()
	columns, err := rows.Columns()
	if err != nil {
		t.Fatal(err)
	}
	for rows.Next() {
		row, into := make([]sql.RawBytes, len(columns)), make([]any, len(columns))
		for i := range row {
			into[i] = &row[i]
		}
		if err := rows.Scan(into...); err != nil {
			t.Fatal(err)
		}
		for _, column := range row {
			all = append(append(all, column...), '\n')
		}
	}
	if err := rows.Err(); err != nil {
		t.Fatal(err)
	}
	return all
}

// lockTable holds the lock of the whole table, as ALTER TABLE would.
func lockTable(t testing.TB, savePath string) (release func()) {
	t.Helper()
	conn, err := mariaDB.get(t).Admin().Conn(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := conn.ExecContext(t.Context(), "LOCK TABLES "+table(t, savePath)+" WRITE"); err != nil {
		t.Fatal(err)
	}
	return func() {
		if _, err := conn.ExecContext(t.Context(), "UNLOCK TABLES"); err != nil {
			t.Error(err)
		}
		conn.Close()
	}
}

package faults

import (
	"context"
	"database/sql"
	"strings"
	"testing"

	_ "github.com/go-sql-driver/mysql"
)

var mysqlRefusals = []refusal{
	{row: row{name: "deposed: read_only"}, backend: mysql, cause: "read only", readable: true,
		arrange: func(t *testing.T, _ place) (func(), func()) {
			return func() { admin(t, "SET GLOBAL read_only = ON") }, func() { admin(t, "SET GLOBAL read_only = OFF") }
		}},
	{row: row{name: "the table locked by another (LOCK TABLES … WRITE)"}, backend: mysql, cause: "session: ",
		arrange: func(t *testing.T, p place) (func(), func()) {
			conn := adminConn(t)
			return func() { run(t, conn, "LOCK TABLES "+tableOf(p.savePath)+" WRITE") }, func() { run(t, conn, "UNLOCK TABLES") }
		}},
	{row: row{name: "every row locked by another (SELECT … FOR UPDATE)"}, backend: mysql, cause: "session: ", readable: true,
		arrange: func(t *testing.T, p place) (func(), func()) {
			conn := adminConn(t)
			return func() {
					run(t, conn, "BEGIN")
					run(t, conn, "DO (SELECT COUNT(*) FROM (SELECT id FROM "+tableOf(p.savePath)+" FOR UPDATE) AS locked)")
				},
				func() { run(t, conn, "ROLLBACK") }
		}},
	{row: row{name: "the table gone (renamed, and back)"}, backend: mysql, cause: "doesn't exist",
		arrange: func(t *testing.T, p place) (func(), func()) {
			from := tableOf(p.savePath)
			to := strings.Replace(from, ".sessions", ".away", 1)
			return func() { admin(t, "RENAME TABLE "+from+" TO "+to) }, func() { admin(t, "RENAME TABLE "+to+" TO "+from) }
		}},
	{row: row{name: "the password was changed (1045)"}, backend: mysql, cause: "Access denied",
		arrange: func(t *testing.T, _ place) (func(), func()) {
			set := func(password string) {
				admin(t, "ALTER USER 'session'@'127.0.0.1' IDENTIFIED BY '"+password+"'")
				killConnections(t)
			}
			return func() { set("another") }, func() { set(mariaDB.get(t).Password()) }
		}},
	{row: row{name: "too many connections (maxclients, max_connections)"}, backend: mysql, cause: "Too many connections",
		arrange: func(t *testing.T, p place) (func(), func()) {
			db, err := sql.Open("mysql", p.savePath)
			must(t, "open", err)
			t.Cleanup(func() { db.Close() })
			db.SetMaxIdleConns(100)
			var hogs []*sql.Conn
			return func() {
					admin(t, "SET GLOBAL max_connections = 10") // the least there is
					killConnections(t)
					for {
						conn, err := db.Conn(context.Background())
						if err != nil {
							return
						}
						hogs = append(hogs, conn)
					}
				}, func() {
					admin(t, "SET GLOBAL max_connections = 151")
					for _, conn := range hogs {
						conn.Close()
					}
				}
		}},
}

func admin(t testing.TB, query string) {
	t.Helper()
	must(t, "administer", mariaDB.get(t).Exec(query))
}

// adminConn returns a connection of root's own.
func adminConn(t testing.TB) *sql.Conn {
	t.Helper()
	conn, err := mariaDB.get(t).Admin().Conn(context.Background())
	must(t, "connect", err)
	t.Cleanup(func() { conn.Close() })
	return conn
}

func run(t testing.TB, conn *sql.Conn, query string) {
	t.Helper()
	_, err := conn.ExecContext(context.Background(), query)
	must(t, query, err)
}

// killConnections ends the connections of the application's account.
func killConnections(t testing.TB) {
	t.Helper()
	rows, err := mariaDB.get(t).Admin().Query("SELECT id FROM information_schema.processlist WHERE user = 'session'")
	must(t, "list connections", err)
	defer rows.Close()
	for rows.Next() {
		var id string
		must(t, "scan", rows.Scan(&id))
		_ = mariaDB.get(t).Exec("KILL " + id) // it may be gone
	}
	must(t, "list connections", rows.Err())
}

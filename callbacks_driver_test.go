package session_test

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"net/http"
	"testing"
	"time"

	driverof "github.com/go-sql-driver/mysql"
	"github.com/jmoiron/sqlx"

	"github.com/chisession/session"
	"github.com/chisession/session/backend/mysql"
)

// TestQueryLogMayAsk: a driver that logs each statement, with the user of the
// session that it is for.
func TestQueryLogMayAsk(t *testing.T) {
	cfg, err := driverof.ParseDSN(freshDatabase(t))
	if err != nil {
		t.Fatal(err)
	}
	connector, err := driverof.NewConnector(cfg)
	if err != nil {
		t.Fatal(err)
	}
	q := newInquiry(t, questions, time.Second)
	db := sqlx.NewDb(sql.OpenDB(nosyConnector{connector, q}), "mysql")
	t.Cleanup(func() { db.Close() })
	store, err := mysql.New(db, mysql.Options{})
	if err != nil {
		t.Fatal(err)
	}
	none := "nothing yet"
	q.now.Store(&none)
	m, err := session.New(q.config(store))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { m.Close() })
	c := &scene{inquiry: q, Manager: m}
	login := func(_ http.ResponseWriter, _ *http.Request, s *session.Session) { s.SetUser("ada"); s.Set("n", 1) }
	for _, cookies := range []string{"", "beegosessionID=" + unknownToken()} {
		c.cookies = cookies
		for range 2 {
			c.visit("login", login)
		}
		c.visit("load", func(http.ResponseWriter, *http.Request, *session.Session) { time.Sleep(5 * time.Millisecond) })
		c.visit("count", func(_ http.ResponseWriter, r *http.Request, s *session.Session) {
			session.Update(s, "n", func(n int) int { return n + 1 })
			m.Sessions(r.Context(), "ada")
			m.Count(r.Context())
		})
	}
	c.visit("logout", func(_ http.ResponseWriter, _ *http.Request, s *session.Session) { s.Destroy() })
	for _, call := range []string{"driver.QueryContext", "driver.ExecContext"} {
		if q.asked[call] == 0 {
			t.Errorf("no %s has asked: this tests something else (%v)", call, q.asked)
		}
	}
}

// nosyConnector opens connections whose statements ask.
type nosyConnector struct {
	driver.Connector
	q *inquiry
}

func (c nosyConnector) Connect(ctx context.Context) (driver.Conn, error) {
	c.q.ask("driver.Connect", ctx)
	conn, err := c.Connector.Connect(ctx)
	if err != nil {
		return nil, err
	}
	return nosyConn{conn.(fullConn), c.q}, nil
}

// fullConn is what a connection of the driver can.
type fullConn interface {
	driver.Conn
	driver.ConnBeginTx
	driver.ConnPrepareContext
	driver.ExecerContext
	driver.NamedValueChecker
	driver.Pinger
	driver.QueryerContext
	driver.SessionResetter
	driver.Validator
}

type nosyConn struct {
	fullConn
	q *inquiry
}

func (c nosyConn) ExecContext(ctx context.Context, query string, args []driver.NamedValue) (driver.Result, error) {
	c.q.ask("driver.ExecContext", ctx)
	return c.fullConn.ExecContext(ctx, query, args)
}

func (c nosyConn) QueryContext(ctx context.Context, query string, args []driver.NamedValue) (driver.Rows, error) {
	c.q.ask("driver.QueryContext", ctx)
	return c.fullConn.QueryContext(ctx, query, args)
}

func (c nosyConn) PrepareContext(ctx context.Context, query string) (driver.Stmt, error) {
	c.q.ask("driver.PrepareContext", ctx)
	stmt, err := c.fullConn.PrepareContext(ctx, query)
	if err != nil {
		return nil, err
	}
	return nosyStmt{stmt.(fullStmt), c.q}, nil
}

// fullStmt is what a prepared statement of the driver can.
type fullStmt interface {
	driver.Stmt
	driver.NamedValueChecker
	driver.StmtExecContext
	driver.StmtQueryContext
}

type nosyStmt struct {
	fullStmt
	q *inquiry
}

func (s nosyStmt) ExecContext(ctx context.Context, args []driver.NamedValue) (driver.Result, error) {
	s.q.ask("driver.ExecContext", ctx)
	return s.fullStmt.ExecContext(ctx, args)
}

func (s nosyStmt) QueryContext(ctx context.Context, args []driver.NamedValue) (driver.Rows, error) {
	s.q.ask("driver.QueryContext", ctx)
	return s.fullStmt.QueryContext(ctx, args)
}

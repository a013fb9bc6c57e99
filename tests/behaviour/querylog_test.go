package behaviour

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"testing"

	driverof "github.com/go-sql-driver/mysql"
	"github.com/jmoiron/sqlx"

	"github.com/chisession/session/backend"
	"github.com/chisession/session/backend/mysql"
	"github.com/chisession/session/internal/behaviour"
)

// TestQueryLogMayAsk: a driver that logs each statement, with the user of the
// session that it is for.
func TestQueryLogMayAsk(t *testing.T) {
	behaviour.RunQueryLog(t, func(t *testing.T, ask func(string, context.Context)) backend.Store {
		cfg, err := driverof.ParseDSN(freshDatabase(t))
		if err != nil {
			t.Fatal(err)
		}
		connector, err := driverof.NewConnector(cfg)
		if err != nil {
			t.Fatal(err)
		}
		db := sqlx.NewDb(sql.OpenDB(nosyConnector{connector, ask}), "mysql")
		t.Cleanup(func() { db.Close() })
		store, err := mysql.New(db, mysql.Options{})
		if err != nil {
			t.Fatal(err)
		}
		return store
	}, "driver.QueryContext", "driver.ExecContext")
}

// An askFunc asks the session in a context whatever can be asked.
type askFunc func(call string, ctx context.Context)

// nosyConnector opens connections whose statements ask.
type nosyConnector struct {
	driver.Connector
	ask askFunc
}

func (c nosyConnector) Connect(ctx context.Context) (driver.Conn, error) {
	c.ask("driver.Connect", ctx)
	conn, err := c.Connector.Connect(ctx)
	if err != nil {
		return nil, err
	}
	return nosyConn{conn.(fullConn), c.ask}, nil
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
	ask askFunc
}

func (c nosyConn) ExecContext(ctx context.Context, query string, args []driver.NamedValue) (driver.Result, error) {
	c.ask("driver.ExecContext", ctx)
	return c.fullConn.ExecContext(ctx, query, args)
}

func (c nosyConn) QueryContext(ctx context.Context, query string, args []driver.NamedValue) (driver.Rows, error) {
	c.ask("driver.QueryContext", ctx)
	return c.fullConn.QueryContext(ctx, query, args)
}

func (c nosyConn) PrepareContext(ctx context.Context, query string) (driver.Stmt, error) {
	c.ask("driver.PrepareContext", ctx)
	stmt, err := c.fullConn.PrepareContext(ctx, query)
	if err != nil {
		return nil, err
	}
	return nosyStmt{stmt.(fullStmt), c.ask}, nil
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
	ask askFunc
}

func (s nosyStmt) ExecContext(ctx context.Context, args []driver.NamedValue) (driver.Result, error) {
	s.ask("driver.ExecContext", ctx)
	return s.fullStmt.ExecContext(ctx, args)
}

func (s nosyStmt) QueryContext(ctx context.Context, args []driver.NamedValue) (driver.Rows, error) {
	s.ask("driver.QueryContext", ctx)
	return s.fullStmt.QueryContext(ctx, args)
}

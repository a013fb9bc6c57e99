package postgres

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"strconv"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"
)

// A db is a pool as the store uses it: the same statements and parameters for
// pgx and for database/sql. Each call is one round trip once a connection knows
// the statement.
type db interface {
	// exec runs a statement and returns the number of rows that it changed.
	exec(ctx context.Context, query string, args ...any) (int64, error)

	// row scans the one row that a query returns; sql.ErrNoRows if there is
	// none.
	row(ctx context.Context, query string, args []any, dest ...any) error

	// pooler reports whether a pooler stands between, and in which form
	// statements are sent; zero if that cannot be told.
	pooler(ctx context.Context) (there bool, mode pgx.QueryExecMode, err error)

	// rows calls each for every row, which scans it.
	rows(ctx context.Context, query string, args []any, each func(scan func(dest ...any) error) error) error
}

// pgxDB is a pool of pgx.
type pgxDB struct {
	pool  *pgxpool.Pool
	owned bool
}

func (d pgxDB) exec(ctx context.Context, query string, args ...any) (int64, error) {
	conn, err := d.pool.Acquire(ctx)
	if err != nil {
		return 0, d.noConn(err)
	}
	defer conn.Release()
	tag, err := conn.Conn().Exec(ctx, query, args...)
	return tag.RowsAffected(), d.leave(conn, err)
}

func (d pgxDB) row(ctx context.Context, query string, args []any, dest ...any) error {
	conn, err := d.pool.Acquire(ctx)
	if err != nil {
		return d.noConn(err)
	}
	defer conn.Release()
	return d.leave(conn, conn.Conn().QueryRow(ctx, query, args...).Scan(dest...))
}

func (d pgxDB) rows(ctx context.Context, query string, args []any, each func(scan func(dest ...any) error) error) error {
	conn, err := d.pool.Acquire(ctx)
	if err != nil {
		return d.noConn(err)
	}
	defer conn.Release()
	return d.leave(conn, eachRow(ctx, conn.Conn(), query, args, each))
}

func eachRow(ctx context.Context, conn *pgx.Conn, query string, args []any, each func(scan func(dest ...any) error) error) error {
	rows, err := conn.Query(ctx, query, args...)
	if err != nil {
		return err
	}
	defer rows.Close() // for the early return; Err has what Close could say
	for rows.Next() {
		if err := each(rows.Scan); err != nil {
			return err
		}
	}
	return rows.Err()
}

// An unconnected error says that there was no connection, so that nothing was
// sent.
type unconnected struct{ error }

func (e unconnected) Unwrap() error { return e.error }

// noConn is the error of a pool that gave no connection.
func (d pgxDB) noConn(err error) error {
	if errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded) {
		return err
	}
	return unconnected{err}
}

// leave closes a connection whose server must not be used any more: it became
// a standby, or goes down. With a pool of our own all others go as well, as
// they lead to the same server; those in use when they come back.
func (d pgxDB) leave(conn *pgxpool.Conn, err error) error {
	if err == nil || !demoted(err) {
		return err
	}
	_ = conn.Conn().Close(context.Background()) // it is of no more use
	if d.owned {
		d.pool.Reset()
	}
	return err
}

// sqlDB is a pool of database/sql, which prepares nothing by itself: that is
// the driver's choice, as with pgx.
type sqlDB struct{ pool *sql.DB }

func (d sqlDB) exec(ctx context.Context, query string, args ...any) (n int64, err error) {
	err = d.with(ctx, func(conn *sql.Conn) error {
		res, err := conn.ExecContext(ctx, query, args...)
		if err == nil {
			n, err = res.RowsAffected()
		}
		return err
	})
	return n, err
}

func (d sqlDB) row(ctx context.Context, query string, args []any, dest ...any) error {
	return d.with(ctx, func(conn *sql.Conn) error {
		return conn.QueryRowContext(ctx, query, args...).Scan(dest...)
	})
}

func (d sqlDB) rows(ctx context.Context, query string, args []any, each func(scan func(dest ...any) error) error) error {
	return d.with(ctx, func(conn *sql.Conn) error {
		rows, err := conn.QueryContext(ctx, query, args...)
		if err != nil {
			return err
		}
		defer rows.Close() // for the early return; Err has what Close could say
		for rows.Next() {
			if err := each(rows.Scan); err != nil {
				return err
			}
		}
		return rows.Err()
	})
}

// with lends f a connection, and closes it if its server must not be used any
// more.
func (d sqlDB) with(ctx context.Context, f func(*sql.Conn) error) error {
	conn, err := d.pool.Conn(ctx)
	if err != nil {
		return err
	}
	defer conn.Close() // back into the pool; it has no error of its own
	err = f(conn)
	if err != nil && demoted(err) {
		_ = conn.Raw(func(any) error { return driver.ErrBadConn }) // so database/sql drops it
	}
	return err
}

func (d pgxDB) pooler(ctx context.Context) (there bool, mode pgx.QueryExecMode, err error) {
	err = d.pool.AcquireFunc(ctx, func(conn *pgxpool.Conn) error {
		there, mode, err = behindPooler(ctx, conn.Conn())
		return err
	})
	return there, mode, err
}

func (d sqlDB) pooler(ctx context.Context) (there bool, mode pgx.QueryExecMode, err error) {
	conn, err := d.pool.Conn(ctx)
	if err != nil {
		return false, 0, err
	}
	defer conn.Close() // back into the pool; it has no error of its own
	err = conn.Raw(func(driverConn any) error {
		if c, ok := driverConn.(interface{ Conn() *pgx.Conn }); ok {
			there, mode, err = behindPooler(ctx, c.Conn())
		}
		return err
	})
	return there, mode, err
}

// behindPooler compares the server's process as a connection was told of it
// when it was made with the one that responds: behind a pooler, and some
// proxies, they differ.
func behindPooler(ctx context.Context, conn *pgx.Conn) (bool, pgx.QueryExecMode, error) {
	results, err := conn.PgConn().Exec(ctx, "SELECT pg_backend_pid()").ReadAll()
	if err != nil || len(results) != 1 || len(results[0].Rows) != 1 {
		return false, 0, err
	}
	pid, err := strconv.ParseUint(string(results[0].Rows[0][0]), 10, 32)
	return uint32(pid) != conn.PgConn().PID(), conn.Config().DefaultQueryExecMode, err
}

// sqlState returns the SQLSTATE of a server's error, or "".
func sqlState(err error) string {
	if server, ok := errors.AsType[*pgconn.PgError](err); ok {
		return server.Code
	}
	var other interface{ SQLState() string }
	if errors.As(err, &other) {
		return other.SQLState()
	}
	return ""
}

package place

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"strings"
	"time"

	driver "github.com/go-sql-driver/mysql"
	"github.com/jmoiron/sqlx"

	"github.com/chisession/session/backend/mysql"
)

const dialTimeout = 5 * time.Second

// dial connects to the server of a DSN.
func dial(ctx context.Context, dsn string) (*sqlx.DB, error) {
	cfg, err := driver.ParseDSN(dsn)
	if err != nil { // not repeated: it may quote a part of the password
		return nil, errors.New("the save path is not a DSN such as user:password@tcp(host:3306)/database")
	}
	cfg.Timeout, cfg.ReadTimeout, cfg.WriteTimeout = dialTimeout, Timeout, Timeout
	cfg.Logger = &driver.NopLogger{}
	if cfg.Params == nil {
		cfg.Params = map[string]string{}
	}
	cfg.Params["autocommit"] = "1"
	connector, err := driver.NewConnector(cfg)
	if err != nil {
		return nil, errors.New("the save path's parameters are not those of a DSN")
	}
	db := sqlx.NewDb(sql.OpenDB(connector), mysql.Name)
	if err := db.PingContext(ctx); err != nil {
		return nil, errors.Join(fmt.Errorf("connect to %s: %w", cfg.Addr, err), db.Close())
	}
	return db, nil
}

// Loopback reports whether an address (a host, a host and port, or the path of
// a socket) leads nowhere but to this machine.
func Loopback(addr string) bool {
	if strings.HasPrefix(addr, "/") {
		return true
	}
	host, _, err := net.SplitHostPort(addr)
	if err != nil {
		host = addr
	}
	host = strings.Trim(host, "[]")
	ip, err := netip.ParseAddr(host)
	return strings.EqualFold(host, "localhost") || err == nil && ip.IsLoopback()
}

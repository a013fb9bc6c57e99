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

// dial connects to the server of a DSN, or to the first of several that lets us in.
// With wait, a node of Galera answers when it knows what the others have
// acknowledged.
func dial(ctx context.Context, dsn string, wait bool) (*sqlx.DB, error) {
	hosts, err := mysql.Hosts(dsn)
	if err != nil { // not repeated: it may quote a part of the password
		return nil, errors.New("the save path is not a DSN such as user:password@tcp(host:3306)/database")
	}
	var errs []error
	for _, host := range hosts {
		db, err := dialHost(ctx, host, wait)
		if err == nil {
			return db, nil
		}
		errs = append(errs, err)
	}
	return nil, errors.Join(errs...)
}

func dialHost(ctx context.Context, dsn string, wait bool) (*sqlx.DB, error) {
	cfg, err := driver.ParseDSN(dsn)
	if err != nil {
		return nil, errors.New("the save path is not a DSN")
	}
	cfg.Timeout, cfg.ReadTimeout, cfg.WriteTimeout = dialTimeout, Timeout, Timeout
	cfg.Logger = &driver.NopLogger{}
	if cfg.Params == nil {
		cfg.Params = map[string]string{}
	}
	cfg.Params["autocommit"] = "1"
	if wait {
		cfg.Params["wsrep_sync_wait"] = "7"
	}
	connector, err := driver.NewConnector(cfg)
	if err != nil {
		return nil, errors.New("the save path's parameters are not those of a DSN")
	}
	db := sqlx.NewDb(sql.OpenDB(connector), mysql.Name)
	ctx, cancel := context.WithTimeout(ctx, dialTimeout) // a server that is frozen takes connections, and is silent
	defer cancel()
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

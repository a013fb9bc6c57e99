package mysql

import (
	"context"
	"database/sql/driver"
	"errors"
	"fmt"
	"net"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/go-sql-driver/mysql"
)

// hosts connects to one of several servers that hold the same, such as the nodes
// of a Galera cluster: to the first in the list that lets us in, and to that one
// until it fails. All connections are to one host: what one request wrote on one
// node the next would have to wait for on another.
type hosts struct {
	names      []string
	connectors []driver.Connector
	timeout    time.Duration // for one of several to let us in

	mu      sync.Mutex // guards what follows
	current int
	since   time.Time
	conns   map[*hostConn]bool
}

// hostList returns the hosts of a DSN's address, tcp(h1,h2:3307,h3), as the driver
// hands it over: with a port of its own behind the list, if it found none.
func hostList(cfg *mysql.Config) []string {
	addr := cfg.Addr
	if cfg.Net != "tcp" || !strings.Contains(addr, ",") {
		return []string{addr}
	}
	if list, ok := strings.CutPrefix(addr, "["); ok && strings.HasSuffix(list, "]:3306") && !strings.HasPrefix(list, ":") {
		addr = strings.TrimSuffix(list, "]:3306")
	}
	var names []string
	for name := range strings.SplitSeq(addr, ",") {
		name = strings.TrimSpace(name)
		if _, _, err := net.SplitHostPort(name); err != nil {
			name = net.JoinHostPort(strings.Trim(name, "[]"), "3306")
		}
		names = append(names, name)
	}
	return names
}

// gap reports whether a list of hosts has an empty one, which would be this machine.
func gap(names []string) bool {
	return len(names) > 1 && slices.ContainsFunc(names, func(name string) bool { return strings.HasPrefix(name, ":") })
}

// Hosts returns the data source names of the hosts in dsn, one for each and in their
// order: for tools, which talk to one of them, and do not go on to the next. Its
// error quotes nothing of dsn.
func Hosts(dsn string) ([]string, error) {
	cfg, err := mysql.ParseDSN(dsn)
	if err != nil {
		return nil, badDSN(err)
	}
	names := hostList(cfg)
	if len(names) == 1 {
		return []string{dsn}, nil
	}
	var all []string
	for _, name := range names {
		all = append(all, forHost(cfg, name).FormatDSN())
	}
	return all, nil
}

// newHosts makes a connector for each of the hosts in cfg.
func newHosts(cfg *mysql.Config) (*hosts, error) {
	h := &hosts{names: hostList(cfg), timeout: cfg.Timeout, conns: map[*hostConn]bool{}}
	for i, name := range h.names {
		one := forHost(cfg, name)
		if len(h.names) > 1 {
			one.RejectReadOnly = false // a host that is read only is left, and must say that it is
			one.DialFunc = func(ctx context.Context, network, addr string) (net.Conn, error) {
				return h.dial(ctx, network, addr, i)
			}
		}
		connector, err := mysql.NewConnector(one)
		if err != nil {
			return nil, err
		}
		h.connectors = append(h.connectors, connector)
	}
	return h, nil
}

// forHost returns cfg for one of its hosts.
func forHost(cfg *mysql.Config, name string) *mysql.Config {
	one := cfg.Clone()
	one.Addr = name
	if one.TLS != nil && strings.Contains(one.TLS.ServerName, ",") { // of the whole list
		one.TLS.ServerName, _, _ = net.SplitHostPort(name)
	}
	return one
}

// Connect implements [driver.Connector].
func (h *hosts) Connect(ctx context.Context) (driver.Conn, error) {
	if !h.several() {
		return h.connectors[0].Connect(ctx)
	}
	h.mu.Lock()
	first := h.current
	h.mu.Unlock()
	start := time.Now()
	var errs []error
	for i := range h.connectors {
		host := (first + i) % len(h.connectors)
		c, err := h.enter(ctx, host)
		if err == nil && h.settle(host, first) {
			return c, nil
		}
		if err == nil { // the others have gone to another host meanwhile
			_ = c.Close()
			return nil, driver.ErrBadConn // database/sql asks for one more
		}
		errs = append(errs, fmt.Errorf("%s: %w", h.names[host], err))
		if ctx.Err() != nil || time.Since(start) > 2*h.timeout {
			break
		}
	}
	return nil, errors.Join(errs...)
}

// settle makes host the current one, in the place of from, and reports whether it is
// now.
func (h *hosts) settle(host, from int) bool {
	h.moveTo(host, from)
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.current == host
}

// enter connects to one of several hosts. One that takes the connection and then
// is silent has no more time than one that does not take it: the next one's turn
// must come.
func (h *hosts) enter(ctx context.Context, host int) (driver.Conn, error) {
	ctx, cancel := context.WithTimeout(ctx, h.timeout)
	defer cancel()
	return h.connectors[host].Connect(ctx)
}

// Driver implements [driver.Connector].
func (h *hosts) Driver() driver.Driver { return h.connectors[0].Driver() }

// several reports whether there is another host to go to.
func (h *hosts) several() bool { return h != nil && len(h.connectors) > 1 }

// leave goes on to the next host, because a statement that began then has shown
// that this one is of no use. What began before the last move was about another.
func (h *hosts) leave(began time.Time) {
	h.mu.Lock()
	current, stale := h.current, began.Before(h.since)
	h.mu.Unlock()
	if !stale {
		h.moveTo((current+1)%len(h.connectors), current)
	}
}

// moveTo makes host the current one, in the place of from, and closes every
// connection to another: whoever waits there for an answer gets to know.
func (h *hosts) moveTo(host, from int) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.current != from || host == from {
		return
	}
	h.current, h.since = host, time.Now()
	for c := range h.conns {
		if c.host != host {
			_ = c.Conn.Close()
			delete(h.conns, c)
		}
	}
}

// A hostConn is a connection to one of several hosts.
type hostConn struct {
	net.Conn
	host int
	of   *hosts
}

func (h *hosts) dial(ctx context.Context, network, addr string, host int) (net.Conn, error) {
	raw, err := (&net.Dialer{KeepAlive: 30 * time.Second}).DialContext(ctx, network, addr)
	if err != nil {
		return nil, err
	}
	c := &hostConn{Conn: raw, host: host, of: h}
	h.mu.Lock()
	defer h.mu.Unlock()
	h.conns[c] = true
	return c, nil
}

// Close closes it and has its host forget it.
func (c *hostConn) Close() error {
	c.of.mu.Lock()
	delete(c.of.conns, c)
	c.of.mu.Unlock()
	return c.Conn.Close()
}

// useless reports whether err, after a try that took so long, says that another
// host will do better: this one is in no cluster or does not answer. A connection
// that was merely closed says nothing: the next one is made to the same host, if
// that takes it.
func useless(err error, took time.Duration) bool {
	if isServer(err, errNotPrepared, errReadOnly, errReadOnlyTx, errReadOnlyMode) {
		return true
	}
	broken := errors.Is(err, mysql.ErrInvalidConn) || errors.Is(err, driver.ErrBadConn) || errors.Is(err, context.DeadlineExceeded)
	return broken && took >= dialTimeout
}

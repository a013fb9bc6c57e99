package mysql

import (
	"context"
	"database/sql/driver"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/go-sql-driver/mysql"
)

func TestHostList(t *testing.T) {
	for dsn, want := range map[string]string{
		"u:p@tcp(h1)/db":                 "h1:3306",
		"u:p@tcp(h1:3307)/db":            "h1:3307",
		"u:p@tcp(h1,h2,h3)/db":           "h1:3306 h2:3306 h3:3306",
		"u:p@tcp(h1,h2:3307)/db":         "h1:3306 h2:3307",
		"u:p@tcp(h1:3307,h2)/db":         "h1:3307 h2:3306",
		"u:p@tcp(h1:1,h2:2,h3:3)/db":     "h1:1 h2:2 h3:3",
		"u:p@tcp([::1]:1,[::2],h3:3)/db": "[::1]:1 [::2]:3306 h3:3",
		"u:p@unix(/run/a,b.sock)/db":     "/run/a,b.sock",
	} {
		cfg, err := mysql.ParseDSN(dsn)
		if err != nil {
			t.Errorf("ParseDSN(%q): %v", dsn, err)
			continue
		}
		if got := hostList(cfg); !slices.Equal(got, strings.Fields(want)) {
			t.Errorf("the hosts of %q are %q, want %s", dsn, got, want)
		}
	}
}

func TestHosts(t *testing.T) {
	for dsn, want := range map[string][]string{
		"u:p@tcp(h1:1)/db?tls=true":              {"u:p@tcp(h1:1)/db?tls=true"},
		"u:p@/x@tcp(h1,h2:7)/db?sql_mode=%27%27": {"u:p@/x@tcp(h1:3306)/db?sql_mode=%27%27", "u:p@/x@tcp(h2:7)/db?sql_mode=%27%27"},
	} {
		if got, err := Hosts(dsn); err != nil || !slices.Equal(got, want) {
			t.Errorf("Hosts(%q) = %q, %v; want %q", dsn, got, err, want)
		}
	}
	if _, err := Hosts("u:s3cret@tcp(h1,h2/db"); err == nil || strings.Contains(err.Error(), "s3cret") {
		t.Errorf("Hosts of what is no DSN: %v; want an error without the password", err)
	}
}

// A lateHost is a connector that lets in when the others have left its host.
type lateHost struct {
	driver.Conn
	of *hosts
}

func (l *lateHost) Connect(context.Context) (driver.Conn, error) {
	l.of.leave(time.Now())
	return l, nil
}
func (l *lateHost) Driver() driver.Driver { return nil }
func (l *lateHost) Close() error          { l.of = nil; return nil }

// TestLateHost: a connection to a host that was left while it was made is not used:
// what that one refuses would have the others leave the host that they went to.
func TestLateHost(t *testing.T) {
	h := &hosts{names: []string{"a", "b"}, timeout: time.Second}
	late := &lateHost{of: h}
	h.connectors = []driver.Connector{late, &lateHost{of: h}}
	if _, err := h.Connect(t.Context()); !errors.Is(err, driver.ErrBadConn) || late.of != nil || h.current != 1 {
		t.Errorf("Connect: %v, closed %v, current host %d; want ErrBadConn, a closed connection and host 1", err, late.of == nil, h.current)
	}
}

// TestNoHost: a comma too many is not a host on this machine.
func TestNoHost(t *testing.T) {
	for _, dsn := range []string{"u:p@tcp(h1,,h2)/db", "u:p@tcp(h1,)/db"} {
		if _, err := openPool(dsn, false, false); err == nil || !strings.Contains(err.Error(), "empty") {
			t.Errorf("openPool(%q): %v; want an error that says what is empty", dsn, err)
		}
	}
}

// TestHostsTLS: each host's certificate must be for that host.
func TestHostsTLS(t *testing.T) {
	cfg, err := mysql.ParseDSN("u:p@tcp(h1,h2:3307)/db?tls=true")
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range hostList(cfg) {
		host, _, _ := strings.Cut(name, ":")
		if got := forHost(cfg, name).TLS.ServerName; got != host {
			t.Errorf("the certificate of %s must be for %q, want %q", name, got, host)
		}
	}
}

package mysql

import (
	"slices"
	"strings"
	"testing"

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

package testserver

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
)

const (
	pgBouncerCure   = "apt-get install pgbouncer (Debian, Ubuntu), brew install pgbouncer (macOS)"
	pgBouncerStarts = 3 // a port found free may be taken by the time it is used
)

// A PgBouncer is a private pooler in front of a [Postgres].
type PgBouncer struct {
	*Process
	addr string
}

// StartPgBouncer starts a pooler in transaction mode that leads to server, for
// the account of its DSN. settings are further lines of the section
// [pgbouncer], such as "default_pool_size = 5"; the last of a name wins.
func StartPgBouncer(server *Postgres, settings ...string) (*PgBouncer, error) {
	path, err := Find(pgBouncerCure, "pgbouncer")
	if err != nil {
		return nil, err
	}
	as, err := unprivileged()
	if err != nil {
		return nil, err
	}
	var errs error
	for range pgBouncerStarts {
		b, err := tryPgBouncer(path, as, server, settings)
		if err == nil {
			return b, nil
		}
		errs = errors.Join(errs, err)
	}
	return nil, errs
}

func tryPgBouncer(path string, as account, server *Postgres, settings []string) (*PgBouncer, error) {
	port, err := FreePort()
	if err != nil {
		return nil, err
	}
	dir, err := TempDir("pgbouncer")
	if err != nil {
		return nil, err
	}
	lines := append([]string{
		"[databases]",
		"* = host=" + server.host + " port=" + server.port,
		"[pgbouncer]",
		"listen_addr = 127.0.0.1",
		"listen_port = " + strconv.Itoa(port),
		"unix_socket_dir = " + dir,
		"auth_type = md5", // see createRole
		"auth_file = " + filepath.Join(dir, "users"),
		"pool_mode = transaction",
		"max_client_conn = 500",
		"default_pool_size = 20",
	}, settings...)
	users := fmt.Sprintf("%q %q\n", server.url.User.Username(), server.Password())
	config := filepath.Join(dir, "ini")
	err = errors.Join(
		os.WriteFile(config, []byte(strings.Join(lines, "\n")+"\n"), 0o600),
		os.WriteFile(filepath.Join(dir, "users"), []byte(users), 0o600),
	)
	if err == nil {
		err = as.own(dir)
	}
	b := &PgBouncer{addr: net.JoinHostPort("127.0.0.1", strconv.Itoa(port))}
	if err == nil {
		b.Process, err = Start(Spec{
			Name: "pgbouncer", Path: path, Args: []string{config}, Dir: dir,
			Ready: func(ctx context.Context) error {
				c, err := new(net.Dialer).DialContext(ctx, "unix", filepath.Join(dir, ".s.PGSQL."+strconv.Itoa(port)))
				if err != nil {
					return err
				}
				return c.Close()
			},
			as: as, stop: sigInterrupt,
		})
	}
	if err != nil {
		return nil, errors.Join(err, os.RemoveAll(dir))
	}
	return b, nil
}

// Addr returns the pooler's host and port.
func (b *PgBouncer) Addr() string { return b.addr }

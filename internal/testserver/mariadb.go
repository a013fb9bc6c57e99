package testserver

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"github.com/go-sql-driver/mysql"
)

// EnvMySQL is the environment variable that has [StartMariaDB] use a server
// that runs already, in place of a private one. Its DSN needs the right to
// create databases. Tests that kill, freeze or reconfigure the server fail
// there.
const EnvMySQL = "MYSQL_DSN"

const (
	mariaDBCure = "apt-get install mariadb-server, or brew install mariadb"

	// The account that DSN names has the rights of an application and no
	// more: all on the databases that CreateDatabase makes. (SUPER would
	// make read_only and max_connections mean nothing.)
	mariaDBUser     = "session"
	mariaDBPassword = "pw-of-session"
	mariaDBPrefix   = "session_"

	adminTimeout = 20 * time.Second
)

// MariaDBOptions are the options of [StartMariaDB]; none is needed.
type MariaDBOptions struct {
	// Args are further arguments of mariadbd, such as
	// "--max-connections=20". They come last, so they win.
	Args []string

	host Host
	as   account
	port int    // 0: a free one
	data string // a directory of data to begin with, which has the account of DSN
}

// A MariaDB is a private MariaDB server. It writes its log at every commit,
// as production servers do.
type MariaDB struct {
	*Process
	app   *mysql.Config // the account of an application, over TCP
	admin *sql.DB       // root, over the unix socket
	asked atomic.Uint64 // how often Statements asked: it does not count itself
}

// StartMariaDB makes a data directory and starts a server on it, which takes
// a few seconds: start one a package, not one a test.
func StartMariaDB(opts MariaDBOptions) (*MariaDB, error) {
	if dsn := os.Getenv(EnvMySQL); dsn != "" {
		return externalMariaDB(dsn)
	}
	server, err := Find(mariaDBCure, "mariadbd", "mysqld")
	if err != nil {
		return nil, err
	}
	install, err := Find(mariaDBCure, "mariadb-install-db", "mysql_install_db")
	if err != nil {
		return nil, err
	}
	dir, err := TempDir("mariadb")
	if err != nil {
		return nil, err
	}
	m, err := startMariaDB(server, install, dir, opts)
	if err != nil {
		return nil, errors.Join(err, os.RemoveAll(dir))
	}
	return m, nil
}

func startMariaDB(server, install, dir string, opts MariaDBOptions) (*MariaDB, error) {
	port, err := opts.port, error(nil)
	if port == 0 {
		port, err = FreePort()
	}
	if err != nil {
		return nil, err
	}
	data, socket := filepath.Join(dir, "data"), filepath.Join(dir, "sock")
	if opts.data != "" {
		err = os.CopyFS(data, os.DirFS(opts.data))
	} else {
		err = copyTemplate(server, install, data)
	}
	if err != nil {
		return nil, err
	}
	admin, err := openMariaDB("root@unix(" + socket + ")/")
	if err != nil {
		return nil, err
	}
	if err := opts.as.own(dir); err != nil {
		return nil, err
	}
	path, args, as := server, mariaDBArgs(dir, data, socket, port, append([]string{"--bind-address=" + opts.host.IP()}, opts.Args...)), opts.as
	if opts.host.namespace != "" {
		path, args = opts.host.command(as.behind(path, args))
		as = account{}
	}
	process, err := Start(Spec{
		Name:  "mariadbd",
		Path:  path,
		Args:  args,
		as:    as,
		Dir:   dir,
		Ready: admin.PingContext,
	})
	if err != nil {
		return nil, errors.Join(err, admin.Close())
	}
	m := &MariaDB{Process: process, admin: admin, app: mysql.NewConfig()}
	m.app.User, m.app.Passwd = mariaDBUser, mariaDBPassword
	m.app.Net, m.app.Addr = "tcp", net.JoinHostPort(opts.host.IP(), strconv.Itoa(port))
	if opts.data != "" {
		return m, nil
	}
	if err := m.createUser(); err != nil {
		return nil, errors.Join(err, m.Stop())
	}
	return m, nil
}

func mariaDBArgs(dir, data, socket string, port int, more []string) []string {
	args := []string{
		"--no-defaults", // first, or it is refused
		"--datadir=" + data,
		"--socket=" + socket,
		"--pid-file=" + filepath.Join(dir, "pid"),
		"--tmpdir=" + dir,
		"--port=" + strconv.Itoa(port),
		"--skip-name-resolve",
		"--skip-log-bin",
		"--performance-schema=OFF",
		"--innodb-buffer-pool-size=64M",
		mariaDBLogSize,
		"--innodb-flush-log-at-trx-commit=1",
		// A restart must not wait for what was dirty.
		"--innodb-fast-shutdown=1",
		"--innodb-buffer-pool-dump-at-shutdown=OFF",
		"--innodb-buffer-pool-load-at-startup=OFF",
	}
	return append(append(args, asRoot()...), more...)
}

// asRoot is the argument without which mariadbd refuses to run as root. It is
// our own private server: root may own it.
func asRoot() []string {
	if os.Geteuid() == 0 {
		return []string{"--user=root"}
	}
	return nil
}

// createUser makes the account of DSN.
func (m *MariaDB) createUser() error {
	hosts := []string{"127.0.0.1", "localhost"} // TCP and the socket
	if ip, _, _ := net.SplitHostPort(m.app.Addr); ip != "127.0.0.1" {
		hosts = append(hosts, "%")
	}
	for _, host := range hosts {
		account := fmt.Sprintf("'%s'@'%s'", mariaDBUser, host)
		if err := m.Exec("CREATE USER " + account + " IDENTIFIED BY '" + mariaDBPassword + "'"); err != nil {
			return err
		}
		pattern := strings.ReplaceAll(mariaDBPrefix, "_", `\_`) + "%"
		if err := m.Exec("GRANT ALL PRIVILEGES ON `" + pattern + "`.* TO " + account); err != nil {
			return err
		}
	}
	return nil
}

// externalMariaDB uses the server at dsn, with the rights of its account for
// everything.
func externalMariaDB(dsn string) (*MariaDB, error) {
	cfg, err := mysql.ParseDSN(dsn)
	if err != nil {
		return nil, fmt.Errorf("testserver: %s is not a DSN such as user:password@tcp(host:3306)/", EnvMySQL)
	}
	cfg.DBName = ""
	admin, err := openMariaDB(cfg.FormatDSN())
	if err != nil {
		return nil, err
	}
	// No process: Kill9 and the like say ErrNotRunning.
	return &MariaDB{Process: &Process{spec: Spec{Name: EnvMySQL}, stopped: true}, admin: admin, app: cfg}, nil
}

// openMariaDB opens a quiet pool: while a server starts, it refuses.
func openMariaDB(dsn string) (*sql.DB, error) {
	cfg, err := mysql.ParseDSN(dsn)
	if err != nil {
		return nil, fmt.Errorf("testserver: open mariadb: %w", err)
	}
	cfg.Logger = &mysql.NopLogger{}
	connector, err := mysql.NewConnector(cfg)
	if err != nil {
		return nil, fmt.Errorf("testserver: open mariadb: %w", err)
	}
	return sql.OpenDB(connector), nil
}

// Stop ends the server for good and removes its data. It is idempotent.
func (m *MariaDB) Stop() error {
	return errors.Join(m.admin.Close(), m.Process.Stop())
}

// Addr returns host and port of the server.
func (m *MariaDB) Addr() string { return m.app.Addr }

// DSN returns the data source name, over TCP, of the database db for an
// account that has all rights there and none elsewhere. Each of params is
// added as it is ("parseTime=true").
func (m *MariaDB) DSN(db string, params ...string) string {
	cfg := m.app.Clone()
	cfg.DBName = db
	dsn := cfg.FormatDSN()
	for _, p := range params {
		sep := "&"
		if !strings.Contains(dsn[strings.LastIndexByte(dsn, '/'):], "?") {
			sep = "?"
		}
		dsn += sep + p
	}
	return dsn
}

// Password returns the password in [MariaDB.DSN], for tests that look where it
// turns up.
func (m *MariaDB) Password() string { return m.app.Passwd }

// CreateDatabase makes an empty database and returns its name; the last one to
// leave turns off the light: it goes with the server.
func (m *MariaDB) CreateDatabase() (string, error) {
	name := mariaDBPrefix + strconv.Itoa(os.Getpid()) + "_" + strconv.FormatInt(time.Now().UnixNano(), 36)
	return name, m.Exec("CREATE DATABASE `" + name + "`")
}

// DropDatabase removes a database that CreateDatabase made.
func (m *MariaDB) DropDatabase(name string) error {
	return m.Exec("DROP DATABASE IF EXISTS `" + name + "`")
}

// Admin returns a pool of root's connections, over the unix socket. It is
// closed by Stop.
func (m *MariaDB) Admin() *sql.DB { return m.admin }

// Exec runs a statement as root.
func (m *MariaDB) Exec(query string, args ...any) error {
	ctx, cancel := context.WithTimeout(context.Background(), adminTimeout)
	defer cancel()
	if _, err := m.admin.ExecContext(ctx, query, args...); err != nil {
		return fmt.Errorf("testserver: mariadb: %s: %w", query, err)
	}
	return nil
}

// Statements are the server's counters of what it was asked, by all
// connections together.
type Statements struct {
	Questions uint64 // everything that a client waited for: one a round trip
	Prepared  uint64 // COM_STMT_PREPARE
	Executed  uint64 // COM_STMT_EXECUTE
}

// Sub returns what was counted between b and a.
func (a Statements) Sub(b Statements) Statements {
	return Statements{a.Questions - b.Questions, a.Prepared - b.Prepared, a.Executed - b.Executed}
}

// Statements reads the counters. Reading them is not counted.
func (m *MariaDB) Statements() (Statements, error) {
	const query = "SHOW GLOBAL STATUS WHERE Variable_name IN ('Questions', 'Com_stmt_prepare', 'Com_stmt_execute')"
	ctx, cancel := context.WithTimeout(context.Background(), adminTimeout)
	defer cancel()
	rows, err := m.admin.QueryContext(ctx, query)
	if err != nil {
		return Statements{}, fmt.Errorf("testserver: mariadb: read the counters: %w", err)
	}
	defer rows.Close()
	s := Statements{}
	for rows.Next() {
		var name string
		var n uint64
		if err := rows.Scan(&name, &n); err != nil {
			return Statements{}, fmt.Errorf("testserver: mariadb: read the counters: %w", err)
		}
		switch name {
		case "Questions":
			s.Questions = n - m.asked.Add(1)
		case "Com_stmt_prepare":
			s.Prepared = n
		case "Com_stmt_execute":
			s.Executed = n
		}
	}
	return s, rows.Err()
}

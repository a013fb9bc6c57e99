package testserver

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"time"
)

// PostgresEnv is the environment variable that has [StartPostgres] use a
// server that runs already, in place of a private one. It is a
// postgres://user:password@host:port/ URL of a superuser. Tests that kill,
// freeze or reconfigure the server fail there.
const PostgresEnv = "POSTGRES_URL"

const (
	postgresCure   = "apt-get install postgresql (Debian, Ubuntu), brew install postgresql (macOS)"
	postgresStarts = 3 // a port found free may be taken by the time it is used

	// The account that DSN names owns the databases that CreateDatabase
	// makes, and has no right elsewhere.
	postgresUser     = "session"
	postgresPassword = "pw-of-session"
	postgresPrefix   = "session_"
)

// PostgresOptions are the options of [StartPostgres]; none is needed.
type PostgresOptions struct {
	// Settings are lines of postgresql.conf, such as "max_connections = 20".
	// They come last, so they win.
	Settings []string

	// Data is the directory in which the data directory is made: an empty
	// one of the caller's, such as a small file system of its own, which
	// stays when the server goes. Empty: in the temporary directory.
	Data string
}

// A Postgres is a private PostgreSQL server. It writes its log at every
// commit, as production servers do.
type Postgres struct {
	*Process
	bin        string // where initdb and the others are
	data       string
	host, port string   // of TCP
	admin      string   // what psql connects by, without the database
	url        *url.URL // of the application's account, without the database
}

// StartPostgres makes a data directory and starts a server on it, which takes
// a second: start one a package, not one a test. As PostgreSQL refuses to run
// as root, root starts it as the user postgres, or nobody.
func StartPostgres(opts PostgresOptions) (*Postgres, error) {
	if raw := os.Getenv(PostgresEnv); raw != "" {
		return externalPostgres(raw)
	}
	bin, err := findPostgres()
	if err != nil {
		return nil, err
	}
	return startPostgres(bin, opts.Settings, func(dir, data string, as account) error {
		if opts.Data != "" {
			if err := os.Symlink(filepath.Join(opts.Data, "data"), data); err != nil {
				return fmt.Errorf("testserver: %w", err)
			}
			data = filepath.Join(opts.Data, "data")
		}
		return copyPostgres(bin, data, as)
	})
}

// findPostgres returns the directory of the server's programs, which Debian
// keeps out of PATH, as several versions may be installed; the newest is
// taken.
func findPostgres() (string, error) {
	newest, dir := 0, ""
	for _, pattern := range []string{"/usr/lib/postgresql/*/bin", "/usr/pgsql-*/bin", "/opt/homebrew/opt/postgresql@*/bin"} {
		found, _ := filepath.Glob(pattern) // fails for a bad pattern only
		for _, bin := range found {
			digits := strings.Trim(filepath.Base(filepath.Dir(bin)), "abcdefghijklmnopqrstuvwxyz-@")
			version, err := strconv.Atoi(digits)
			if _, missing := os.Stat(filepath.Join(bin, "initdb")); err == nil && missing == nil && version > newest {
				newest, dir = version, bin
			}
		}
	}
	if dir != "" {
		return dir, nil
	}
	path, err := Find(postgresCure, "initdb")
	if err != nil {
		return "", err
	}
	return filepath.Dir(path), nil
}

// startPostgres starts a server on a data directory that fill makes.
func startPostgres(bin string, settings []string, fill func(dir, data string, as account) error) (*Postgres, error) {
	as, err := unprivileged()
	if err != nil {
		return nil, err
	}
	var errs error
	for range postgresStarts {
		p, err := tryPostgres(bin, as, settings, fill)
		if err == nil {
			return p, nil
		}
		errs = errors.Join(errs, err)
	}
	return nil, errs
}

func tryPostgres(bin string, as account, settings []string, fill func(dir, data string, as account) error) (*Postgres, error) {
	port, err := FreePort()
	if err != nil {
		return nil, err
	}
	dir, err := TempDir("postgres")
	if err != nil {
		return nil, err
	}
	p := newPostgres(bin, dir, strconv.Itoa(port))
	err = as.own(dir)
	if err == nil {
		err = fill(dir, p.data, as)
	}
	if err == nil {
		err = p.configure(settings)
	}
	if err == nil {
		p.Process, err = Start(Spec{
			Name: "postgres", Path: filepath.Join(bin, "postgres"), Args: []string{"-D", p.data}, Dir: dir,
			Ready: p.ready,
			as:    as, stop: sigInterrupt, // SIGTERM waits until the clients have gone
		})
	}
	if err == nil && !p.Standby() {
		err = p.createRole()
	}
	if err != nil {
		if p.Process != nil {
			err = errors.Join(err, p.Stop())
		}
		return nil, errors.Join(err, os.RemoveAll(dir))
	}
	return p, nil
}

func newPostgres(bin, dir, port string) *Postgres {
	return &Postgres{
		bin: bin, data: filepath.Join(dir, "data"), host: "127.0.0.1", port: port,
		admin: "host=" + dir + " port=" + port + " user=postgres",
		url: &url.URL{
			Scheme: "postgres", User: url.UserPassword(postgresUser, postgresPassword),
			Host: net.JoinHostPort("127.0.0.1", port), RawQuery: "sslmode=disable",
		},
	}
}

// configure writes who may connect, and adds to the settings that initdb or
// pg_basebackup left.
func (p *Postgres) configure(settings []string) error {
	const access = "local all,replication all trust\n" +
		"host replication all 127.0.0.1/32 trust\n" + // standbys, also through a Link
		"host all all 127.0.0.1/32 md5\n" // means SCRAM for a password that is kept so
	if err := os.WriteFile(filepath.Join(p.data, "pg_hba.conf"), []byte(access), 0o600); err != nil {
		return fmt.Errorf("testserver: configure postgres: %w", err)
	}
	lines := append([]string{
		"port = " + p.port,
		"listen_addresses = '127.0.0.1'",
		"unix_socket_directories = '" + filepath.Dir(p.data) + "'",
		"shared_buffers = 64MB",
		"dynamic_shared_memory_type = mmap", // in the data directory: a killed server leaves nothing behind
		"wal_keep_size = 256MB",             // a standby that was cut off finds its way back
		"log_timezone = UTC",
		"timezone = UTC",
	}, settings...)
	return p.Configure(lines...)
}

// Configure adds lines to postgresql.conf, the last of which wins. They count
// from the next start, or from [Postgres.Reload].
func (p *Postgres) Configure(lines ...string) error {
	f, err := os.OpenFile(filepath.Join(p.data, "postgresql.conf"), os.O_APPEND|os.O_WRONLY, 0)
	if err != nil {
		return fmt.Errorf("testserver: configure postgres: %w", err)
	}
	_, err = f.WriteString("\n" + strings.Join(lines, "\n") + "\n")
	if err = errors.Join(err, f.Close()); err != nil {
		return fmt.Errorf("testserver: configure postgres: %w", err)
	}
	return nil
}

// Reload has the server read its configuration again.
func (p *Postgres) Reload() error { return p.Exec("SELECT pg_reload_conf()") }

func (p *Postgres) ready(ctx context.Context) error {
	_, err := p.psql(ctx, "postgres", "SELECT 1")
	return err
}

// createRole makes the account of DSN. Its password is kept as MD5: SCRAM, the
// default, takes 4096 rounds of SHA-256 on both sides, which under the race
// detector is a second for a few connections.
func (p *Postgres) createRole() error {
	return p.Exec("SET password_encryption = md5; DO $$ BEGIN IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = '" + postgresUser + "') THEN" +
		" CREATE ROLE " + postgresUser + " LOGIN PASSWORD '" + postgresPassword + "'; END IF; END $$")
}

// externalPostgres uses the server at raw, with a role of our own there.
func externalPostgres(raw string) (*Postgres, error) {
	u, err := url.Parse(raw)
	if err != nil || u.Scheme != "postgres" && u.Scheme != "postgresql" || u.Hostname() == "" {
		return nil, fmt.Errorf("testserver: %s is not a postgres://user:password@host:port/ URL", PostgresEnv)
	}
	bin, err := findPostgres()
	if err != nil {
		return nil, err
	}
	query := u.Query()
	if !query.Has("sslmode") {
		query.Set("sslmode", "disable")
	}
	u.RawQuery = query.Encode()
	u.Path = ""
	p := newPostgres(bin, os.TempDir(), "5432")
	p.Process = External("postgres", PostgresEnv)
	if u.Port() != "" {
		p.port = u.Port()
	}
	p.host = u.Hostname()
	p.url.Host, p.url.RawQuery = net.JoinHostPort(p.host, p.port), u.RawQuery
	p.admin = u.String()
	return p, p.createRole()
}

// Stop ends the server for good and removes its data. It is idempotent.
func (p *Postgres) Stop() error {
	_ = p.Thaw() // frozen children would not end; it fails if nothing runs
	return p.Process.Stop()
}

// Halt ends the server without waiting for its clients, and keeps its data for
// Restart.
func (p *Postgres) Halt() error {
	_ = p.Thaw()
	return p.Process.Halt()
}

// Restart starts the server again, on the same data and addresses, and returns
// when it answers. One that still runs is halted first.
func (p *Postgres) Restart() error {
	_ = p.Thaw()
	return p.Process.Restart()
}

// Kill9 ends the server with all its processes, as a power cut would, and
// keeps its data for Restart.
func (p *Postgres) Kill9() error {
	children, err := p.stopAll()
	if err != nil {
		return err
	}
	for _, pid := range children {
		signalPid(pid, sigKill)
	}
	return p.Process.Kill9()
}

// Freeze stops the server and all its processes where they are, until Thaw.
func (p *Postgres) Freeze() error {
	_, err := p.stopAll()
	return err
}

// Thaw lets a frozen server go on.
func (p *Postgres) Thaw() error {
	if err := p.Process.Thaw(); err != nil {
		return err
	}
	for _, pid := range childrenOf(p.Pid()) {
		signalPid(pid, sigCont)
	}
	return nil
}

// stopAll stops the server, then its children, and returns these.
func (p *Postgres) stopAll() ([]int, error) {
	if err := p.Process.Freeze(); err != nil {
		return nil, err
	}
	children := childrenOf(p.Pid())
	for _, pid := range children {
		signalPid(pid, sigStop)
	}
	for _, pid := range children {
		if err := awaitStopped(pid); err != nil {
			return nil, err
		}
	}
	return children, nil
}

// StartStandby makes a copy of the server as it is and starts it as its
// streaming standby named name, asynchronous unless
// synchronous_standby_names says otherwise. It follows the server through
// upstream, such as a [Link]'s address; empty: directly.
func (p *Postgres) StartStandby(name, upstream string, settings ...string) (*Postgres, error) {
	if err := p.ours("copy"); err != nil {
		return nil, err
	}
	follow, err := p.follow(name, upstream)
	if err != nil {
		return nil, err
	}
	return startPostgres(p.bin, append([]string{follow}, settings...), func(_, data string, as account) error {
		return p.copyTo(data, as)
	})
}

// Rejoin makes a server that was killed or halted the standby named name of
// primary, which took its place: it throws its own data away, as what it wrote
// last may be in nobody's history any more, copies the primary's and starts, on
// its old address. upstream and settings are as for [Postgres.StartStandby].
func (p *Postgres) Rejoin(primary *Postgres, name, upstream string, settings ...string) error {
	if err := errors.Join(p.ours("rejoin"), primary.ours("copy")); err != nil {
		return err
	}
	if p.Pid() != 0 {
		return errors.New("testserver: rejoin postgres: it still runs")
	}
	follow, err := primary.follow(name, upstream)
	if err != nil {
		return err
	}
	as, err := unprivileged()
	if err != nil {
		return err
	}
	if err := os.RemoveAll(p.data); err != nil {
		return fmt.Errorf("testserver: rejoin postgres: %w", err)
	}
	if err := primary.copyTo(p.data, as); err != nil {
		return err
	}
	if err := p.configure(append([]string{follow}, settings...)); err != nil {
		return err
	}
	return p.Restart()
}

// follow is the setting by which a standby named name follows the server,
// through upstream.
func (p *Postgres) follow(name, upstream string) (setting string, err error) {
	host, port := p.host, p.port
	if upstream != "" {
		if host, port, err = net.SplitHostPort(upstream); err != nil {
			return "", fmt.Errorf("testserver: the standby's upstream: %w", err)
		}
	}
	return "primary_conninfo = 'host=" + host + " port=" + port + " user=postgres application_name=" + name + "'", nil
}

// copyTo makes a data directory that is the server's as it is, of a standby.
func (p *Postgres) copyTo(data string, as account) error {
	cmd := exec.Command(filepath.Join(p.bin, "pg_basebackup"), "-D", data, "-X", "stream", "-c", "fast", "--no-sync",
		"-h", p.host, "-p", p.port, "-U", "postgres")
	cmd.Dir = filepath.Dir(data)
	as.apply(cmd)
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("testserver: pg_basebackup: %w; it said:\n%s", err, out)
	}
	signal := filepath.Join(data, "standby.signal")
	return errors.Join(os.WriteFile(signal, nil, 0o600), as.own(signal))
}

// Standby reports whether the server is a standby: it was started as one and
// has not been promoted.
func (p *Postgres) Standby() bool {
	_, err := os.Stat(filepath.Join(p.data, "standby.signal"))
	return err == nil && p.external == ""
}

// Promote makes a standby the primary, and returns when it takes writes.
func (p *Postgres) Promote() error {
	rows, err := p.Query("SELECT pg_promote(true, 60)")
	if err == nil && (len(rows) != 1 || rows[0][0] != "t") {
		err = errors.New("testserver: promote the standby: it was not done in a minute")
	}
	return err
}

// Addr returns host and port of the server.
func (p *Postgres) Addr() string { return p.url.Host }

// Password returns the password in [Postgres.DSN], for tests that look where
// it turns up.
func (p *Postgres) Password() string {
	password, _ := p.url.User.Password()
	return password
}

// DSN returns the URL of the database db over TCP, for an account that owns
// the databases of CreateDatabase and has no right elsewhere. Each of params
// is added as it is ("connect_timeout=5").
func (p *Postgres) DSN(db string, params ...string) string {
	return p.DSNAt(p.url.Host, db, params...)
}

// DSNAt is [Postgres.DSN] by way of other addresses, "host:port" or several
// with commas: a pooler's, or those of a primary and its standby.
func (p *Postgres) DSNAt(addrs, db string, params ...string) string {
	dsn := "postgres://" + p.url.User.String() + "@" + addrs + "/" + url.PathEscape(db)
	return dsn + "?" + strings.Join(append(strings.Split(p.url.RawQuery, "&"), params...), "&")
}

// AdminDSN returns the connection string of a superuser for the database db.
func (p *Postgres) AdminDSN(db string) string {
	if u, err := url.Parse(p.admin); err == nil && u.Host != "" {
		u.Path = "/" + db
		return u.String()
	}
	return p.admin + " dbname=" + db
}

// CreateDatabase makes an empty database, owned by the account of DSN, and
// returns its name; it goes with the server.
func (p *Postgres) CreateDatabase() (string, error) {
	name := postgresPrefix + strconv.Itoa(os.Getpid()) + "_" + strconv.FormatInt(time.Now().UnixNano(), 36)
	return name, p.Exec("CREATE DATABASE " + name + " OWNER " + postgresUser)
}

// DropDatabase removes a database that CreateDatabase made, whoever is
// connected to it.
func (p *Postgres) DropDatabase(name string) error {
	return p.Exec("DROP DATABASE IF EXISTS " + name + " WITH (FORCE)")
}

// Exec runs statements as a superuser in the database postgres.
func (p *Postgres) Exec(query string) error {
	_, err := p.Query(query)
	return err
}

// Query runs a statement as a superuser in the database postgres and returns
// its rows as texts. Values must not contain line breaks.
func (p *Postgres) Query(query string) ([][]string, error) { return p.QueryIn("postgres", query) }

// QueryIn is [Postgres.Query] in the database db.
func (p *Postgres) QueryIn(db, query string) ([][]string, error) {
	ctx, cancel := context.WithTimeout(context.Background(), adminTimeout)
	defer cancel()
	out, err := p.psql(ctx, db, query)
	if err != nil {
		return nil, fmt.Errorf("testserver: postgres: %s: %w", query, err)
	}
	var rows [][]string
	for line := range strings.Lines(out) {
		rows = append(rows, strings.Split(strings.TrimSuffix(line, "\n"), "\x1f"))
	}
	return rows, nil
}

// psql is the only client of this package, which so needs no driver.
func (p *Postgres) psql(ctx context.Context, db, query string) (string, error) {
	cmd := exec.CommandContext(ctx, filepath.Join(p.bin, "psql"), "-X", "-q", "-A", "-t", "-w", "-F", "\x1f",
		"-v", "ON_ERROR_STOP=1", "-d", p.AdminDSN(db), "-c", query)
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		return "", fmt.Errorf("%w: %s", err, bytes.TrimSpace(stderr.Bytes()))
	}
	return string(out), nil
}

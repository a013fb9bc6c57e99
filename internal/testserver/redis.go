package testserver

import (
	"cmp"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/url"
	"os"
	"path/filepath"
	"strconv"
	"time"

	"github.com/gomodule/redigo/redis"
)

// RedisEnv is the environment variable with the redis:// URL of a server to
// test with instead of a private one. It will be flushed; tests that must
// kill or freeze it fail.
const RedisEnv = "REDIS_URL"

const (
	redisCure    = "apt-get install redis-server (Debian, Ubuntu), brew install redis (macOS)"
	redisStarts  = 3 // a port found free may be taken by the time it is used
	redisTimeout = 5 * time.Second
)

// RedisOptions say how to run a private Redis. The zero value keeps nothing
// on disk and wants no password.
type RedisOptions struct {
	// Password is what clients must send (requirepass).
	Password string

	// Durable makes every acknowledged write survive Kill9 (appendonly yes,
	// appendfsync always).
	Durable bool

	// Args are further arguments, such as "--maxmemory", "10mb".
	Args []string

	// Host is where it runs; the zero value is this machine's loopback.
	Host Host

	// TLS is the certificate of a server that takes no connection without TLS;
	// nil: it takes none with it.
	TLS *Certificate
}

// args are the arguments for the port, with or without TLS.
func (o RedisOptions) args(port int) []string {
	if o.TLS == nil {
		return []string{"--port", strconv.Itoa(port)}
	}
	return []string{
		"--port", "0", "--tls-port", strconv.Itoa(port), "--tls-replication", "yes", "--tls-auth-clients", "no",
		"--tls-cert-file", o.TLS.Cert, "--tls-key-file", o.TLS.Key, "--tls-ca-cert-file", o.TLS.Cert,
	}
}

// A Redis is a Redis or Valkey server for tests.
type Redis struct {
	*Process
	addr, socket, user, password string
	db                           int
	bus                          int // port of a cluster's own talk
	tls                          *Certificate
}

// StartRedis starts a private redis-server or valkey-server on a free loopback
// port and a unix socket; it returns when the server answers. With REDIS_URL
// set, it returns the server there.
func StartRedis(opts RedisOptions) (*Redis, error) {
	if raw := os.Getenv(RedisEnv); raw != "" {
		return externalRedis(raw)
	}
	path, err := Find(redisCure, "redis-server", "valkey-server")
	if err != nil {
		return nil, err
	}
	var errs error
	for range redisStarts {
		r, err := startRedis(path, opts)
		if err == nil {
			return r, nil
		}
		errs = errors.Join(errs, err)
	}
	return nil, errs
}

func startRedis(path string, opts RedisOptions) (*Redis, error) {
	port, err := FreePort()
	if err != nil {
		return nil, err
	}
	dir, err := TempDir("redis")
	if err != nil {
		return nil, err
	}
	r := &Redis{
		addr:     net.JoinHostPort(opts.Host.IP(), strconv.Itoa(port)),
		socket:   filepath.Join(dir, "s"),
		password: opts.Password, tls: opts.TLS,
	}
	args := append(opts.args(port), "--bind", opts.Host.IP(),
		"--unixsocket", r.socket, "--unixsocketperm", "600",
		"--dir", dir, "--daemonize", "no", "--save", "")
	if opts.Host.namespace != "" { // nobody else gets there
		args = append(args, "--protected-mode", "no")
	}
	if opts.Password != "" {
		args = append(args, "--requirepass", opts.Password)
	}
	if opts.Durable {
		args = append(args, "--appendonly", "yes", "--appendfsync", "always")
	}
	name := filepath.Base(path)
	path, args = opts.Host.command(path, append(args, opts.Args...))
	r.Process, err = Start(Spec{
		Name: name, Path: path, Args: args, Dir: dir,
		Ready: func(ctx context.Context) error { return r.ping(ctx, "unix", r.socket) },
	})
	if err != nil {
		return nil, errors.Join(err, os.RemoveAll(dir))
	}
	return r, nil
}

func externalRedis(raw string) (*Redis, error) {
	u, err := url.Parse(raw)
	if err != nil || u.Scheme != "redis" || u.Hostname() == "" {
		return nil, fmt.Errorf("testserver: %s is not a redis://[user:password@]host:port[/db] URL", RedisEnv)
	}
	r := &Redis{
		Process: External("redis", RedisEnv),
		addr:    net.JoinHostPort(u.Hostname(), cmp.Or(u.Port(), "6379")),
		user:    u.User.Username(),
	}
	r.password, _ = u.User.Password()
	if len(u.Path) > 1 {
		if r.db, err = strconv.Atoi(u.Path[1:]); err != nil {
			return nil, fmt.Errorf("testserver: %s: the database %q is not a number", RedisEnv, u.Path[1:])
		}
	}
	ctx, cancel := context.WithTimeout(context.Background(), redisTimeout)
	defer cancel()
	if err := r.ping(ctx, "tcp", r.addr); err != nil {
		return nil, fmt.Errorf("testserver: the server at %s: %w", RedisEnv, err)
	}
	return r, nil
}

// Addr returns host:port.
func (r *Redis) Addr() string { return r.addr }

// Socket returns the path of the unix socket; empty for a server that
// REDIS_URL named.
func (r *Redis) Socket() string { return r.socket }

// Password returns the password, or "".
func (r *Redis) Password() string { return r.password }

// URL returns the server's redis:// or rediss:// URL, with the password.
func (r *Redis) URL() string {
	u := url.URL{Scheme: "redis", Host: r.addr, Path: "/" + strconv.Itoa(r.db)}
	if r.tls != nil {
		u.Scheme, u.RawQuery = "rediss", url.Values{"cafile": {r.tls.Cert}}.Encode()
	}
	if r.password != "" {
		u.User = url.UserPassword(r.user, r.password)
	}
	return u.String()
}

// Dial returns a connection of its own, for looking at what a test has done.
func (r *Redis) Dial() (redis.Conn, error) {
	ctx, cancel := context.WithTimeout(context.Background(), redisTimeout)
	defer cancel()
	return r.dial(ctx, "tcp", r.addr)
}

// Do sends one command on a connection of its own.
func (r *Redis) Do(command string, args ...any) (any, error) {
	c, err := r.Dial()
	if err != nil {
		return nil, err
	}
	defer func() { _ = c.Close() }() // nothing is left to lose
	return c.Do(command, args...)
}

// FlushAll removes every key and every cached script.
func (r *Redis) FlushAll() error {
	_, err := r.Do("FLUSHALL")
	if err == nil {
		_, err = r.Do("SCRIPT", "FLUSH")
	}
	return err
}

func (r *Redis) ping(ctx context.Context, network, addr string) error {
	c, err := r.dial(ctx, network, addr)
	if err != nil {
		return err
	}
	_, err = c.Do("PING") // -LOADING is an error, too
	return errors.Join(err, c.Close())
}

func (r *Redis) dial(ctx context.Context, network, addr string) (redis.Conn, error) {
	secure := &tls.Config{}
	if r.tls != nil {
		secure.RootCAs = r.tls.Pool
	}
	return redis.DialContext(ctx, network, addr,
		redis.DialUseTLS(r.tls != nil && network == "tcp"), redis.DialTLSConfig(secure),
		redis.DialConnectTimeout(redisTimeout), redis.DialReadTimeout(redisTimeout), redis.DialWriteTimeout(redisTimeout),
		redis.DialUsername(r.user), redis.DialPassword(r.password), redis.DialDatabase(r.db))
}

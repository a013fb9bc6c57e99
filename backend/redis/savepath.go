package redis

import (
	"cmp"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/url"
	"strings"
	"time"

	"github.com/chisession/session/backend/internal/redisengine"
)

const (
	defaultPort     = "6379"
	defaultPoolSize = 100
	defaultIdle     = 4 * time.Minute
	maxPoolSize     = 1 << 16
)

// A target is what a save path says.
type target struct {
	network, addr  string
	tls            *tls.Config // nil: none
	user, password string
	db             int
	poolSize       int
	idle           time.Duration
	opts           Options
	sentinels      *redisengine.Place // nil: the server is at addr
}

// String returns the target without the user and the password.
func (t target) String() string {
	if t.sentinels != nil {
		return t.sentinels.String()
	}
	if t.network == "unix" {
		return fmt.Sprintf("unix:%s, database %d", t.addr, t.db)
	}
	return fmt.Sprintf("%s, database %d", t.addr, t.db)
}

// greeting is what a new connection sends first: commands with arguments.
func (t target) greeting() (commands [][]any) {
	switch {
	case t.user != "":
		commands = append(commands, []any{"AUTH", t.user, t.password})
	case t.password != "":
		commands = append(commands, []any{"AUTH", t.password})
	}
	if t.db != 0 {
		commands = append(commands, []any{"SELECT", t.db})
	}
	return commands
}

// parse reads a save path. Its errors quote only what can be no password.
func parse(savePath string) (target, error) {
	if strings.TrimSpace(savePath) == "" {
		return target{}, errors.New("the save path is empty: give host:port, a redis:// URL or unix:/path")
	}
	if strings.HasPrefix(savePath, "redis+sentinel:") || strings.HasPrefix(savePath, "rediss+sentinel:") {
		return parseSentinels(savePath)
	}
	if strings.HasPrefix(savePath, "redis+cluster:") || strings.HasPrefix(savePath, "rediss+cluster:") {
		return target{}, errors.New("redis+cluster:// is for backend/goredis and backend/rueidis: this backend follows no redirections")
	}
	for _, scheme := range []string{"redis:", "rediss:", "valkey:", "valkeys:", "unix:", "redis+unix:"} {
		if strings.HasPrefix(savePath, scheme) {
			return parseURL(savePath)
		}
	}
	if scheme, _, ok := strings.Cut(savePath, "://"); ok {
		return target{}, fmt.Errorf("the save path's scheme %q is not one of redis, rediss, redis+sentinel, unix, redis+unix", scheme)
	}
	return parseList(savePath)
}

// parseSentinels reads redis+sentinel://…
func parseSentinels(savePath string) (target, error) {
	place, err := redisengine.ParsePlace(savePath)
	if err != nil {
		return target{}, err
	}
	return target{
		network: "tcp", tls: place.TLS, user: place.User, password: place.Password, db: place.DB,
		poolSize: place.PoolSize, idle: defaultIdle, opts: Options(place.Options), sentinels: &place,
	}, nil
}

// parseList reads host:port,poolsize,password,dbnum,idletimeout.
func parseList(savePath string) (target, error) {
	fields := strings.Split(savePath, ",")
	if len(fields) > 5 {
		return target{}, fmt.Errorf("the save path has %d fields, but host:port,poolsize,password,dbnum,idletimeout are 5: for a password with a comma, use a redis:// URL", len(fields))
	}
	fields = append(fields, make([]string, 5-len(fields))...)
	t := target{network: "tcp", password: fields[2]}
	var addrErr error
	t.addr, addrErr = hostPort(strings.TrimSpace(fields[0]))
	return t.finish(addrErr, fields[1], fields[3], fields[4])
}

// parseURL reads a URL.
func parseURL(savePath string) (target, error) {
	u, err := url.Parse(savePath)
	if err != nil {
		return target{}, errors.New("the save path is not a valid URL: percent-encode what is special in its password")
	}
	query, err := url.ParseQuery(u.RawQuery)
	if err != nil {
		return target{}, errors.New("the save path's ?query is not valid: percent-encode what is special in it")
	}
	t := target{network: "tcp"}
	if password, ok := u.User.Password(); ok {
		t.user, t.password = u.User.Username(), password
	} else {
		t.password = u.User.Username() // as redis-cli has it
	}
	db := strings.TrimPrefix(u.Path, "/")
	known := append([]string{"poolsize", "idletimeout", "cafile"}, redisengine.OptionNames...)
	var addrErr, optErr, tlsErr error
	t.opts, optErr = options(query)
	t.tls, tlsErr = redisengine.TLSConfig(u.Scheme == "rediss" || u.Scheme == "valkeys", query.Get("cafile"))
	if strings.HasSuffix(u.Scheme, "unix") {
		t.network, t.addr, db = "unix", u.Path, query.Get("db")
		t.password = cmp.Or(t.password, query.Get("password"))
		known = append(known, "db", "password")
		if t.addr == "" || u.Host != "" {
			addrErr = errors.New("the save path names no socket: write unix:///path/to/socket")
		}
	} else {
		t.addr, addrErr = hostPort(u.Host)
	}
	if err := redisengine.Unknown(query, known); err != nil {
		return target{}, err
	}
	return t.finish(errors.Join(addrErr, optErr, tlsErr), query.Get("poolsize"), db, query.Get("idletimeout"))
}

// finish fills in the numbers.
func (t target) finish(addrErr error, poolSize, db, idle string) (target, error) {
	size, sizeErr := redisengine.Natural("pool size", poolSize, defaultPoolSize, maxPoolSize)
	seconds, idleErr := redisengine.Natural("idle timeout (seconds)", idle, int(defaultIdle/time.Second), 1<<30)
	database, dbErr := redisengine.Natural("database", db, 0, 1<<30)
	t.poolSize, t.db = cmp.Or(size, defaultPoolSize), database
	t.idle = cmp.Or(time.Duration(seconds)*time.Second, defaultIdle)
	return t, errors.Join(addrErr, sizeErr, dbErr, idleErr)
}

// hostPort completes an address with what it leaves out.
func hostPort(s string) (string, error) {
	if strings.Contains(s, "@") {
		return "", errors.New("the save path's host contains an @: write redis://user:password@host:port")
	}
	host, port, err := net.SplitHostPort(s)
	if err != nil {
		host, port, err = net.SplitHostPort(s + ":" + defaultPort)
	}
	if err != nil {
		return "", errors.New("the save path's address is not host:port") // not quoted: it may be a password
	}
	return net.JoinHostPort(cmp.Or(host, "localhost"), cmp.Or(port, defaultPort)), nil
}

// options reads the parameters that are Options.
func options(query url.Values) (Options, error) {
	o, err := redisengine.ParseOptions(query)
	return Options(o), err
}

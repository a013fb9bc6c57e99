package redis

import (
	"cmp"
	"errors"
	"fmt"
	"net"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"
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
	tls            bool
	user, password string
	db             int
	poolSize       int
	idle           time.Duration
	prefix         string
}

// String returns the target without the user and the password.
func (t target) String() string {
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
	for _, scheme := range []string{"redis:", "rediss:", "valkey:", "valkeys:", "unix:", "redis+unix:"} {
		if strings.HasPrefix(savePath, scheme) {
			return parseURL(savePath)
		}
	}
	if scheme, _, ok := strings.Cut(savePath, "://"); ok {
		return target{}, fmt.Errorf("the save path's scheme %q is not one of redis, rediss, unix, redis+unix", scheme)
	}
	return parseList(savePath)
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
	t := target{network: "tcp", tls: u.Scheme == "rediss" || u.Scheme == "valkeys", prefix: query.Get("prefix")}
	if password, ok := u.User.Password(); ok {
		t.user, t.password = u.User.Username(), password
	} else {
		t.password = u.User.Username() // as redis-cli has it
	}
	db := strings.TrimPrefix(u.Path, "/")
	known := []string{"prefix", "poolsize", "idletimeout"}
	var addrErr error
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
	if err := unknown(query, known); err != nil {
		return target{}, err
	}
	return t.finish(addrErr, query.Get("poolsize"), db, query.Get("idletimeout"))
}

// finish fills in the numbers.
func (t target) finish(addrErr error, poolSize, db, idle string) (target, error) {
	size, sizeErr := number("pool size", poolSize, defaultPoolSize, maxPoolSize)
	seconds, idleErr := number("idle timeout (seconds)", idle, int(defaultIdle/time.Second), 1<<30)
	database, dbErr := number("database", db, 0, 1<<30)
	t.poolSize, t.db = cmp.Or(size, defaultPoolSize), database
	t.idle = cmp.Or(time.Duration(seconds)*time.Second, defaultIdle)
	return t, errors.Join(addrErr, sizeErr, dbErr, idleErr)
}

// number reads a field of the save path; empty is the default.
func number(field, s string, otherwise, limit int) (int, error) {
	s = strings.TrimSpace(s)
	if s == "" {
		return otherwise, nil
	}
	n, err := strconv.Atoi(s)
	if err != nil || n < 0 || n > limit {
		// Not quoted: a field out of place may be the password.
		return 0, fmt.Errorf("the save path's %s is not a number from 0 to %d", field, limit)
	}
	return n, nil
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
		return "", fmt.Errorf("the save path's address %q is not host:port", s)
	}
	return net.JoinHostPort(cmp.Or(host, "localhost"), cmp.Or(port, defaultPort)), nil
}

func unknown(query url.Values, known []string) error {
	for key := range query {
		if !slices.Contains(known, key) {
			return fmt.Errorf("the save path's ?query has %q: it may have %s", key, strings.Join(known, ", "))
		}
	}
	return nil
}

package place

import (
	"cmp"
	"net"
	"net/url"
	"slices"
	"strconv"
	"strings"

	driver "github.com/go-sql-driver/mysql"

	"github.com/chisession/session/backend/file"
	"github.com/chisession/session/backend/goredis"
	"github.com/chisession/session/backend/memory"
	"github.com/chisession/session/backend/mysql"
	"github.com/chisession/session/backend/postgres"
	"github.com/chisession/session/backend/redis"
	"github.com/chisession/session/backend/sqlite"
)

// String returns provider and place, without user and password.
func (t Target) String() string {
	switch t.Provider {
	case "", memory.Name:
		return memory.Name
	case file.Name:
		return "file at " + cmp.Or(t.SavePath, file.DefaultDir)
	case mysql.Name:
		cfg, err := driver.ParseDSN(t.SavePath)
		if err != nil {
			return mysql.Name
		}
		return "mysql at " + strings.Join(t.mysqlHosts(), ",") + ", table " + cmp.Or(cfg.DBName, "?") + "." + cmp.Or(t.Table, mysql.DefaultTable)
	case redis.Name, goredis.Name, rueidis:
		host, db := t.redisPlace()
		if _, err := strconv.Atoi(db); err != nil || host == "" {
			return t.Provider // what is out of place may be the password
		}
		return t.Provider + " at " + host + ", database " + db + ", keys " + t.Prefix() + "*"
	case postgres.Name:
		return describePostgres(t)
	case sqlite.Name:
		return "sqlite at " + cmp.Or(t.SQLiteFile(), "?")
	}
	return "an unknown provider" // not named: it may be a save path in the wrong place
}

// redisPlace returns address and database of a Redis save path.
func (t Target) redisPlace() (host, db string) {
	if u, ok := t.redisURL(); ok {
		if hostList(u.Scheme) {
			name := strings.Trim(u.Path, "/")
			if t.sentinels() && u.Host != "" {
				return "Sentinels " + u.Host + ", primary " + name, cmp.Or(u.Query().Get("db"), "0")
			}
			return u.Host, "0"
		}
		if u.Host == "" {
			return u.Path, cmp.Or(u.Query().Get("db"), "0")
		}
		return u.Host, cmp.Or(strings.Trim(u.Path, "/"), "0")
	}
	fields := append(strings.Split(t.SavePath, ","), "", "", "", "")
	if strings.Contains(fields[0], "@") {
		return "", ""
	}
	return strings.TrimSpace(fields[0]), cmp.Or(strings.TrimSpace(fields[3]), "0")
}

// hostList reports whether a save path with this scheme has several hosts.
func hostList(scheme string) bool {
	return strings.HasSuffix(scheme, "+cluster") || strings.HasSuffix(scheme, "+sentinel")
}

// sentinels reports whether the save path names Sentinels.
func (t Target) sentinels() bool {
	scheme, _, _ := strings.Cut(t.SavePath, "://")
	return strings.HasSuffix(scheme, "+sentinel")
}

// manyHosts parses a URL that has a list of hosts, which net/url does not. Unless
// each of them is host or host:port, what is out of place may be a password, and
// the result has none.
func manyHosts(savePath string) (*url.URL, bool) {
	scheme, rest, _ := strings.Cut(savePath, "://")
	end := strings.IndexAny(rest, "/?")
	if end < 0 {
		end = len(rest)
	}
	info, hosts := "", rest[:end]
	if at := strings.LastIndex(hosts, "@"); at >= 0 {
		info, hosts = hosts[:at+1], hosts[at+1:]
	}
	u, err := url.Parse(scheme + "://" + info + "host" + rest[end:])
	if err != nil {
		return nil, false
	}
	u.Host = hosts
	for host := range strings.SplitSeq(hosts, ",") {
		if inner, rest, ok := strings.Cut(strings.TrimPrefix(host, "["), "]"); ok && net.ParseIP(inner) != nil {
			host = "ip" + rest
		}
		_, port, found := strings.Cut(host, ":")
		if _, err := strconv.Atoi(port); host == "" || found && err != nil || strings.Contains(rest[end:], "@") {
			u.Host = ""
		}
	}
	return u, true
}

func (t Target) redisURL() (*url.URL, bool) {
	if scheme, _, ok := strings.Cut(t.SavePath, "://"); ok && hostList(scheme) {
		return manyHosts(t.SavePath)
	}
	if strings.Contains(t.SavePath, "://") || strings.HasPrefix(t.SavePath, "unix:") {
		u, err := url.Parse(t.SavePath)
		return u, err == nil
	}
	return nil, false
}

// Prefix returns what the names of a Redis target's keys begin with.
func (t Target) Prefix() string {
	if u, ok := t.redisURL(); ok {
		return cmp.Or(u.Query().Get("prefix"), redis.DefaultPrefix)
	}
	return redis.DefaultPrefix
}

// Replicas returns how many replicas a Redis target has logins and logouts wait
// for.
func (t Target) Replicas() int {
	u, ok := t.redisURL()
	if !ok {
		return 0
	}
	n, _ := strconv.Atoi(u.Query().Get("replicas")) // it was read before, when the store was opened
	return n
}

// AsksTLS reports whether the save path of a Redis asks for TLS, so that there is
// no connection without. What those of the SQL databases ask for can be had
// without, as sslmode=prefer and tls=preferred are: there the connection tells.
func (t Target) AsksTLS() bool {
	return strings.HasPrefix(t.SavePath, "rediss:") || strings.HasPrefix(t.SavePath, "rediss+") || strings.HasPrefix(t.SavePath, "valkeys:")
}

// Local reports whether the connection does not leave the machine.
func (t Target) Local() bool {
	switch t.Provider {
	case redis.Name, goredis.Name, rueidis:
		host, _ := t.redisPlace()
		if u, ok := t.redisURL(); ok && hostList(u.Scheme) {
			host, _, _ = strings.Cut(u.Host, ",") // the first stands for all
		}
		return Loopback(host)
	case mysql.Name:
		hosts := t.mysqlHosts()
		return len(hosts) > 0 && !slices.ContainsFunc(hosts, func(addr string) bool { return !Loopback(addr) })
	case postgres.Name:
		cfg, _ := t.postgresConfig()
		return cfg != nil && Loopback(cfg.Host)
	}
	return false
}

// mysqlHosts returns the addresses in a DSN.
func (t Target) mysqlHosts() (addrs []string) {
	hosts, _ := mysql.Hosts(t.SavePath) // an error: there are none
	for _, host := range hosts {
		if cfg, err := driver.ParseDSN(host); err == nil {
			addrs = append(addrs, cfg.Addr)
		}
	}
	return addrs
}

// Redact returns text without what in it is secret of t.
func (t Target) Redact(text string) string {
	for _, secret := range t.secrets() {
		text = strings.ReplaceAll(text, secret, "***")
	}
	return text
}

// HasPassword reports whether the save path holds a password.
func (t Target) HasPassword() bool {
	passwords, _ := t.passwords()
	return len(passwords) > 0
}

// secrets returns what must not be shown: passwords, also as they are in a URL,
// and the whole save path, if it has one or may have it somewhere out of place.
func (t Target) secrets() (all []string) {
	passwords, understood := t.passwords()
	if t.SavePath != "" && (len(passwords) > 0 || !understood) {
		all = append(all, t.SavePath)
	}
	for _, password := range passwords {
		all = append(all, password)
		if escaped := url.QueryEscape(password); escaped != password {
			all = append(all, escaped, url.PathEscape(password))
		}
	}
	return all
}

// passwords returns those in the save path, or what looks like one, and whether
// the save path could be read, so that there can be no other.
func (t Target) passwords() (all []string, understood bool) {
	switch t.Provider {
	case mysql.Name:
		cfg, err := driver.ParseDSN(t.SavePath)
		if err != nil {
			// Up to the last @ is where it must be.
			_, password, _ := strings.Cut(t.SavePath[:max(0, strings.LastIndex(t.SavePath, "@"))], ":")
			return notEmpty(password), false
		}
		return notEmpty(cfg.Passwd), true
	case redis.Name, goredis.Name, rueidis:
		return t.redisPasswords()
	case postgres.Name:
		cfg, _ := t.postgresConfig()
		if cfg == nil {
			// Up to the last @ is where it must be.
			_, account, _ := strings.Cut(t.SavePath, "://")
			_, password, _ := strings.Cut(account[:max(0, strings.LastIndex(account, "@"))], ":")
			return notEmpty(password), false
		}
		return notEmpty(cfg.Password), true
	}
	return nil, true
}

func (t Target) redisPasswords() (all []string, understood bool) {
	host, db := t.redisPlace()
	_, err := strconv.Atoi(db)
	understood = err == nil && host != "" && !strings.Contains(t.SavePath, "@")
	if u, ok := t.redisURL(); ok {
		password, _ := u.User.Password()
		query := u.Query()
		return notEmpty(cmp.Or(password, u.User.Username()), query.Get("password"), query.Get("sentinelpassword")), understood
	}
	fields := append(strings.Split(t.SavePath, ","), "", "")
	if _, err := strconv.Atoi(cmp.Or(strings.TrimSpace(fields[1]), "0")); err != nil {
		understood = false // the pool's size; it may be a password in the wrong place
	}
	return notEmpty(fields[2]), understood
}

// notEmpty returns those texts that are not empty.
func notEmpty(texts ...string) []string {
	return slices.DeleteFunc(texts, func(text string) bool { return text == "" })
}

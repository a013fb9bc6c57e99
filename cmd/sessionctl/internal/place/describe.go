package place

import (
	"cmp"
	"net/url"
	"strconv"
	"strings"

	driver "github.com/go-sql-driver/mysql"

	"github.com/chisession/session/backend/file"
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
		return "mysql at " + cfg.Addr + ", table " + cmp.Or(cfg.DBName, "?") + "." + cmp.Or(t.Table, mysql.DefaultTable)
	case redis.Name:
		host, db := t.redisPlace()
		if _, err := strconv.Atoi(db); err != nil || host == "" {
			return redis.Name // what is out of place may be the password
		}
		return "redis at " + host + ", database " + db + ", keys " + t.Prefix() + "*"
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

func (t Target) redisURL() (*url.URL, bool) {
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

// Encrypted reports whether the connection has TLS, and whether it needs none
// because it does not leave the machine.
func (t Target) Encrypted() (tls, local bool) {
	host := ""
	switch t.Provider {
	case redis.Name:
		host, _ = t.redisPlace()
		tls = strings.HasPrefix(t.SavePath, "rediss:") || strings.HasPrefix(t.SavePath, "valkeys:")
	case mysql.Name:
		cfg, err := driver.ParseDSN(t.SavePath)
		if err != nil {
			return false, false
		}
		host, tls = cfg.Addr, cfg.TLSConfig != "" && cfg.TLSConfig != "false"
	case postgres.Name:
		cfg, _ := t.postgresConfig()
		if cfg == nil {
			return false, false
		}
		host, tls = cfg.Host, cfg.TLSConfig != nil
	}
	return tls, Loopback(host)
}

// Redact returns text without what in it is secret of t.
func (t Target) Redact(text string) string {
	for _, secret := range t.secrets() {
		text = strings.ReplaceAll(text, secret, "***")
	}
	return text
}

// HasPassword reports whether the save path holds a password.
func (t Target) HasPassword() bool { return len(t.secrets()) > 1 }

// secrets returns the save path, if there may be a password in it, and what
// looks like one.
func (t Target) secrets() []string {
	var password string
	switch t.Provider {
	case mysql.Name:
		cfg, err := driver.ParseDSN(t.SavePath)
		if err != nil {
			// Up to the last @ is where it must be.
			_, password, _ = strings.Cut(t.SavePath[:max(0, strings.LastIndex(t.SavePath, "@"))], ":")
			break
		}
		password = cfg.Passwd
	case redis.Name:
		if u, ok := t.redisURL(); ok {
			password, _ = u.User.Password()
			password = cmp.Or(password, u.User.Username(), u.Query().Get("password"))
		} else if fields := strings.Split(t.SavePath, ","); len(fields) > 2 {
			password = fields[2]
		}
	case postgres.Name:
		cfg, _ := t.postgresConfig()
		if cfg == nil {
			// Up to the last @ is where it must be.
			_, account, _ := strings.Cut(t.SavePath, "://")
			_, password, _ = strings.Cut(account[:max(0, strings.LastIndex(account, "@"))], ":")
			break
		}
		password = cfg.Password
	default:
		return nil
	}
	var all []string
	if t.SavePath != "" {
		all = append(all, t.SavePath)
	}
	if password != "" {
		all = append(all, password)
		if escaped := url.QueryEscape(password); escaped != password {
			all = append(all, escaped, url.PathEscape(password))
		}
	}
	return all
}

package conf

import (
	"encoding/json"
	"net"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/chisession/session"
	"github.com/chisession/session/backend"
)

// What Beego's providers without a counterpart here are, and what to use.
var elsewhere = map[string]refusal{
	"cookie":         "is refused: values stay on the server here, so that a logout ends them; use memory, file, mysql or redis",
	"couchbase":      "is refused: there is no backend for Couchbase; use mysql or redis",
	"ledis":          "is refused: there is no backend for LedisDB; use file or redis",
	"memcache":       "is refused: memcached drops sessions when it is full, or restarted; use redis",
	"mongodb":        "is refused: there is no backend for MongoDB; use mysql or redis",
	"redis_cluster":  "is refused: that is Beego's client for Redis Cluster; use redis, or set Config.Store to a store for your cluster",
	"redis_sentinel": "is refused: that is Beego's client for Redis Sentinel; use redis with the address of the master, or set Config.Store",
	"ssdb":           "is refused: there is no backend for SSDB; use redis",
}

// provider sets the backend's name, which Beego's own page spells in several
// ways: one that is registered as it stands, or else in lower case.
func provider(c *session.Config, value string) error {
	if slices.Contains(backend.Names(), value) {
		c.Provider = value
		return nil
	}
	name := strings.ToLower(value)
	for _, known := range backend.Names() {
		if strings.EqualFold(known, value) {
			name = known
		}
	}
	if why, ok := elsewhere[name]; ok {
		return why
	}
	if name == "postgresql" {
		name = "postgres" // as Beego calls it
	}
	c.Provider = name
	return nil
}

const (
	errRedisJSON refusal = "is JSON that cannot be understood: Beego's has save_path, poolsize, password, db_num, idle_timeout, idle_check_frequency and max_retries; " +
		"or write host:port,poolsize,password,dbnum,idletimeout"
	errRedisNoPath refusal = `is JSON without "save_path": give the server's host:port there`
	errJSONPath    refusal = "is JSON, which only Beego's redis provider takes: give a directory for file, a DSN for mysql"
)

// beegoRedis is what Beego v2 has in sessionproviderconfig.
type beegoRedis struct {
	SavePath    string `json:"save_path"`
	PoolSize    int    `json:"poolsize"`
	Password    string `json:"password"`
	DB          int    `json:"db_num"`
	IdleTimeout string `json:"idle_timeout"`
	IdleCheck   string `json:"idle_check_frequency"` // there is nothing to check here
	MaxRetries  int    `json:"max_retries"`          // nor to set
}

// fromBeego returns a save path of Beego's in the backend's own terms. Its
// errors never show the path, which has a password in it.
func fromBeego(provider, path string) (string, error) {
	isJSON := strings.HasPrefix(path, "{")
	switch {
	case isJSON && (provider == "file" || provider == "mysql"):
		return "", errJSONPath
	case provider != "redis":
		return path, nil
	case isJSON:
		return redisURL(path)
	}
	// Beego's list goes on with the idle check frequency and the retries.
	fields := strings.Split(path, ",")
	if len(fields) > 5 && len(fields) <= 7 && !slices.ContainsFunc(fields[5:], notNumber) {
		return strings.Join(fields[:5], ","), nil
	}
	return path, nil
}

func notNumber(s string) bool {
	_, err := strconv.ParseUint(strings.TrimSpace(s), 10, 31)
	return err != nil && strings.TrimSpace(s) != ""
}

func redisURL(text string) (string, error) {
	var b beegoRedis
	d := json.NewDecoder(strings.NewReader(text))
	d.DisallowUnknownFields()
	if err := d.Decode(&b); err != nil || d.More() || b.PoolSize < 0 || b.DB < 0 {
		return "", errRedisJSON // err may show a part of it
	}
	if b.SavePath == "" {
		return "", errRedisNoPath
	}
	host, port, err := net.SplitHostPort(b.SavePath)
	if err != nil || strings.ContainsAny(b.SavePath, "/@?#") {
		return "", refusal(`is JSON whose "save_path" is not host:port`)
	}
	u := url.URL{Scheme: "redis", Host: net.JoinHostPort(host, port), Path: "/" + strconv.Itoa(b.DB)}
	if b.Password != "" {
		u.User = url.UserPassword("", b.Password)
	}
	query := url.Values{}
	if b.PoolSize > 0 {
		query.Set("poolsize", strconv.Itoa(b.PoolSize))
	}
	if b.IdleTimeout != "" {
		idle, err := time.ParseDuration(b.IdleTimeout)
		if err != nil || idle < 0 {
			return "", refusal(`is JSON whose "idle_timeout" is not a duration such as 3s`)
		}
		if seconds := int64((idle + time.Second - 1) / time.Second); seconds > 0 {
			query.Set("idletimeout", strconv.FormatInt(seconds, 10))
		}
	}
	u.RawQuery = query.Encode()
	return u.String(), nil
}

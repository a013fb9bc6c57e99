package redisengine

import (
	"cmp"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"net/url"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"
)

const (
	defaultPort     = "6379"
	sentinelPort    = "26379"
	defaultPoolSize = 100
	maxPoolSize     = 1 << 16
)

// A Kind is what stands at the addresses of a [Place].
type Kind int

// The kinds.
const (
	Server   Kind = iota // one server
	Cluster              // some nodes of a Redis Cluster
	Sentinel             // Sentinels, which know the primary
)

// A Place is what a save path of one of these forms says:
//
//	redis://[user:password@]host[:port][/db]                          rediss:// with TLS
//	redis+cluster://[user:password@]host1[:port],host2,…              rediss+cluster:// with TLS
//	redis+sentinel://[user:password@]host1[:port],host2,…/name[?db=]  rediss+sentinel:// with TLS, to the Sentinels, too
type Place struct {
	Kind           Kind
	Addrs          []string // host:port
	Name           string   // of the primary, for Sentinels
	User, Password string

	// What the Sentinels want, if they want anything.
	SentinelUser, SentinelPassword string

	DB       int
	PoolSize int // connections to each server
	TLS      *tls.Config
	Options  Options
}

// Known are the parameters that a ?query of each kind may have.
var known = map[Kind][]string{
	Server:   {"db", "poolsize", "cafile"},
	Cluster:  {"poolsize", "cafile"},
	Sentinel: {"db", "poolsize", "cafile", "sentineluser", "sentinelpassword"},
}

// OptionNames are the parameters that [ParseOptions] reads.
var OptionNames = []string{"prefix", "replicas", "replicawait", "everywrite"}

// String returns the addresses, without what is secret.
func (p Place) String() string {
	addrs := strings.Join(p.Addrs, ", ")
	switch p.Kind {
	case Cluster:
		return "the cluster at " + addrs
	case Sentinel:
		return fmt.Sprintf("%q of the Sentinels at %s, database %d", p.Name, addrs, p.DB)
	}
	return fmt.Sprintf("%s, database %d", addrs, p.DB)
}

// ParsePlace reads a save path. Its errors quote nothing that may be a password,
// whatever is out of place: no host, no user, no value of a parameter.
func ParsePlace(savePath string) (Place, error) {
	scheme, rest, ok := strings.Cut(savePath, "://")
	secure, kind := strings.HasPrefix(scheme, "rediss"), Server
	switch strings.Replace(scheme, "rediss", "redis", 1) {
	case "redis":
	case "redis+cluster":
		kind = Cluster
	case "redis+sentinel":
		kind = Sentinel
	default:
		ok = false
	}
	if !ok {
		return Place{}, errors.New("the save path is no URL with the scheme redis, redis+cluster or redis+sentinel (rediss… for TLS)")
	}
	// net/url takes no list of hosts, so they are taken out first.
	rest, rawQuery, _ := strings.Cut(rest, "?")
	authority, path, _ := strings.Cut(rest, "/")
	info, hosts := "", authority
	if at := strings.LastIndex(authority, "@"); at >= 0 {
		info, hosts = authority[:at+1], authority[at+1:]
	}
	u, err := url.Parse("redis://" + info + "host")
	if err != nil || strings.Contains(path, "@") {
		return Place{}, errors.New("the save path's user and password are not valid: percent-encode what is special in them")
	}
	query, err := url.ParseQuery(rawQuery)
	if err != nil {
		return Place{}, errors.New("the save path's ?query is not valid: percent-encode what is special in it")
	}
	p := Place{Kind: kind, User: u.User.Username()}
	if password, has := u.User.Password(); has {
		p.Password = password
	} else {
		p.User, p.Password = "", p.User // as redis-cli has it
	}
	return p.fill(hosts, path, secure, query)
}

// fill fills in what stands behind the user and the password.
func (p Place) fill(hosts, path string, secure bool, query url.Values) (Place, error) {
	var hostErr, pathErr, sizeErr, dbErr error
	port, db := defaultPort, query.Get("db")
	switch p.Kind {
	case Sentinel:
		port = sentinelPort
		if p.Name, pathErr = url.PathUnescape(path); p.Name == "" || pathErr != nil {
			pathErr = errors.New("the save path names no primary: write redis+sentinel://host1,host2,host3/name, with the name that the Sentinels monitor it by")
		}
	case Server:
		if db != "" && path != "" && db != path {
			pathErr = errors.New("the save path names two databases: write /number or ?db=number")
		}
		db = cmp.Or(db, path)
	case Cluster:
		if path != "" && path != "0" {
			pathErr = errors.New("a Redis Cluster has database 0 only: leave out what stands behind the hosts")
		}
	}
	p.Addrs, hostErr = addresses(hosts, port)
	if p.Kind == Server && len(p.Addrs) > 1 {
		hostErr = errors.New("the save path names several hosts: write redis+cluster:// or redis+sentinel://")
	}
	if p.Kind == Sentinel && len(slices.Compact(slices.Sorted(slices.Values(p.Addrs)))) < len(p.Addrs) {
		hostErr = errors.New("the save path names a Sentinel twice, which would give it two votes")
	}
	p.SentinelUser, p.SentinelPassword = query.Get("sentineluser"), query.Get("sentinelpassword")
	p.DB, dbErr = Natural("database", db, 0, 1<<30)
	p.PoolSize, sizeErr = Natural("pool size", query.Get("poolsize"), defaultPoolSize, maxPoolSize)
	p.PoolSize = cmp.Or(p.PoolSize, defaultPoolSize)
	var tlsErr, optErr error
	p.TLS, tlsErr = TLSConfig(secure, query.Get("cafile"))
	p.Options, optErr = ParseOptions(query)
	return p, errors.Join(hostErr, pathErr, dbErr, sizeErr, tlsErr, optErr, Unknown(query, slices.Concat(OptionNames, known[p.Kind])))
}

// addresses reads a list of hosts.
func addresses(hosts, port string) ([]string, error) {
	var addrs []string
	for i, host := range strings.Split(hosts, ",") {
		addr, err := address(strings.TrimSpace(host), port)
		if err != nil {
			return nil, fmt.Errorf("the save path's host number %d is not host or host:port", i+1)
		}
		addrs = append(addrs, addr)
	}
	return addrs, nil
}

var errAddress = errors.New("not host:port")

// address completes a host with its port.
func address(s, port string) (string, error) {
	host, given, err := net.SplitHostPort(s)
	if err != nil {
		host, given, err = net.SplitHostPort(s + ":" + port)
	}
	if err != nil || host == "" || strings.ContainsAny(host, "@/ ") {
		return "", errAddress
	}
	n, err := strconv.Atoi(cmp.Or(given, port))
	if err != nil || n < 1 || n > 65535 {
		return "", errAddress
	}
	return net.JoinHostPort(host, strconv.Itoa(n)), nil
}

// Natural reads a number from 0 to most, of a part of a save path; nothing is the
// default. The error has not what was read: a part out of place may be the password.
func Natural(what, s string, otherwise, most int) (int, error) {
	if s = strings.TrimSpace(s); s == "" {
		return otherwise, nil
	}
	n, err := strconv.Atoi(s)
	if err != nil || n < 0 || n > most {
		return 0, fmt.Errorf("the save path's %s is not a number from 0 to %d", what, most)
	}
	return n, nil
}

// TLSConfig returns the configuration for a connection with TLS, or nil for one
// without. caFile names the certificates to trust in place of the system's.
func TLSConfig(secure bool, caFile string) (*tls.Config, error) {
	switch {
	case !secure && caFile == "":
		return nil, nil
	case !secure:
		return nil, errors.New("the save path has ?cafile= and no TLS: write rediss")
	}
	cfg := &tls.Config{MinVersion: tls.VersionTLS12}
	if caFile == "" {
		return cfg, nil
	}
	pem, err := os.ReadFile(caFile)
	if err != nil {
		return nil, fmt.Errorf("the save path's ?cafile=: %w", err)
	}
	cfg.RootCAs = x509.NewCertPool()
	if !cfg.RootCAs.AppendCertsFromPEM(pem) {
		return nil, errors.New("the file that ?cafile= names has no certificate in PEM")
	}
	return cfg, nil
}

// Secure adds TLS to a connection to addr, whose host the certificate must be for.
// With a nil config it returns the connection as it is. On an error the connection
// is the caller's to close.
func Secure(ctx context.Context, raw net.Conn, addr string, config *tls.Config) (net.Conn, error) {
	if config == nil {
		return raw, nil
	}
	config = config.Clone()
	config.ServerName, _, _ = net.SplitHostPort(addr)
	secure := tls.Client(raw, config)
	return secure, secure.HandshakeContext(ctx)
}

// ParseOptions reads what a save path's query says of Options.
func ParseOptions(query url.Values) (Options, error) {
	replicas, err := Natural("?replicas=", query.Get("replicas"), 0, 1000)
	o := Options{Prefix: query.Get("prefix"), Replicas: replicas}
	if s := query.Get("replicawait"); s != "" {
		var bad error
		if o.ReplicaWait, bad = time.ParseDuration(s); bad != nil {
			err = errors.Join(err, errors.New("the save path's ?replicawait= is no duration, such as 500ms"))
		}
	}
	if s := query.Get("everywrite"); s != "" {
		var bad error
		if o.EveryWrite, bad = strconv.ParseBool(s); bad != nil {
			err = errors.Join(err, errors.New("the save path's ?everywrite= is not true or false"))
		}
	}
	return o, err
}

// Unknown returns an error for a parameter that is not known.
func Unknown(query url.Values, known []string) error {
	for key := range query {
		if !slices.Contains(known, key) {
			return fmt.Errorf("the save path's ?query has a parameter that is none of %s", strings.Join(known, ", "))
		}
	}
	return nil
}

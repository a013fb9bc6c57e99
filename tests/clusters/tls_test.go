package clusters

import (
	"fmt"
	"os"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/chisession/session/backend"
	"github.com/chisession/session/backend/goredis"
	"github.com/chisession/session/backend/redis"
	"github.com/chisession/session/backend/rueidis"
	"github.com/chisession/session/internal/testserver"
)

// The accounts of TestTLS: each server's default one, and the one that sessions are
// kept with.
const (
	defaultPassword = "s3cret-default"
	account         = "sam"
	password        = "s3cret-pass/word"
)

// A secured is a deployment whose servers take TLS only, and want a password.
type secured struct {
	name     string
	savePath string // with TLS, the certificate to trust, and the default account
	servers  []*testserver.Redis
	backends []string
	query    string
}

// startSecured starts one of each kind.
func startSecured(t *testing.T, certificate *testserver.Certificate) []secured {
	server, err := testserver.StartRedis(testserver.RedisOptions{Password: defaultPassword, TLS: certificate})
	must(t, "StartRedis", err)
	t.Cleanup(func() { must(t, "Stop", server.Stop()) })
	opts := testserver.RedisGroupOptions{Password: defaultPassword, TLS: certificate}
	group, err := testserver.StartRedisSentinels(opts)
	must(t, "StartRedisSentinels", err)
	t.Cleanup(func() { must(t, "Stop", group.Stop()) })
	several, err := testserver.StartRedisCluster(opts)
	must(t, "StartRedisCluster", err)
	t.Cleanup(func() { must(t, "Stop", several.Stop()) })
	for _, s := range group.Sentinels {
		_, err := s.Do("ACL", "SETUSER", account, "on", ">"+password, "-@all", "+sentinel|get-master-addr-by-name")
		must(t, "ACL SETUSER", err)
	}
	return []secured{
		{"one server", server.URL(), []*testserver.Redis{server}, onSentinels, ""},
		{"Sentinels", group.SavePath(""), group.Nodes, onSentinels, "&replicas=1&replicawait=1s"},
		{"Redis Cluster", several.SavePath(""), several.Nodes, onCluster, "&replicas=1&replicawait=1s"},
	}
}

// as returns the save path for an account, of the Sentinels, too.
func (s secured) as(user, password string) string {
	escaped := strings.ReplaceAll(password, "/", "%2F")
	savePath := strings.Replace(s.savePath, ":"+defaultPassword+"@", user+":"+escaped+"@", 1)
	return strings.Replace(savePath, "sentinelpassword="+defaultPassword, "sentineluser="+user+"&sentinelpassword="+escaped, 1) + s.query
}

// rights returns what the documentation says that an account needs.
func rights(t *testing.T) []any {
	all := []any{"SETUSER", account, "reset", "on", ">" + password, "resetkeys", "~session:*", "resetchannels", "-@all"}
	for _, page := range []string{redis.Name, goredis.Name, rueidis.Name} {
		text, err := os.ReadFile("../../docs/backends/" + page + ".md")
		must(t, "read the page", err)
		for _, right := range regexp.MustCompile("[\\s`]\\+[a-z|]+").FindAllString(string(text), -1) {
			all = append(all, right[1:])
		}
	}
	return all
}

// TestTLS: sessions are kept with TLS and an account that has no more rights than
// the documentation names, on one server, through Sentinels and on a cluster. A
// certificate that is not to be trusted, or is another host's, is refused, and
// whatever goes wrong, no error has a password.
func TestTLS(t *testing.T) {
	sideBySide(t)
	certificate, err := testserver.NewCertificate(t.TempDir(), "127.0.0.1")
	must(t, "NewCertificate", err)
	other, err := testserver.NewCertificate(t.TempDir(), "127.0.0.1")
	must(t, "NewCertificate", err)
	for _, s := range startSecured(t, certificate) {
		for _, r := range s.servers {
			_, err := r.Do("ACL", rights(t)...)
			must(t, "ACL SETUSER", err)
		}
		good := s.as(account, password)
		for _, name := range s.backends {
			t.Run(s.name+"/"+name, func(t *testing.T) {
				t.Parallel() // go-redis dials again and again, and waits
				logInAndOut(t, open(t, name, good), "ada by "+name)
				for savePath, want := range map[string]string{
					s.as(account, "s3cret-other"):                                            "WRONGPASS",
					s.as("nobody", password):                                                 "WRONGPASS",
					strings.Replace(good, "rediss", "redis", 1):                              "no TLS",
					cafile.ReplaceAllString(good, "cafile="+other.Cert):                      "certificate",
					cafile.ReplaceAllString(good, ""):                                        "certificate",
					cafile.ReplaceAllString(good, "cafile=/nowhere"):                         "cafile",
					strings.Replace(cafile.ReplaceAllString(good, ""), "rediss", "redis", 1): "",
				} {
					refuses(t, name, savePath, want)
				}
			})
		}
	}
}

var cafile = regexp.MustCompile(`cafile=[^&]*`)

// TestTLSOtherHost: a certificate that is to be trusted, and is for another host.
func TestTLSOtherHost(t *testing.T) {
	certificate, err := testserver.NewCertificate(t.TempDir(), "shop.example")
	must(t, "NewCertificate", err)
	server, err := testserver.StartRedis(testserver.RedisOptions{Password: defaultPassword, TLS: certificate})
	must(t, "StartRedis", err)
	t.Cleanup(func() { must(t, "Stop", server.Stop()) })
	for _, name := range onSentinels {
		refuses(t, name, server.URL(), "certificate")
	}
	for _, name := range onCluster {
		refuses(t, name, strings.Replace(server.URL(), "rediss", "rediss+cluster", 1), "certificate")
	}
}

// refuses tests that a save path is refused, with a word of the reason and without
// a password.
func refuses(t *testing.T, name, savePath, want string) {
	t.Helper()
	s, err := backend.Open(name, savePath)
	switch {
	case err == nil:
		t.Errorf("%s: Open(%q): no error", name, savePath)
		must(t, "Close", s.(interface{ Close() error }).Close())
	case !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "s3cret"):
		t.Errorf("%s: Open(%q): %v; want an error with %q and no password", name, savePath, err, want)
	}
}

// logInAndOut does with sessions what a program does.
func logInAndOut(t *testing.T, s backend.Store, user string) {
	t.Helper()
	for i := range 20 { // on all nodes
		rec := backend.Record{ID: uuid.Must(uuid.NewV7()), User: fmt.Sprint(user, i), Expires: time.Now().Add(time.Hour), Data: []byte("x"), Confirm: true}
		must(t, "Create", s.Create(ctx, rec))
		rec.Version = 1
		must(t, "Update", s.Update(ctx, rec))
		list, err := s.(backend.UserIndex).ByUser(ctx, rec.User)
		if err != nil || len(list) != 1 {
			t.Errorf("ByUser: %d sessions, %v; want 1", len(list), err)
		}
		must(t, "Delete", s.Delete(ctx, rec.ID))
	}
}

//go:build servers

package redis

import (
	"strings"
	"testing"

	"github.com/chisession/session/backend"
	"github.com/chisession/session/backend/backendtest"
	"github.com/chisession/session/internal/testserver"
)

// sentinels starts a primary, two replicas and three Sentinels.
func sentinels(t *testing.T, password string) *testserver.RedisSentinels {
	t.Helper()
	g, err := testserver.StartRedisSentinels(testserver.RedisGroupOptions{Password: password})
	must(t, "StartRedisSentinels", err)
	t.Cleanup(func() { must(t, "Stop", g.Stop()) })
	return g
}

// TestBackendOnSentinels runs the suite on the primary that Sentinels name, each
// login and logout waiting for a replica.
func TestBackendOnSentinels(t *testing.T) {
	g := sentinels(t, "s3cret")
	backendtest.Run(t, func(t *testing.T) backend.Store {
		must(t, "FlushAll", g.Nodes[0].FlushAll())
		return openAt(t, g.SavePath("replicas=1"))
	})
}

// TestSentinelFailover: the primary dies, and the store goes on with the next one,
// which has every logout and login.
func TestSentinelFailover(t *testing.T) {
	g := sentinels(t, "")
	must(t, "FailOver", g.FailOver(testserver.Soon))
	s := openAt(t, g.SavePath("replicas=1"))
	kept, ended := create(t, s, "alice", "x"), create(t, s, "alice", "y")
	must(t, "Delete", s.Delete(ctx, ended.ID))
	must(t, "Kill9", g.Nodes[0].Kill9())
	var met backend.Record
	eventually(t, "the next primary", func() (err error) {
		met, err = s.Load(ctx, kept.ID)
		return err
	})
	if met.User != "alice" {
		t.Errorf("after the failover the session is %v", met)
	}
	recs, err := s.ByUser(ctx, "alice")
	if err != nil || len(recs) != 1 || recs[0].ID != kept.ID {
		t.Errorf("after the failover alice has %v, %v; want the session that was not ended", recs, err)
	}
	must(t, "Restart", g.Nodes[0].Restart())
	must(t, "Settle", g.Settle())
	if i := g.Primary(); i == 0 {
		t.Error("the Sentinels went back to the primary that died")
	}
	eventually(t, "a write to wait for a replica", func() error {
		rec, err := s.Load(ctx, kept.ID) // anew: of a write that failed nobody knows
		if err != nil {
			return err
		}
		rec.Confirm, rec.Data = true, []byte("z")
		return s.Update(ctx, rec)
	})
}

// TestSentinelRefuses: what is wrong is said at Open, without a password.
func TestSentinelRefuses(t *testing.T) {
	g := sentinels(t, "s3cret")
	for what, change := range map[string]func(string) string{
		"SENTINEL_NAME": func(s string) string { return strings.Replace(s, "/primary", "/another", 1) },
		"sentinel's password": func(s string) string {
			return strings.Replace(s, "sentinelpassword=s3cret", "sentinelpassword=s3cret2", 1)
		},
		"no sentinel password": func(s string) string { return strings.Replace(s, "?sentinelpassword=s3cret", "", 1) },
		"server's password":    func(s string) string { return strings.Replace(s, ":s3cret@", ":s3cret3@", 1) },
	} {
		s, err := Open(change(g.SavePath("")))
		if err == nil || strings.Contains(err.Error(), "s3cret") {
			t.Errorf("Open with a wrong %s: %v, %v; want an error without a password", what, s, err)
		}
	}
	if _, err := Open("redis+sentinel://127.0.0.1:1,127.0.0.1:2/primary"); err == nil || !strings.Contains(err.Error(), "majority of 2") {
		t.Errorf("Open with no Sentinel there: %v", err)
	}
}

package main

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/chisession/session"
	"github.com/chisession/session/backend"
)

// TestLsNewest: without a user, ls lists the newest sessions of all, nobody's
// included, on every store.
func TestLsNewest(t *testing.T) {
	eachSite(t, func(t *testing.T, s site) {
		var ids []string
		for _, user := range []string{"ada", "", "adam", "bob"} {
			var b browser
			b.visit(t, s.store, func(sess *session.Session) {
				sess.Set("secret", secretValue)
				if user != "" {
					sess.SetUser(user)
				}
				ids = append(ids, sess.ID())
			})
			after := time.Now().UnixMilli()
			for time.Now().UnixMilli() == after { // IDs of one millisecond have no order
			}
		}
		var list struct{ Sessions []session.Info }
		listed := func(args ...string) (users string) {
			t.Helper()
			if err := json.Unmarshal([]byte(must(t, s.args(append([]string{"ls", "--json"}, args...)...)...)), &list); err != nil {
				t.Fatal(err)
			}
			for _, i := range list.Sessions {
				users += "[" + i.User + "]"
			}
			return users
		}
		if got := listed(); got != "[bob][adam][][ada]" {
			t.Errorf("ls lists %s", got)
		}
		if got := listed("--limit", "2"); got != "[bob][adam]" || list.Sessions[0].ID != ids[3] {
			t.Errorf("ls --limit 2 lists %s", got)
		}
		if backend.AbilitiesOf(s.store).Lister == nil {
			if r := ctl(t, s.args("ls", "--prefix", "ad")...); r.code != exitFail || !strings.Contains(r.stderr, "use --user") {
				t.Errorf("ls --prefix: code %d, %q", r.code, r.stderr)
			}
			return
		}
		if got := listed("--prefix", "ad"); got != "[adam][ada]" {
			t.Errorf("ls --prefix ad lists %s", got)
		}
	})
}

// TestShow: all that the store has of a session, but for its values.
func TestShow(t *testing.T) {
	eachSite(t, func(t *testing.T, s site) {
		id, token := login(t, s.store, "ada")
		r := ctl(t, s.args("show", id)...)
		r.lacks(t, token)
		for _, want := range []string{id, "user ", "ada", "label ", "Firefox?[31m, Lisbon", "created ", "last seen ", "expires ", "readable in the store", "version    1"} {
			if !strings.Contains(r.stdout, want) {
				t.Errorf("show lacks %q:\n%s", want, r.stdout)
			}
		}
		if r := ctl(t, s.args("show", uuid.Must(uuid.NewV7()).String())...); r.code != exitFail || !strings.Contains(r.stderr, "there is no session") {
			t.Errorf("show of none: code %d, %q", r.code, r.stderr)
		}
		var b browser
		var sealed string
		b.visit(t, s.store, func(sess *session.Session) {
			sess.Set("secret", secretValue)
			sess.SetPersistent(true)
			sess.SetIdleTimeout(10 * time.Minute)
			sealed = sess.ID()
		})
		r = ctl(t, s.args("show", sealed, "--json")...)
		r.lacks(t, b.token)
		var d detail
		if err := json.Unmarshal([]byte(r.stdout), &d); err != nil || !d.Sealed || !d.Readable || d.IdleTimeout != 600 || d.Persistent == nil || !*d.Persistent || d.Bytes < 60 {
			t.Errorf("show --json: %+v, %v", d, err)
		}
		if lives := d.ExpiresAt.Sub(d.LastSeen); lives != 10*time.Minute {
			t.Errorf("it was last seen %v before it expires, want its own idle timeout", lives)
		}
	})
}

package admin_test

import (
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"net/http"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/chisession/session"
)

// TestPolicyFits: the page's policy allows the style and the one script that
// the page has, and no others.
func TestPolicyFits(t *testing.T) {
	s := open(t, "chi")
	req, err := http.NewRequest("GET", s.url+"/ops/sessions", nil)
	if err != nil {
		t.Fatal(err)
	}
	_, body, resp := s.login(t, "root", "").do(req)
	policy := resp.Header.Get("Content-Security-Policy")
	for _, tag := range []string{"style", "script"} {
		parts := regexp.MustCompile(`(?s)<`+tag+`[^>]*>(.*?)</`+tag+`>`).FindAllStringSubmatch(body, -1)
		if len(parts) != 1 {
			t.Fatalf("the page has %d times %s, want 1", len(parts), tag)
		}
		sum := sha256.Sum256([]byte(parts[0][1]))
		if want := fmt.Sprintf("; %s-src 'sha256-%s';", tag, base64.StdEncoding.EncodeToString(sum[:])); !strings.Contains(policy, want) {
			t.Errorf("Content-Security-Policy is %q, want%s", policy, want)
		}
	}
}

// TestTimes: each time can be read by machines, for the script that makes it
// local, and says without the script that it is UTC.
func TestTimes(t *testing.T) {
	s := open(t, "chi")
	_, body := s.login(t, "root", "laptop").get("/ops/sessions?user=root")
	times := regexp.MustCompile(`<time datetime="\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ">\d{4}-\d\d-\d\d \d\d:\d\d UTC</time>`).FindAllString(body, -1)
	if len(times) != 4 { // of the page; created, last seen, expires
		t.Errorf("the page has %d times, want 4:\n%s", len(times), body)
	}
	if !regexp.MustCompile(`From<span class="utc"> \(UTC\)</span></th>`).MatchString(body) || !strings.Contains(body, "<time data-clock datetime=") {
		t.Error("the numbers of the chart lack their times")
	}
}

// TestEndAsksFirst: a session is ended by the second of two clicks, without
// any script.
func TestEndAsksFirst(t *testing.T) {
	s := open(t, "chi")
	_, body := s.login(t, "root", "laptop").get("/ops/sessions?user=root")
	buttons := strings.Count(body, `<button name="do"`)
	asked := regexp.MustCompile(`(?s)<details[^>]*><summary>End….*?</summary>\s*<form[^>]*>.*?<button name="do"[^>]*>Yes, end .*?</details>`).FindAllString(body, -1)
	all := regexp.MustCompile(`(?s)<details class="ask">\s*<summary>End all .*?<button name="do" value="revoke-user"`).FindAllString(body, -1)
	if buttons != 2 || len(asked) != 1 || len(all) != 1 {
		t.Errorf("%d buttons end something, %d and %d of them after a question; want 2, 1 and 1", buttons, len(asked), len(all))
	}
}

// TestTiles: what an operator looks for first is at the top, what people call
// in about included.
func TestTiles(t *testing.T) {
	s := open(t, "chi")
	ada := s.login(t, "ada", "")
	if _, err := s.manager.RevokeUser(t.Context(), "ada"); err != nil {
		t.Fatal(err)
	}
	ada.get("/who")
	_, body := s.login(t, "root", "").get("/ops/sessions")
	tiles := regexp.MustCompile(`<dt>(\w+)</dt><dd>([^<]*)</dd>`).FindAllStringSubmatch(body, -1)
	var names []string
	for _, tile := range tiles {
		names = append(names, tile[1])
	}
	if got, want := strings.Join(names, " "), "Live Hits Logins Conflicts Dropped Superseded Rejected Unavailable Errors"; got != want {
		t.Errorf("the tiles are %s, want %s", got, want)
	}
	if rejected := s.manager.Stats().Rejected; rejected != 1 || !strings.Contains(body, "<dt>Rejected</dt><dd>1</dd>") {
		t.Errorf("the tile does not show %d rejected", rejected)
	}
}

// TestCounts: the table has every field of session.Stats once, in its order.
func TestCounts(t *testing.T) {
	s := open(t, "chi")
	_, body := s.login(t, "root", "").get("/ops/sessions")
	var got, want []string
	for _, row := range regexp.MustCompile(`<tr><th scope="row">(\w+)</th>`).FindAllStringSubmatch(body, -1) {
		got = append(got, row[1])
	}
	for _, field := range reflect.VisibleFields(reflect.TypeFor[session.Stats]()) {
		want = append(want, field.Name)
	}
	if !slices.Equal(got, want) {
		t.Errorf("the counts are %v, want %v", got, want)
	}
}

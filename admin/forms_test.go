package admin_test

import (
	"cmp"
	"errors"
	"fmt"
	"html"
	"net/http/httptest"
	"net/url"
	"regexp"
	"strings"
	"testing"
)

// forms returns the page's forms that send a POST, as a browser reads them:
// the address (relative to the page) and the fields, the button's included.
// What is not UTF-8 becomes U+FFFD, and a newline in a field two characters.
func forms(body string) (actions []string, fields []url.Values) {
	body = strings.ToValidUTF8(body, "\ufffd")
	newlines := strings.NewReplacer("\r\n", "\r\n", "\r", "\r\n", "\n", "\r\n")
	attribute := regexp.MustCompile(`(name|value|action)="([^"]*)"`)
	for _, form := range regexp.MustCompile(`(?s)<form method="post".*?</form>`).FindAllString(body, -1) {
		action, values := "", url.Values{}
		for _, tag := range regexp.MustCompile(`<(form|input|button)[^>]*>`).FindAllString(form, -1) {
			said := map[string]string{}
			for _, m := range attribute.FindAllStringSubmatch(tag, -1) {
				said[m[1]] = html.UnescapeString(m[2])
			}
			action = cmp.Or(said["action"], action)
			if said["name"] != "" {
				values.Add(said["name"], newlines.Replace(said["value"]))
			}
		}
		actions, fields = append(actions, action), append(fields, values)
	}
	return actions, fields
}

// TestAnyName: the sessions of a user are ended by the page's own forms,
// whatever bytes the name has.
func TestAnyName(t *testing.T) {
	s := open(t, "StripPrefix")
	root := s.login(t, "root", "laptop")
	for _, user := range []string{"ada", "a\xffda", "\xc3(", "a\r\nda", "a\nda", `"><b>&amp;`, "100 %41+%zz", "ʻŌ", "?user=root#", "a\x00b"} {
		s.login(t, user, "one")
		s.login(t, user, "two")
		path := "/ops/sessions?" + url.Values{"user": {user}}.Encode()
		for at := range 2 { // the first session's form; then, of two forms, that for all
			_, body := root.get(path)
			actions, fields := forms(body)
			if want := 3 - at; len(actions) != want { // one for each session, and one for all
				t.Fatalf("%q: %d forms, want %d", user, len(actions), want)
			}
			_, body, resp := root.post("/ops/sessions"+actions[at], "same-origin", fields[at])
			if !strings.Contains(body, "1 ended.") || resp.Request.URL.Query().Get("user") != user {
				t.Errorf("%q: form %v at %q led to %s, and did not end one", user, fields[at], actions[at], resp.Request.URL)
			}
		}
		if infos, err := s.manager.Sessions(t.Context(), user); len(infos) != 0 || err != nil {
			t.Errorf("%q still has %d sessions, %v", user, len(infos), err)
		}
	}
	if _, who := root.get("/who"); who != "root" {
		t.Errorf("the viewer is %q, want root", who)
	}
}

// TestManySessions: a page of bounded size shows the newest, says how many
// there are, and ends all.
func TestManySessions(t *testing.T) {
	s := open(t, "chi")
	root := s.login(t, "root", "laptop") // the oldest: not shown
	const more = 250
	for i := range more {
		one, err := s.manager.Start(httptest.NewRecorder(), httptest.NewRequest("GET", "/", nil))
		if err != nil {
			t.Fatal(err)
		}
		one.SetUser("root")
		one.SetLabel(fmt.Sprintf("robot-%03d.", i))
		if err := errors.Join(one.Save(), one.Release()); err != nil {
			t.Fatal(err)
		}
	}
	_, body := root.get("/ops/sessions?user=root")
	if n := strings.Count(body, "robot-"); n != 200 {
		t.Errorf("the page shows %d sessions, want 200", n)
	}
	for _, want := range []string{"The newest 200 of 251 sessions of root", "The older ones are not shown", "End all 251 of root", "robot-249.", `name="except"`} {
		if !strings.Contains(body, want) {
			t.Errorf("the page lacks %q", want)
		}
	}
	actions, fields := forms(body)
	all := len(actions) - 1
	if _, body, _ = root.post("/ops/sessions"+actions[all], "same-origin", fields[all]); !strings.Contains(body, "250 ended.") {
		t.Error("the form for all did not end the 250 others")
	}
	if _, who := root.get("/who"); who != "root" {
		t.Errorf("the viewer is %q, want root", who)
	}
}

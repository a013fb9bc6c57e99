package session_test

import (
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/chisession/session"
)

// Section E of SECURITY-BAR, where behaviours C and package cookie decide
// less, and what a handler sees of its request.

// TestBar_CK13_FourAreTried: junk and three dead tokens do not hide the live
// session behind them, wherever they stand; a fifth well-formed one is not
// tried.
// Of SECURITY-BAR: CK-13.
func TestBar_CK13_FourAreTried(t *testing.T) {
	forEachKind(t, func(t *testing.T, k kind) {
		a := newApp(t, session.Config{Store: k.open(t)})
		a.basics()
		b := a.browser(t)
		b.get("/set?k=a&v=live")
		junk := []string{"", "x", "%20", `"` + b.token() + `"`, strings.Repeat("A", 5000), b.token()[:63], "deleted"}
		for at := range 5 {
			var all []string
			for i := range 4 {
				if all = append(all, junk...); i == at {
					all = append(all, b.token())
				} else {
					all = append(all, unknownToken())
				}
			}
			if at == 4 {
				all = append(all, b.token())
			}
			a.calls.Reset()
			r := a.browser(t).request("GET", "/get?k=a")
			r.Header.Set("Cookie", a.name+"="+strings.Join(all, "; "+a.name+"="))
			want := map[bool]string{true: "live", false: "<nil>"}[at < 4]
			a.browser(t).do(r).want(t, 200, want)
			a.wantCalls(t, strings.Repeat("Load ", min(at+1, 4)))
		}
	})
}

// TestBar_CK14_TwoLiveSessions: the first one counts, and the hook is told
// once a request, with the ID of the second.
// Of SECURITY-BAR: CK-14.
func TestBar_CK14_TwoLiveSessions(t *testing.T) {
	forEachKind(t, func(t *testing.T, k kind) {
		var rejected rejections
		m := barManager(t, session.Config{Store: k.open(t), Hooks: session.Hooks{Rejected: rejected.add}})
		_, one := barRequest(m, "", func(s *session.Session) { s.Set("who", "one") })
		_, two := barRequest(m, "", func(s *session.Session) { s.Set("who", "two") })
		for _, tt := range [][3]string{{one, two, "one"}, {two, one, "two"}} {
			header := http.Header{"Cookie": {"beegosessionID=" + tt[0] + "; beegosessionID=" + tt[1] + "; beegosessionID=" + tt[0]}}
			res := through(m, header, func(s *session.Session) {
				if got := s.Get("who"); got != tt[2] {
					t.Errorf("the session is that of %v, want the first, %s", got, tt[2])
				}
			})
			if res.Header["Set-Cookie"] != nil {
				t.Error("the answer changes a cookie")
			}
			rejected.want(t, idOf(t, tt[1]).String(), session.ReasonTossed, 1)
		}
	})
}

// TestBar_CK17_RequestUnchanged: the handler sees the request as it was sent.
// Its body has not been read, and its form not been parsed (HB-17).
// Of SECURITY-BAR: CK-17.
func TestBar_CK17_HB17_RequestUnchanged(t *testing.T) {
	m := barManager(t, session.Config{})
	_, token := barRequest(m, "", setOne)
	for _, sent := range []string{"", token, unknownToken(), "malformed"} {
		form := url.Values{"beegosessionID": {token}, "a": {"1"}}.Encode()
		r := httptest.NewRequest("POST", "https://example.com/path?x=1&beegosessionID="+token, strings.NewReader(form))
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		r.Header["Cookie"] = []string{"other=1; beegosessionID=" + sent, "more=2"}
		header, requestURI, target := r.Header.Clone(), r.RequestURI, r.URL.String()
		ran := false
		m.Middleware(http.HandlerFunc(func(_ http.ResponseWriter, got *http.Request) {
			ran = true
			s := session.FromContext(got)
			s.Set("a", 2)
			s.Renew()
			if !maps.EqualFunc(got.Header, header, func(a, b []string) bool { return fmt.Sprint(a) == fmt.Sprint(b) }) || got.RequestURI != requestURI || got.URL.String() != target {
				t.Errorf("the handler sees other headers (%d of %d) or another URL", len(got.Header), len(header))
			}
			if got.Form != nil || got.PostForm != nil || got.MultipartForm != nil {
				t.Error("the form has been parsed")
			}
			if body, err := io.ReadAll(got.Body); string(body) != form || err != nil {
				t.Errorf("the body is %d bytes, %v; want %d", len(body), err, len(form))
			}
		})).ServeHTTP(httptest.NewRecorder(), r)
		if !ran {
			t.Error("the handler did not run")
		}
	}
}

// TestBar_HB18_Untouched: a handler that does not touch the session costs one
// look-up where there is a token, and none with Skip or without one; its
// answer has no Vary, unless it could still ask for a live session while it
// writes, and says nothing of caching (TestBehaviourC/28_vary).
// Of SECURITY-BAR: HB-18.
func TestBar_HB18_Untouched(t *testing.T) {
	forEachKind(t, func(t *testing.T, k kind) {
		a := newApp(t, session.Config{Store: k.open(t), Skip: func(r *http.Request) bool { return strings.HasPrefix(r.URL.Path, "/static/") }})
		a.basics()
		ok := func(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, "file") }
		a.router.HandleFunc("/static/a.css", ok)
		a.router.HandleFunc("/b.css", func(w http.ResponseWriter, r *http.Request) {
			http.ServeContent(w, r, "b.css", time.UnixMilli(1), strings.NewReader("file"))
		})
		b := a.browser(t)
		b.get("/set?k=a&v=1")
		for _, tt := range []struct {
			b           *browser
			path, calls string
		}{{b, "/static/a.css", ""}, {b, "/b.css", "Load"}, {a.browser(t), "/ignore", ""}} {
			a.calls.Reset()
			got := tt.b.get(tt.path)
			a.wantCalls(t, tt.calls)
			if got.status != 200 || got.header["Vary"] != nil || got.setCookie != nil {
				t.Errorf("%s: status %d, Vary %q, %d cookies; want 200, none, none", tt.path, got.status, got.header["Vary"], len(got.setCookie))
			}
		}
	})
}

package shop

import (
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"regexp"
	"strings"
	"testing"
	"time"

	"golang.org/x/crypto/bcrypt"

	"github.com/chisession/session"
	"github.com/chisession/session/cookie"
	"github.com/chisession/session/internal/leak"
	"github.com/chisession/session/sessiontest"
)

func TestMain(m *testing.M) {
	slog.SetDefault(slog.New(slog.NewTextHandler(io.Discard, nil)))
	os.Exit(leak.Main(m))
}

// A site is a running shop.
type site struct {
	*shop
	*httptest.Server
}

func newSite(t *testing.T, cfg session.Config) *site {
	t.Helper()
	shop, err := newShop(cfg, bcrypt.MinCost)
	if err != nil {
		t.Fatal(err)
	}
	shop.lookEvery = 20 * time.Millisecond
	server := httptest.NewUnstartedServer(nil)
	server.Config = newServer(shop)
	server.Start()
	s := &site{shop, server}
	t.Cleanup(s.stop)
	return s
}

func (s *site) stop() {
	s.end()
	s.Server.Close()
	s.shop.close()
}

// A visitor is a browser: it keeps cookies and follows redirects.
type visitor struct {
	t      *testing.T
	base   string
	client *http.Client
	agent  string
}

func (s *site) visitor(t *testing.T) *visitor {
	t.Helper()
	transport := s.Server.Client().Transport.(*http.Transport).Clone()
	t.Cleanup(transport.CloseIdleConnections)
	return &visitor{t, s.URL, &http.Client{Jar: sessiontest.NewJar(), Transport: transport},
		"Mozilla/5.0 (X11; Linux x86_64; rv:130.0) Gecko/20100101 Firefox/130.0"}
}

// A page is what a visitor sees.
type page struct {
	status   int
	path     string // after redirects
	header   http.Header
	body     string
	messages []string // "level: text"
}

var messageLine = regexp.MustCompile(`<p class="message (\w*)" role="\w+">([^<]*)</p>`)

func (v *visitor) do(method, path, body string, header ...string) page {
	v.t.Helper()
	r, err := http.NewRequest(method, v.base+path, strings.NewReader(body))
	if err != nil {
		v.t.Fatal(err)
	}
	r.Header.Set("User-Agent", v.agent)
	if method == http.MethodPost {
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	}
	for i := 0; i+1 < len(header); i += 2 {
		r.Header.Set(header[i], header[i+1])
	}
	answer, err := v.client.Do(r)
	if err != nil {
		v.t.Errorf("%s %s: %v", method, path, err)
		return page{}
	}
	defer answer.Body.Close()
	text, err := io.ReadAll(answer.Body)
	if err != nil {
		v.t.Errorf("%s %s: %v", method, path, err)
	}
	p := page{status: answer.StatusCode, path: answer.Request.URL.RequestURI(), header: answer.Header, body: string(text)}
	for _, m := range messageLine.FindAllStringSubmatch(p.body, -1) {
		p.messages = append(p.messages, m[1]+": "+m[2])
	}
	return p
}

func (v *visitor) get(path string) page { v.t.Helper(); return v.do("GET", path, "") }

// post sends a form: name, value, name, value, ...
func (v *visitor) post(path string, form ...string) page {
	v.t.Helper()
	values := url.Values{}
	for i := 0; i+1 < len(form); i += 2 {
		values.Set(form[i], form[i+1])
	}
	return v.do("POST", path, values.Encode())
}

func (v *visitor) login() page {
	v.t.Helper()
	return v.post("/login", "name", demoUser, "password", demoPassword)
}

// token returns the session cookie's value.
func (v *visitor) token() string {
	u, _ := url.Parse(v.base)
	for _, c := range v.client.Jar.Cookies(u) {
		if c.Name == cookie.DefaultName {
			return c.Value
		}
	}
	return ""
}

// with returns a visitor who has only this token.
func (v *visitor) with(token string) *visitor {
	jar := sessiontest.NewJar()
	u, _ := url.Parse(v.base)
	jar.SetCookies(u, []*http.Cookie{{Name: cookie.DefaultName, Value: token, Path: "/"}})
	return &visitor{v.t, v.base, &http.Client{Jar: jar, Transport: v.client.Transport}, v.agent}
}

// user returns whom the shop takes the visitor for.
func (v *visitor) user() string {
	v.t.Helper()
	_, rest, _ := strings.Cut(v.get("/status").body, `"user":"`)
	name, _, _ := strings.Cut(rest, `"`)
	return name
}

// wantMessages fails the test unless the page shows just these.
func (p page) wantMessages(t *testing.T, want ...string) {
	t.Helper()
	if strings.Join(p.messages, "\n") != strings.Join(want, "\n") {
		t.Errorf("%s (%d) shows the messages %q, want %q", p.path, p.status, p.messages, want)
	}
}

// wantText fails the test unless the page has it.
func (p page) wantText(t *testing.T, want string) {
	t.Helper()
	if !strings.Contains(p.body, want) {
		t.Errorf("%s (%d) does not have %q:\n%s", p.path, p.status, want, p.body)
	}
}

// wantFault fails the test unless the page says this at the field, and the
// field says so to those who cannot see it, has the focus, and the title warns.
func (p page) wantFault(t *testing.T, field, want string) {
	t.Helper()
	id := field + "-fault"
	p.wantText(t, fmt.Sprintf(`<p class="fault" id="%s">%s</p>`, id, want))
	p.wantText(t, "<title>Error: ")
	tag := regexp.MustCompile(`<input[^>]* name="` + field + `"[^>]*aria-invalid[^>]*>`).FindString(p.body)
	for _, attribute := range []string{` aria-invalid="true"`, ` aria-describedby="` + id + `"`, " autofocus"} {
		if !strings.Contains(tag, attribute) {
			t.Errorf("%s: the field %s lacks%s: %q", p.path, field, attribute, tag)
		}
	}
	if n := strings.Count(p.body, " autofocus"); n != 1 {
		t.Errorf("%s: %d fields have autofocus, want 1", p.path, n)
	}
	if p.status != http.StatusUnprocessableEntity || len(p.messages) > 0 {
		t.Errorf("%s: status %d with the messages %q, want 422 with none", p.path, p.status, p.messages)
	}
}

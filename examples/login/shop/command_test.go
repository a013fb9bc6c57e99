package shop

import (
	"context"
	"net/http"
	"net/http/cookiejar"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/crypto/bcrypt"

	"github.com/chisession/session"
)

func TestOptions(t *testing.T) {
	dir := t.TempDir()
	write := func(name, text string) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	on := write("on.conf", "sessionon = true\nsessionprovider = file\nsessionsavepath = ./tmp\nsessionname = shop\n")
	off := write("off.conf", "sessionprovider = file\n")

	for _, c := range []struct {
		name, problem string
		o             Options
		want          session.Config
	}{
		{"nothing", "", Options{}, session.Config{}},
		{"flags", "", Options{provider: "file", savePath: "x", idle: time.Minute},
			session.Config{Provider: "file", SavePath: "x", IdleTimeout: time.Minute}},
		{"TLS", "", Options{cert: "c", key: "k"}, session.Config{}},
		{"bound without TLS", "-device-bound", Options{deviceBound: true}, session.Config{}},
		{"half of TLS", "-cert and -key", Options{cert: "c"}, session.Config{}},
		{"file", "", Options{config: on}, session.Config{Provider: "file", SavePath: "./tmp"}},
		{"flags before file", "", Options{config: on, provider: "memory"}, session.Config{Provider: "memory"}},
		{"sessions off", "sessionon = true", Options{config: off}, session.Config{}},
		{"no file", "nowhere.conf", Options{config: filepath.Join(dir, "nowhere.conf")}, session.Config{}},
	} {
		got, err := c.o.Sessions()
		if c.problem != "" {
			if err == nil || !strings.Contains(err.Error(), c.problem) {
				t.Errorf("%s: error is %v, want one of %q", c.name, err, c.problem)
			}
			continue
		}
		if err != nil || got.Provider != c.want.Provider || got.SavePath != c.want.SavePath || got.IdleTimeout != c.want.IdleTimeout {
			t.Errorf("%s: config is %v (%v), want %v", c.name, got, err, c.want)
		}
		if name := got.Cookie.Name; (c.name == "TLS") != (name == "__Host-session") {
			t.Errorf("%s: the cookie's name is %q", c.name, name)
		}
	}
}

// TestRun starts the program and ends it as Ctrl-C does.
func TestRun(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	o := Options{addr: "127.0.0.1:0", provider: "file", savePath: t.TempDir(), passwordCost: bcrypt.MinCost}
	if err := run(ctx, o); err != nil {
		t.Errorf("run: %v", err)
	}
	if err := run(ctx, Options{addr: "127.0.0.1:0", provider: "nothing", passwordCost: bcrypt.MinCost}); err == nil || !strings.Contains(err.Error(), "have file, memory") {
		t.Errorf("run with an unknown provider: %v, want an error that names the known ones", err)
	}
}

// TestTLS signs in over HTTPS, with the cookie that browsers guard best.
func TestTLS(t *testing.T) {
	cfg, err := Options{cert: "c", key: "k"}.Sessions()
	if err != nil {
		t.Fatal(err)
	}
	shop, err := newShop(cfg, bcrypt.MinCost)
	if err != nil {
		t.Fatal(err)
	}
	server := httptest.NewUnstartedServer(nil)
	server.Config = newServer(shop)
	server.StartTLS()
	t.Cleanup(func() { server.Close(); shop.close() })

	client := server.Client()
	client.Jar, _ = cookiejar.New(nil)
	client.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	answer, err := client.PostForm(server.URL+"/login", url.Values{"name": {demoUser}, "password": {demoPassword}})
	if err != nil {
		t.Fatal(err)
	}
	answer.Body.Close()
	line := answer.Header.Get("Set-Cookie")
	if !strings.HasPrefix(line, "__Host-session=") {
		t.Errorf("cookie is %q, want __Host-session", line)
	}
	for _, attribute := range []string{"; Path=/", "; Secure", "; HttpOnly", "; SameSite=Lax"} {
		if !strings.Contains(line, attribute) {
			t.Errorf("cookie is %q, want %q in it", line, attribute)
		}
	}
}

// TestHSTS sees to it that real hosts are told to stay on HTTPS, and that a
// developer's own machine is not.
func TestHSTS(t *testing.T) {
	const sts = "Strict-Transport-Security"
	server := secured(http.NotFoundHandler())
	for host, want := range map[string]bool{
		"shop.example": true, "shop.example:443": true, "localhost.example": true, "notlocalhost": true, "192.0.2.1:8443": true, "[2001:db8::1]": true,
		"localhost": false, "LOCALHOST.:8443": false, "shop.localhost:8443": false, "127.0.0.1:8443": false, "127.9.9.9": false,
		"[::1]:8443": false, "[::1]": false, "[::ffff:127.0.0.1]:8443": false,
	} {
		r := httptest.NewRequest("GET", "https://"+host+"/", nil)
		w := httptest.NewRecorder()
		server.ServeHTTP(w, r)
		if got := w.Header().Get(sts); (got != "") != want {
			t.Errorf("https://%s: %s is %q, want one: %t", host, sts, got, want)
		}
		w = httptest.NewRecorder()
		server.ServeHTTP(w, httptest.NewRequest("GET", "http://"+host+"/", nil))
		if got := w.Header().Get(sts); got != "" {
			t.Errorf("http://%s: %s is %q, want none over plain HTTP (RFC 6797 §7.2)", host, sts, got)
		}
	}
}

// TestWelcome keeps the lines for the shell to what the shop has.
func TestWelcome(t *testing.T) {
	text := Options{}.welcome("127.0.0.1:8080")
	for _, want := range []string{"http://127.0.0.1:8080 and sign in as ada, password lovelace", "u=http://127.0.0.1:8080;", "name=ada -d password=lovelace"} {
		if !strings.Contains(text, want) {
			t.Errorf("the welcome has no %q:\n%s", want, text)
		}
	}
	if strings.Contains(text, "%!") {
		t.Errorf("the welcome is badly formatted:\n%s", text)
	}
	if text := (Options{cert: "c"}).welcome("x:1"); !strings.Contains(text, "https://x:1") || !strings.Contains(text, "curl -sk") {
		t.Errorf("the welcome over TLS:\n%s", text)
	}
}

package main

import (
	"io"
	"log"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/chisession/session"
	"github.com/chisession/session/cmd/sessionctl/internal/doctor"
	"github.com/chisession/session/cookie"
)

// application is a real one: the middleware, and a handler that stores
// something unless asked for /nothing. Spoil changes what it says.
func application(t *testing.T, opts cookie.Options, spoil func(h http.Header)) http.Handler {
	t.Helper()
	m, err := session.New(session.Config{Cookie: opts, Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { m.Close() })
	shop := m.Middleware(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/nothing" {
			session.FromContext(r).Set("secret", secretValue)
		}
		io.WriteString(w, "hello")
	}))
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		rec := httptest.NewRecorder()
		shop.ServeHTTP(rec, r)
		h := rec.Header()
		h.Set("Strict-Transport-Security", "max-age=31536000")
		if spoil != nil {
			spoil(h)
		}
		for key, lines := range h {
			w.Header()[key] = lines
		}
		w.WriteHeader(rec.Code)
	})
}

// serve starts it, and returns its address and an app that trusts it.
func serve(t *testing.T, h http.Handler, tls bool) (string, *app) {
	t.Helper()
	server := httptest.NewUnstartedServer(h)
	server.Config.ErrorLog = log.New(io.Discard, "", 0)
	if tls {
		server.StartTLS()
	} else {
		server.Start()
	}
	t.Cleanup(server.Close)
	a := plainApp()
	a.transport = server.Client().Transport
	return server.URL, a
}

// cut removes an attribute from the Set-Cookie lines.
func cut(attribute string) func(http.Header) {
	return func(h http.Header) {
		for i, line := range h["Set-Cookie"] {
			h["Set-Cookie"][i] = strings.Replace(line, "; "+attribute, "", 1)
		}
	}
}

func TestDoctorWeb(t *testing.T) {
	const https, http1 = true, false
	for _, c := range []struct {
		name   string
		tls    bool
		opts   cookie.Options
		spoil  func(http.Header)
		path   string
		args   []string
		check  string
		status doctor.Status
		detail string
	}{
		{"good", https, cookie.Options{}, nil, "/", nil, "transport", doctor.OK, "HTTPS"},
		{"as a proxy", http1, cookie.Options{}, nil, "/", []string{"--forwarded-proto", "https"}, "transport", doctor.OK, "as behind a proxy"},
		{"plain HTTP behind no proxy header", http1, cookie.Options{}, nil, "/", nil, "transport", doctor.Fail, "plain HTTP and no proxy header"},
		{"Secure over plain HTTP", http1, cookie.Options{Name: "__Host-s"}, nil, "/", nil, "Secure", doctor.Fail, "browsers drop it, so logins do not stick"},
		{"no Secure over HTTPS", https, cookie.Options{Insecure: true}, nil, "/", nil, "Secure", doctor.Fail, "lacks Secure"},
		{"no HttpOnly", https, cookie.Options{}, cut("HttpOnly"), "/", nil, "HttpOnly", doctor.Fail, "lacks HttpOnly"},
		{"no SameSite", https, cookie.Options{}, cut("SameSite=Lax"), "/", nil, "SameSite", doctor.Fail, "has no SameSite"},
		{"SameSite=None", https, cookie.Options{SameSite: http.SameSiteNoneMode}, nil, "/", nil, "SameSite", doctor.Warn, "SameSite=None"},
		{"no Vary", https, cookie.Options{}, func(h http.Header) { h.Del("Vary") }, "/", nil, "Vary", doctor.Fail, "lacks Cookie"},
		{"cacheable", https, cookie.Options{}, func(h http.Header) { h.Set("Cache-Control", "public, max-age=60") }, "/", nil, "Cache-Control", doctor.Fail, "may be cached"},
		{"no Cache-Control", https, cookie.Options{}, func(h http.Header) { h.Del("Cache-Control") }, "/", nil, "Cache-Control", doctor.Fail, "may be cached"},
		{"no HSTS", https, cookie.Options{}, func(h http.Header) { h.Del("Strict-Transport-Security") }, "/", nil, "transport", doctor.Warn, "no Strict-Transport-Security"},
		{"twice", https, cookie.Options{}, func(h http.Header) { h["Set-Cookie"] = append(h["Set-Cookie"], h["Set-Cookie"][0]) }, "/", nil, "session cookie", doctor.Fail, "2 times"},
		{"no cookie", https, cookie.Options{}, nil, "/nothing", nil, "session cookie", doctor.Warn, "sets no cookie"},
	} {
		t.Run(c.name, func(t *testing.T) {
			address, a := serve(t, application(t, c.opts, c.spoil), c.tls)
			args := append([]string{"--url", address + c.path}, c.args...)
			if c.opts.Name != "" {
				t.Setenv("WEB_SESSION_ON", "true")
				t.Setenv("WEB_SESSION_NAME", c.opts.Name)
				args = append(args, "--env", "WEB_SESSION_")
			}
			report, r := examine(t, a, args...)
			report.expect(t, c.check, c.status, c.detail)
			r.lacks(t)
			if c.status == doctor.OK {
				report.allOK(t)
			}
			if c.name == "good" {
				text := ctlWith(t, a, "doctor", "--url", address)
				golden(t, "doctor-web.txt", text.stdout)
			}
		})
	}
}

func TestDoctorWebAway(t *testing.T) {
	address, _ := serve(t, application(t, cookie.Options{}, nil), true)
	report, _ := examine(t, plainApp(), "--url", address) // which does not trust its certificate
	report.expect(t, "web", doctor.Fail, "certificate")
	report, r := examine(t, plainApp(), "--url", "http://user:hunter2-url@127.0.0.1:1/?token=hunter2-query")
	report.expect(t, "web", doctor.Fail, "connection refused")
	r.lacks(t, "hunter2")
}

package shop

import (
	"cmp"
	"context"
	"embed"
	"net"
	"net/http"
	"net/netip"
	"strings"
	"sync"
	"time"

	"github.com/go-chi/chi/v5"
	"github.com/go-chi/chi/v5/middleware"

	"github.com/chisession/session"
	"github.com/chisession/session/cookie"
)

//go:embed static
var static embed.FS

// A shop is the application: its sessions, its users and its pages.
type shop struct {
	sessions *session.Manager
	users    *users
	pages    pages

	cookieName string        // of the session cookie
	confirmFor time.Duration // how long a password counts before paying

	// Live streams end when closing is done, and are waited for: a server's
	// Shutdown does neither.
	closing   context.Context
	end       context.CancelFunc
	streams   sync.WaitGroup
	lookEvery time.Duration // how often a stream looks for its session
}

func newShop(cfg session.Config, passwordCost int) (*shop, error) {
	users, err := newUsers(passwordCost)
	if err != nil {
		return nil, err
	}
	pages, err := parsePages()
	if err != nil {
		return nil, err
	}
	sessions, err := session.New(cfg)
	if err != nil {
		return nil, err
	}
	s := &shop{
		sessions: sessions, users: users, pages: pages,
		cookieName: cmp.Or(cfg.Cookie.Name, cookie.DefaultName), confirmFor: 5 * time.Minute, lookEvery: 2 * time.Second,
	}
	s.closing, s.end = context.WithCancel(context.Background())
	return s, nil
}

// close ends the live streams and then the sessions. Call it when the server
// has shut down.
func (s *shop) close() error {
	s.end()
	s.streams.Wait()
	return s.sessions.Close()
}

// newServer returns the server of s, with limits on what a slow or hostile
// client can hold.
func newServer(s *shop) *http.Server {
	server := &http.Server{
		Handler:           s.routes(),
		ReadHeaderTimeout: 5 * time.Second,
		ReadTimeout:       time.Minute, // longer than the slow page: it ends the request's context
		WriteTimeout:      time.Minute,
		IdleTimeout:       2 * time.Minute,
		MaxHeaderBytes:    64 << 10,
	}
	server.RegisterOnShutdown(s.end)
	return server
}

func (s *shop) routes() http.Handler {
	r := chi.NewRouter()
	r.Use(middleware.Recoverer, secured)
	r.Handle("/static/*", cached(http.FileServerFS(static))) // outside the group: no session, no cookie

	r.Group(func(r chi.Router) {
		r.Use(middleware.RequestSize(64<<10), http.NewCrossOriginProtection().Handler, private, s.sessions.Middleware)
		r.NotFound(s.notFound)
		r.Get("/", s.front)
		r.Get("/cart", s.cart)
		r.Get("/cart/badge", s.badge)
		r.Get("/login", s.loginForm)
		r.Post("/login", s.login)
		r.Post("/logout", s.logout)
		r.Get("/live", s.live)
		r.Get("/status", s.status)
		r.Get("/events", s.events)
		r.Get("/socket", s.socket)

		r.Group(func(r chi.Router) {
			r.Use(s.noteEnded)
			r.Post("/cart/add", s.addToCart)
			r.Post("/cart/count", s.changeCount)
			r.Post("/stay", s.stay)
			r.Post("/say", s.say)
		})
		r.Group(func(r chi.Router) {
			r.Use(s.noteEnded, signedIn)
			r.Get("/slow", s.slow)
			r.Get("/pay", s.payForm)
			r.Post("/pay", s.pay)
			r.Get("/devices", s.devices)
			r.Post("/devices/end", s.endDevice)
			r.Post("/devices/end-others", s.endOthers)
			r.Post("/logout-everywhere", s.logoutEverywhere)
		})
	})
	return r
}

// secured adds the headers that keep other sites and injected markup out.
func secured(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h := w.Header()
		h.Set("Content-Security-Policy", "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; "+
			"connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'")
		h.Set("X-Content-Type-Options", "nosniff")
		h.Set("Referrer-Policy", "same-origin")
		h.Set("Cross-Origin-Opener-Policy", "same-origin")
		h.Set("Cross-Origin-Resource-Policy", "same-origin")
		h.Set("Permissions-Policy", "camera=(), geolocation=(), microphone=()")
		if r.TLS != nil && !loopback(r.Host) {
			h.Set("Strict-Transport-Security", "max-age=63072000")
		}
		next.ServeHTTP(w, r)
	})
}

// loopback reports whether host, as a request names it, is this machine. A
// browser that is told to use nothing but HTTPS there keeps to it for two
// years, on every port: for all that its user develops (RFC 6797 §6.1).
func loopback(host string) bool {
	if name, _, err := net.SplitHostPort(host); err == nil {
		host = name
	}
	host = strings.ToLower(strings.TrimSuffix(strings.Trim(host, "[]"), "."))
	if host == "localhost" || strings.HasSuffix(host, ".localhost") {
		return true
	}
	ip, err := netip.ParseAddr(host)
	return err == nil && ip.Unmap().IsLoopback()
}

// private keeps pages out of all caches: after a logout the back button shows
// nothing (OWASP Session Management, "Web Content Caching").
func private(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Cache-Control", "no-store")
		next.ServeHTTP(w, r)
	})
}

func cached(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Cache-Control", "public, max-age=300")
		next.ServeHTTP(w, r)
	})
}

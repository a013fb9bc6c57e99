// Command processes is the server of the two-process tests: a small chi program
// whose every path does one thing to the request's session and answers with
// what the session is then. Two of them on one store are two instances of an
// application behind a load balancer.
//
//	go -C tests run ./processes -provider file -save-path ./tmp
//
// It prints its address, and ends when its standard input does, so that it
// never outlives the test that started it.
package main

import (
	"flag"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"time"

	"github.com/go-chi/chi/v5"

	"github.com/chisession/session"
	_ "github.com/chisession/session/backend/file"
	_ "github.com/chisession/session/backend/goredis"
	_ "github.com/chisession/session/backend/mysql"
	_ "github.com/chisession/session/backend/postgres"
	_ "github.com/chisession/session/backend/redis"
	_ "github.com/chisession/session/backend/rueidis"
	_ "github.com/chisession/session/backend/sqlite"
	"github.com/chisession/session/devicebound"
)

func main() {
	if err := run(os.Args[1:], os.Stdin, os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "processes:", err)
		os.Exit(1)
	}
}

// run serves until stdin ends. It prints the address to stdout once it listens.
func run(args []string, stdin io.Reader, stdout io.Writer) error {
	manager, addr, bound, err := configure(args)
	if err != nil {
		return err
	}
	defer manager.Close()
	handler, err := routes(manager, bound)
	if err != nil {
		return err
	}
	listener, err := net.Listen("tcp", addr)
	if err != nil {
		return fmt.Errorf("listen: %w", err)
	}
	server := &http.Server{Handler: handler, ReadHeaderTimeout: 10 * time.Second}
	served := make(chan error, 1)
	go func() { served <- server.Serve(listener) }()
	fmt.Fprintln(stdout, listener.Addr())
	if _, err := io.Copy(io.Discard, stdin); err != nil {
		return fmt.Errorf("read stdin: %w", err)
	}
	if err := server.Close(); err != nil {
		return fmt.Errorf("close the server: %w", err)
	}
	if err := <-served; err != http.ErrServerClosed {
		return fmt.Errorf("serve: %w", err)
	}
	return nil
}

func configure(args []string) (m *session.Manager, address string, bound bool, err error) {
	var cfg session.Config
	flags := flag.NewFlagSet("processes", flag.ContinueOnError)
	addr := flags.String("addr", "127.0.0.1:0", "where to listen")
	flags.StringVar(&cfg.Provider, "provider", "file", "name of the backend")
	flags.StringVar(&cfg.SavePath, "save-path", "", "where the backend keeps sessions")
	flags.IntVar(&cfg.MaxPerUser, "max-per-user", 0, "sessions a user may have")
	flags.DurationVar(&cfg.IdleTimeout, "idle", 0, "idle timeout")
	flags.DurationVar(&cfg.TouchEvery, "touch-every", 0, "how often activity is noted")
	flags.BoolVar(&bound, "device-bound", false, "bind sessions to devices")
	if err := flags.Parse(args); err != nil {
		return nil, "", false, err
	}
	cfg.Logger = slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: slog.LevelWarn}))
	m, err = session.New(cfg)
	return m, *addr, bound, err
}

func routes(m *session.Manager, bound bool) (http.Handler, error) {
	r, g := chi.NewRouter(), newGates()
	if bound {
		binding, err := devicebound.New(m, devicebound.Options{})
		if err != nil {
			return nil, err
		}
		r.Handle(devicebound.DefaultPath+"/*", binding)
	}
	r.Get("/gate/{name}/reached", func(_ http.ResponseWriter, r *http.Request) {
		g.named(chi.URLParam(r, "name")).await(r.Context())
	})
	r.Get("/gate/{name}/open", func(_ http.ResponseWriter, r *http.Request) {
		g.named(chi.URLParam(r, "name")).open()
	})
	r.Get("/revoke", func(w http.ResponseWriter, r *http.Request) {
		plain(w, m.Revoke(r.Context(), r.FormValue("id")))
	})
	r.Get("/revoke-user", func(w http.ResponseWriter, r *http.Request) {
		_, err := m.RevokeUser(r.Context(), r.FormValue("user"))
		plain(w, err)
	})
	r.Get("/sessions", func(w http.ResponseWriter, r *http.Request) {
		list, err := m.Sessions(r.Context(), r.FormValue("user"))
		for _, info := range list {
			fmt.Fprintln(w, info.ID)
		}
		plain(w, err)
	})
	r.Group(func(r chi.Router) {
		r.Use(m.Middleware)
		r.Get("/watch", g.watch)
		for name, act := range acts {
			r.Get("/"+name, g.handler(act))
		}
	})
	return r, nil
}

func plain(w http.ResponseWriter, err error) {
	if err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
	}
}

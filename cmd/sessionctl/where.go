package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"regexp"
	"slices"
	"time"

	"github.com/spf13/pflag"

	"github.com/chisession/session"
	"github.com/chisession/session/backend"
	"github.com/chisession/session/backend/postgres"
	"github.com/chisession/session/cmd/sessionctl/internal/place"
	"github.com/chisession/session/conf"
)

// where says by which flags the place of the sessions was named.
type where struct {
	config, env        string
	provider, savePath string
	table              string
	idle               time.Duration

	target place.Target // once it is known
}

func (w *where) flags(f *pflag.FlagSet) {
	f.StringVar(&w.config, "config", "", "the application's app.conf")
	f.StringVar(&w.env, "env", "", "prefix of the application's environment variables, such as SESSION_")
	f.StringVar(&w.provider, "provider", "", "file, mysql, postgres, redis, goredis, rueidis or sqlite")
	f.StringVar(&w.savePath, "save-path", "", "directory, file, DSN, or address of Redis (better in SESSIONCTL_SAVE_PATH)")
	f.StringVar(&w.table, "table", "", `mysql, postgres, sqlite: the table, if it is not "sessions"`)
	f.DurationVar(&w.idle, "idle-timeout", 0, "the application's, where neither --config nor --env says it")
}

var errNowhere = usageError{errors.New("say where the sessions are: --config app.conf, --env PREFIX, or --provider and --save-path (SESSIONCTL_CONFIG, SESSIONCTL_PROVIDER and SESSIONCTL_SAVE_PATH do as well)")}

var tablePattern = regexp.MustCompile(`^([A-Za-z0-9_]{1,64}\.)?[A-Za-z0-9_]{1,64}$`)

// read finds the configuration and what it is from. The flags count for more
// than the environment, and provider and save path for more than a file's.
func (w *where) read() (cfg session.Config, source string, err error) {
	if w.config == "" && w.env == "" && w.provider == "" {
		w.config = os.Getenv("SESSIONCTL_CONFIG")
	}
	if w.config == "" && w.env == "" {
		w.provider = cmp.Or(w.provider, os.Getenv("SESSIONCTL_PROVIDER"))
		w.savePath = cmp.Or(w.savePath, os.Getenv("SESSIONCTL_SAVE_PATH"))
	}
	if w.provider == "postgresql" {
		w.provider = postgres.Name // as Beego calls it
	}
	w.target = place.Target{Provider: w.provider, SavePath: w.savePath} // for redact, whatever comes
	switch {
	case w.config != "" && w.env != "":
		return cfg, "", usageError{errors.New("give --config or --env, not both")}
	case w.table != "" && !tablePattern.MatchString(w.table):
		return cfg, "", usageError{errors.New("--table takes a name of letters, digits and underscores, such as sessions or shop.sessions")}
	case w.config != "":
		source = w.config
		cfg, err = conf.Load(w.config)
	case w.env != "":
		source = "the environment"
		cfg, err = conf.FromEnv(w.env)
	case w.provider != "":
		source, cfg.IdleTimeout = "the command line", w.idle
	default:
		return cfg, "", errNowhere
	}
	if err != nil {
		return cfg, source, err
	}
	cfg.Provider = cmp.Or(w.provider, cfg.Provider, session.DefaultProvider)
	cfg.SavePath = cmp.Or(w.savePath, cfg.SavePath)
	w.target = place.Target{
		Provider: cfg.Provider, SavePath: cfg.SavePath, Table: cmp.Or(w.table, place.TableOf(cfg.Provider, cfg.SavePath)),
	}
	return cfg, source, nil
}

// configured reports whether a file or the environment of the application was
// named, and not only a place.
func (w *where) configured() bool { return w.config != "" || w.env != "" }

// savePathLine is a line of app.conf that says where sessions are kept.
var savePathLine = regexp.MustCompile(`(?im)^\s*session(savepath|providerconfig)\s*=.*$`)

// passwordInFile reports whether the file has the password of its save path, and
// not only a reference to the variable that has it. If the save path is in a file
// that this one includes, the password counts as being in this one.
func (w *where) passwordInFile() bool {
	if w.config == "" || !w.target.HasPassword() {
		return false
	}
	text, err := os.ReadFile(w.config)
	if err != nil {
		return true
	}
	lines := savePathLine.FindAllString(string(text), -1)
	return len(lines) == 0 || slices.ContainsFunc(lines, func(line string) bool { return w.redact(line) != line })
}

// redact returns text without what is secret.
func (w *where) redact(text string) string {
	return w.target.Redact(place.Target{Provider: w.provider, SavePath: w.savePath}.Redact(text))
}

// connect reads the configuration and connects.
func (a *app) connect(ctx context.Context) (session.Config, *place.Place, error) {
	cfg, source, err := a.where.read()
	if err != nil {
		return cfg, nil, err
	}
	if cfg.Disabled {
		fmt.Fprintf(a.stderr, "sessionctl: note: %s does not turn sessions on (sessionon = true)\n", source)
	}
	p, err := place.Connect(ctx, a.where.target)
	return cfg, p, err
}

// cured returns an error of opening a store with what this program can do about
// it, if that is a table that is not there.
func (a *app) cured(ctx context.Context, p *place.Place, err error) error {
	if schemas[p.Target.Provider] == nil || !p.TableMissing(ctx) {
		return err
	}
	return fmt.Errorf("there is no table %s in %s: run sessionctl migrate --apply, or let the application create it", p.Table(), p.Target)
}

// A service is an opened store, and a manager on it that collects nothing by
// itself.
type service struct {
	place   *place.Place
	store   backend.Store
	manager *session.Manager
	idle    time.Duration // the application's idle timeout
}

func (a *app) open(ctx context.Context) (*service, error) {
	cfg, p, err := a.connect(ctx)
	if err != nil {
		return nil, err
	}
	store, err := p.Store()
	if err != nil {
		return nil, errors.Join(a.cured(ctx, p, err), p.Close())
	}
	manager, err := session.New(session.Config{
		Store: store, IdleTimeout: cfg.IdleTimeout, AbsoluteTimeout: cfg.AbsoluteTimeout, TouchEvery: cfg.TouchEvery,
		SweepEvery: -1, Logger: slog.New(slog.DiscardHandler),
	})
	if err != nil {
		return nil, errors.Join(err, p.Close())
	}
	return &service{p, store, manager, cmp.Or(cfg.IdleTimeout, session.DefaultIdleTimeout)}, nil
}

func (s *service) close() error { return errors.Join(s.manager.Close(), s.place.Close()) }

// with opens the service for the time of f.
func (a *app) with(ctx context.Context, f func(*service) error) error {
	s, err := a.open(ctx)
	if err != nil {
		return err
	}
	return errors.Join(f(s), s.close())
}

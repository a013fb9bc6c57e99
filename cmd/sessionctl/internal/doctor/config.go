package doctor

import (
	"cmp"
	"fmt"
	"net/http"
	"os"
	"strings"

	"github.com/chisession/session"
	"github.com/chisession/session/backend/memory"
	"github.com/chisession/session/cookie"
)

// BadConfig returns the checks of a configuration that could not be read: one
// for each thing that is wrong.
func BadConfig(err error) []Check {
	var checks []Check
	for _, err := range flatten(err) {
		checks = append(checks, known("configuration", fail("correct it; docs/config.md lists every key", "%v", err)))
	}
	return checks
}

// flatten takes apart what errors.Join put together.
func flatten(err error) []error {
	joined, ok := err.(interface{ Unwrap() []error })
	if !ok {
		return []error{err}
	}
	var all []error
	for _, err := range joined.Unwrap() {
		all = append(all, flatten(err)...)
	}
	return all
}

// A Source is where a configuration is from.
type Source struct {
	Name   string // for people
	File   string // its path, if it is a file
	Prefix string // of the variables, if it is the environment
}

// key returns a key of conf as it is written in the source.
func (s Source) key(name string) string {
	if s.Prefix == "" {
		return name
	}
	return s.Prefix + strings.ToUpper(strings.TrimPrefix(name, "session"))
}

// setting returns a key and its value as they are written in the source.
func (s Source) setting(name, value string) string {
	if s.Prefix == "" {
		return name + " = " + value
	}
	return s.key(name) + "=" + value
}

// Config returns the checks of a configuration. hasPassword says that there is a
// password in it. What they advise, conf takes.
func Config(cfg session.Config, from Source, hasPassword bool) []Check {
	checks := []Check{
		known("configuration", configured(cfg, from)),
		known("cookie", cookieOf(cfg, from)),
		known("sealing", sealing(cfg, from)),
	}
	if from.File != "" {
		checks = append(checks, known("configuration file", configFile(from.File, hasPassword)))
	}
	return checks
}

func configured(cfg session.Config, from Source) Result {
	if cfg.Disabled {
		return fail(from.setting("sessionon", "true")+" (Beego's default is off)", "%s does not turn sessions on: the middleware steps aside", from.Name)
	}
	trial := cfg
	trial.Provider, trial.SavePath, trial.SweepEvery = memory.Name, "", -1
	m, err := session.New(trial)
	if err == nil {
		err = m.Close()
	}
	if err != nil {
		return fail("correct it; docs/config.md lists every key", "%s: %v", from.Name, err)
	}
	idle := cmp.Or(cfg.IdleTimeout, session.DefaultIdleTimeout)
	return ok("%s: sessions are on, provider %s, idle timeout %v", from.Name, cmp.Or(cfg.Provider, session.DefaultProvider), idle)
}

// cookieOf looks for what is allowed and unwise.
func cookieOf(cfg session.Config, from Source) Result {
	c := cfg.Cookie
	name := cmp.Or(c.Name, cookie.DefaultName)
	switch {
	case c.Insecure:
		return warn("remove "+from.key("sessioncookieinsecure")+", and serve HTTPS", "%s goes out without Secure: anyone on the way can take the session", name)
	case c.ScriptReadable:
		return warn("remove "+from.key("sessiondisablehttponly"), "%s can be read by scripts: one injected script takes every session", name)
	case c.SameSite == http.SameSiteNoneMode:
		return warn(from.setting("sessioncookiesamesite", "lax")+", unless other sites must embed this one", "%s comes with requests from every other site: forms need cross-origin protection (http.CrossOriginProtection)", name)
	case c.Domain != "":
		return warn("remove "+from.key("sessiondomain")+", unless sub-domains must share logins", "%s goes to every sub-domain, and each of them can overwrite it", name)
	}
	return ok("%s is Secure, HttpOnly, SameSite=%s", name, sameSite(c.SameSite))
}

func sameSite(s http.SameSite) string {
	if s == http.SameSiteStrictMode {
		return "Strict"
	}
	return "Lax"
}

func sealing(cfg session.Config, from Source) Result {
	if cfg.NoSeal {
		return warn("remove "+from.key("sessionnoseal"), "values are stored readable: whoever reads the store, or a backup of it, reads them")
	}
	return ok("values can be opened by their browser alone")
}

func configFile(file string, hasPassword bool) Result {
	info, err := os.Stat(file)
	if err != nil {
		return warn("", "%v", err)
	}
	mode := info.Mode().Perm()
	if hasPassword && mode&0o007 != 0 {
		return warn(fmt.Sprintf("chmod o-rwx %s, or write ${SESSION_PASSWORD} in the place of the password, and set that variable", file),
			"%s holds a password and has mode %04o: everybody on this machine can read it", file, mode)
	}
	return ok("%s has mode %04o", file, mode)
}

package conf

import (
	"errors"
	"os"
	"slices"
	"strings"

	"github.com/chisession/session"
)

const (
	runModeKey     = "runmode"
	runModeEnv     = "BEEGO_RUNMODE"
	defaultRunMode = "prod" // Beego's, when nobody says

	// desktopVariable is set by X11 desktops (XSMP) on developers' machines
	// and has nothing to do with us, whatever its name.
	desktopVariable = "SESSION_MANAGER"
)

// Load reads the file at path, which has Beego's session keys. The package's
// documentation says how, and [Keys] which.
//
// Sessions are off (Config.Disabled) unless the file has sessionon = true. All
// keys are checked in either case. The error names file, line and key of
// everything that is wrong; no Config is returned with it.
func Load(path string) (session.Config, error) {
	return load(path, openFile, os.LookupEnv)
}

// FromEnv reads the environment variables whose name begins with prefix,
// exactly, as they are now. What follows is the key's name without "session",
// in upper case (see [Keys]): with the prefix "SESSION_" sessionsavepath is
// SESSION_SAVEPATH. Any other variable that begins so is an error, so choose a
// prefix of your own where others use SESSION_, such as "SHOP_SESSION_".
// (SESSION_MANAGER, which X11 desktops set, is left alone.)
//
// As with [Load], sessions are off unless the variable ON is true. Values are
// taken as they are, without ${…} and quotes, but for blanks around them. The
// error names every variable that is wrong, and shows no value.
func FromEnv(prefix string) (session.Config, error) {
	if prefix == "" {
		return session.Config{}, errors.New(`conf: FromEnv without a prefix would take every variable for a setting: use "SESSION_", say`)
	}
	return fromEnv(prefix, os.Environ())
}

func load(path string, open opener, env lookup) (session.Config, error) {
	r := reader{open: open}
	if err := r.read(path, false); err != nil {
		return session.Config{}, err
	}
	mode, err := runMode(r.entries, env)
	if err != nil {
		return session.Config{}, err
	}
	var always, override []entry
	for _, e := range r.entries {
		switch {
		case strings.EqualFold(e.name, runModeKey):
		case e.section == mode && mode != defaultSection:
			override = append(override, e)
		case e.section == defaultSection:
			always = append(always, e)
		}
	}
	s := settings{env: env, names: names("", func(k Key) string { return k.Name })}
	s.add(override) // what is added first, counts
	s.add(always)
	return s.config()
}

func fromEnv(prefix string, environ []string) (session.Config, error) {
	var entries []entry
	slices.Sort(environ)
	for _, variable := range environ {
		name, value, _ := strings.Cut(variable, "=")
		suffix, ok := strings.CutPrefix(name, prefix)
		if !ok || name == desktopVariable {
			continue
		}
		e := entry{name: name, value: strings.TrimSpace(value)}
		if i := slices.IndexFunc(keys, func(k Key) bool { return k.Env == suffix }); i >= 0 {
			e.key = keys[i]
		}
		entries = append(entries, e)
	}
	s := settings{names: names(prefix, func(k Key) string { return k.Env })}
	s.add(entries)
	return s.config()
}

// names returns the names of all keys, as they are written in one source.
func names(prefix string, name func(Key) string) []string {
	all := make([]string, len(keys))
	for i, k := range keys {
		all[i] = prefix + name(k)
	}
	return all
}

// runMode returns the name of the section that overrides the others.
func runMode(entries []entry, env lookup) (string, error) {
	if mode, _ := env(runModeEnv); strings.TrimSpace(mode) != "" {
		return strings.ToLower(strings.TrimSpace(mode)), nil
	}
	mode := defaultRunMode
	for _, e := range entries {
		if e.section != defaultSection || !strings.EqualFold(e.name, runModeKey) {
			continue
		}
		value, err := expand(e.value, env)
		if err != nil {
			return "", e.wrong(err)
		}
		if value != "" {
			mode = strings.ToLower(value)
		}
	}
	return mode, nil
}

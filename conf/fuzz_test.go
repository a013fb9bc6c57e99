package conf

import (
	"strings"
	"testing"

	"github.com/chisession/session/cookie"
)

// FuzzLoad checks, for any two files, that Load does not panic, that an error
// names the file, that what comes without an error is valid, and that every
// entry is in the line that it says.
func FuzzLoad(f *testing.F) {
	for _, seed := range []string{
		"", "\ufeff", "sessionon = true\nsessionprovider = redis\nsessionsavepath = 127.0.0.1:6379,100,,0\n",
		"SessionOn=on\r\n[prod]\r\nsessionname=\"a\"\r\n", "runmode = ${MODE||dev}\n[dev]\nsessiongcmaxlifetime = 1.5h",
		"sessionsavepath = user:p#ss;w@tcp(h:3306)/db?x=y", "include other.conf\nsessionon = 1", "include app.conf",
		"sessionnam = x", "sessionon", "[", "[]", "= x", "`", "\"\"\"a = b", "a = \"\"\"", "a = `", "- = x", "sessionon = true\\\nfalse",
		"sessiongcmaxlifetime = 99999999999999999999", "sessionname = ${A||${B||${C}}}", "sessioncookiesamesite = 4\nsessioncookieinsecure = 1",
		"\"session\nname\" = x", "sessionname = a\x00b",
	} {
		f.Add(seed, "sessionname = other\n[prod]\nsessionon = true")
	}
	f.Fuzz(func(t *testing.T, app, other string) {
		all := files{"app.conf": app, "other.conf": other}
		env := vars{"A": "a", "EMPTY": ""}
		c, err := load("app.conf", all.open, env.lookup)
		switch {
		case err != nil && !strings.HasPrefix(err.Error(), "conf: "):
			t.Errorf("error %q, want it to begin with conf:", err)
		case err != nil && !strings.Contains(err.Error(), ".conf"):
			t.Errorf("error %q names no file", err)
		case err == nil && (c.IdleTimeout < 0 || c.AbsoluteTimeout < 0 || c.TouchEvery < 0 || c.MaxBytes < 0 || c.MaxPerUser < 0):
			t.Errorf("a negative number in %s", plain(c))
		case err == nil:
			if _, err := cookie.New(c.Cookie); err != nil {
				t.Errorf("cookie.New: %v", err)
			}
		}
		r := reader{open: all.open}
		if r.read("app.conf", false) != nil {
			return
		}
		for _, e := range r.entries {
			lines := strings.Split(all[e.file], "\n")
			if e.line < 1 || e.line > len(lines) || !strings.Contains(lines[e.line-1], e.name) {
				t.Errorf("%s:%d has no key %q", e.file, e.line, e.name)
			}
		}
	})
}

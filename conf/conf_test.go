package conf

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/chisession/session"
)

// files is what a test has instead of a disk.
type files map[string]string

func (f files) open(name string, _ bool) ([]byte, error) {
	text, ok := f[filepath.ToSlash(name)]
	if !ok {
		return nil, fmt.Errorf("conf: open %s: %w", name, os.ErrNotExist)
	}
	return []byte(text), nil
}

// vars is what a test has instead of an environment.
type vars map[string]string

func (v vars) lookup(name string) (string, bool) {
	value, ok := v[name]
	return value, ok
}

// loadText loads app.conf with this text.
func loadText(text string, env vars) (session.Config, error) {
	return load("app.conf", files{"app.conf": text}.open, env.lookup)
}

// plain returns c in a form that == and %+v take: the fields conf sets.
func plain(c session.Config) string {
	return fmt.Sprintf("off=%t provider=%q path=%q cookie=%+v idle=%v absolute=%v touch=%v store=%v sweep=%v bytes=%d user=%d %v noseal=%t outage=%v",
		c.Disabled, c.Provider, c.SavePath, c.Cookie, c.IdleTimeout, c.AbsoluteTimeout, c.TouchEvery, c.StoreTimeout,
		c.SweepEvery, c.MaxBytes, c.MaxPerUser, c.OnMaxPerUser, c.NoSeal, c.OnOutage)
}

func expectConfig(t *testing.T, what string, got, want session.Config) {
	t.Helper()
	if g, w := plain(got), plain(want); g != w {
		t.Errorf("%s:\n got %s\nwant %s", what, g, w)
	}
}

func expectError(t *testing.T, what string, err error, parts ...string) {
	t.Helper()
	if err == nil {
		t.Errorf("%s: no error, want one with %q", what, parts)
		return
	}
	for _, part := range append(parts, "conf: ") {
		if !strings.Contains(err.Error(), part) {
			t.Errorf("%s: error %q, want %q in it", what, err, part)
		}
	}
}

func TestLoadOfABeegoUser(t *testing.T) {
	t.Setenv("BEEGO_RUNMODE", "")
	path := filepath.Join(t.TempDir(), "app.conf")
	text := `appname = shop
httpport = 8080
runmode = dev
copyrequestbody = true

sessionon = true
sessionprovider = redis
sessionsavepath = 127.0.0.1:6379,100,,0
`
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	got, err := Load(path)
	if err != nil {
		t.Fatalf("Load: %v", err)
	}
	expectConfig(t, "Load", got, session.Config{Provider: "redis", SavePath: "127.0.0.1:6379,100,,0"})
}

func TestLoadWithoutSessionKeys(t *testing.T) {
	for _, text := range []string{"", "\n", "appname = shop", "[prod]\nhttpport = 80"} {
		got, err := loadText(text, nil)
		if err != nil {
			t.Errorf("Load of %q: %v", text, err)
		}
		expectConfig(t, fmt.Sprintf("Load of %q", text), got, session.Config{Disabled: true})
	}
}

func TestLoadFileErrors(t *testing.T) {
	dir := t.TempDir()
	write := func(name, text string) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	missing := filepath.Join(dir, "missing.conf")
	utf16 := write("utf16.conf", "\xff\xfes\x00e\x00")
	large := write("large.conf", strings.Repeat("# filler\n", maxFileBytes/8))
	self := write("self.conf", "appname = x\ninclude self.conf\n")
	folder := write("folder.conf", "\n\ninclude \".\"\n")
	nowhere := write("nowhere.conf", "include \"gone.conf\"\n")
	for _, tt := range []struct {
		path  string
		parts []string
	}{
		{missing, []string{missing}},
		{dir, []string{dir}},
		{utf16, []string{utf16, "UTF-16", "save it as UTF-8"}},
		{large, []string{large, "larger than"}},
		{self, []string{self + ":2", "include itself"}},
		{folder, []string{folder + ":3", "not a file"}},
		{nowhere, []string{nowhere + ":1", "gone.conf"}},
	} {
		got, err := Load(tt.path)
		expectError(t, "Load("+tt.path+")", err, tt.parts...)
		expectConfig(t, "Load("+tt.path+")", got, session.Config{})
	}
}

func TestAllErrorsAtOnce(t *testing.T) {
	_, err := loadText("sessionon = maybe\nsessiongcmaxlifetime = soon\n[prod]\nsessionnam = x\n", nil)
	expectError(t, "Load", err, "app.conf:1: sessionon", "app.conf:2: sessiongcmaxlifetime", "app.conf:4: sessionnam")
}

func TestContradictions(t *testing.T) {
	for _, tt := range []struct {
		text  string
		parts []string
	}{
		{"sessioncookiesamesite = none\nsessionname = sid\nsessioncookieinsecure = true", []string{"app.conf:1: sessioncookiesamesite", "app.conf:3: sessioncookieinsecure"}},
		{"sessioncookiepartitioned = true\nsessioncookieinsecure = true", []string{"app.conf:1: sessioncookiepartitioned", "app.conf:2: sessioncookieinsecure"}},
		{"sessionname = __Host-id\nsessiondomain = example.com", []string{"app.conf:1: sessionname", "app.conf:2: sessiondomain"}},
		{"sessionname = __Host-id\nsessioncookiepath = /shop", []string{"app.conf:1: sessionname", "app.conf:2: sessioncookiepath"}},
		{"sessionname = __Secure-id\n[prod]\nsessioncookieinsecure = true", []string{"app.conf:1: sessionname", "app.conf:3: sessioncookieinsecure"}},
		{"sessiongcmaxlifetime = 7200\nsessionabsolutetimeout = 3600", []string{"app.conf:1: sessiongcmaxlifetime", "app.conf:2: sessionabsolutetimeout"}},
		{"sessiontouchevery = 1h", []string{"app.conf:1: sessiontouchevery", "1h0m0s"}},
		{"sessiongcmaxlifetime = 60\nsessiontouchevery = 60", []string{"app.conf:2: sessiontouchevery", "1m0s"}},
		{"sessionabsolutetimeout = 60\nsessiontouchevery = 60", []string{"app.conf:2: sessiontouchevery", "1m0s"}},
		{"sessionsavepath = ./a\n\nsessionproviderconfig = ./b", []string{"app.conf:1: sessionsavepath", "app.conf:3: sessionproviderconfig"}},
	} {
		_, err := loadText(tt.text, nil)
		expectError(t, fmt.Sprintf("Load of %q", tt.text), err, tt.parts...)
	}
	for _, text := range []string{
		"sessioncookiesamesite = none\nsessioncookiepartitioned = true",
		"sessiongcmaxlifetime = 48h\nsessiontouchevery = 2h",
		"sessionabsolutetimeout = 10m",
		"sessiongcmaxlifetime = 30d\nsessiongcmaxlifetime = 2592000",
		"sessionsavepath = ./a\nsessionproviderconfig = ./a",
		"sessionsavepath = ./a\nsessionproviderconfig =",
		"sessionsavepath = ./a\n[prod]\nsessionproviderconfig = ./b",
	} {
		if _, err := loadText(text, nil); err != nil {
			t.Errorf("Load of %q: %v", text, err)
		}
	}
}

// A mistake can put a password into any key, so no error shows a value.
func TestNoErrorShowsAValue(t *testing.T) {
	const secret = "hunter2;DROP"
	for _, k := range Keys() {
		for _, value := range []string{secret, `"` + secret, "`" + secret, "-" + secret, "user:" + secret + "@tcp(db:3306)/x", secret + "\x00", "${" + secret, "${" + secret + "}", "${A}" + secret + "}", secret + " ="} {
			_, err := loadText(k.Name+" = "+value, vars{"A": secret})
			if err != nil && strings.Contains(strings.ToLower(err.Error()), "hunter2") {
				t.Errorf("%s = %q: the error shows the value: %v", k.Name, value, err)
			}
			_, err = fromEnv("S_", []string{"S_" + k.Env + "=" + value})
			if err != nil && strings.Contains(strings.ToLower(err.Error()), "hunter2") {
				t.Errorf("%s=%q: the error shows the value: %v", k.Env, value, err)
			}
		}
	}
	for _, line := range []string{secret, "[" + secret, "= " + secret, `"sessionsavepath = ` + secret, "sessionsavepath: " + secret} {
		_, err := loadText("\n"+line, nil)
		expectError(t, line, err, "app.conf:2")
		if err != nil && strings.Contains(err.Error(), "hunter2") {
			t.Errorf("line %q: the error shows it: %v", line, err)
		}
	}
}

// What conf returns, session.New takes: the limits and contradictions that are
// known here are those that are known there. Every two settings are tried.
func TestWhatIsReturnedIsValid(t *testing.T) {
	for i, a := range valid {
		for _, b := range valid[i:] {
			text := a.key + " = " + a.value + "\n" + b.key + " = " + b.value
			c, err := loadText(text, nil)
			if err != nil {
				continue // TestContradictions and TestKeysValid say when that is right
			}
			c.Provider, c.SavePath = "memory", ""
			m, err := session.New(c)
			if err != nil {
				t.Errorf("Load of %q is fine, but session.New says %v", text, err)
				continue
			}
			if err := m.Close(); err != nil {
				t.Errorf("Close: %v", err)
			}
		}
	}
}

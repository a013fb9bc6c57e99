package main

import (
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/chisession/session/cmd/sessionctl/internal/doctor"
)

func TestDoctorFile(t *testing.T) {
	for _, c := range []struct {
		name   string
		spoil  func(dir string) error
		check  string
		status doctor.Status
		detail string
	}{
		{"good", func(string) error { return nil }, "permissions", doctor.OK, "for its owner alone"},
		{"world-readable", func(dir string) error { return os.Chmod(dir, 0o755) }, "permissions", doctor.Fail, "has mode 0755"},
		{"others may write", func(dir string) error { return os.Chmod(dir, 0o770) }, "opening", doctor.Fail, "others may write to it"},
		{"a readable file in it", func(dir string) error {
			return os.WriteFile(filepath.Join(dir, "copy"), nil, 0o644)
		}, "permissions", doctor.Fail, "copy has mode 0644"},
		{"missing", os.RemoveAll, "directory", doctor.Warn, "is not there"},
		{"a link", func(dir string) error {
			if err := os.Rename(dir, dir+"2"); err != nil {
				return err
			}
			return os.Symlink(dir+"2", dir)
		}, "directory", doctor.Fail, "symbolic link"},
		{"a file", func(dir string) error {
			if err := os.RemoveAll(dir); err != nil {
				return err
			}
			return os.WriteFile(dir, nil, 0o600)
		}, "directory", doctor.Fail, "no directory"},
	} {
		t.Run(c.name, func(t *testing.T) {
			dir := filepath.Join(t.TempDir(), "sessions")
			login(t, newSite(t, "file", dir, "").store, "ada")
			if err := c.spoil(dir); err != nil {
				t.Fatal(err)
			}
			report, _ := examine(t, plainApp(), "--provider", "file", "--save-path", dir)
			report.expect(t, c.check, c.status, c.detail)
			if c.name == "good" {
				report.allOK(t)
			}
		})
	}
}

func TestDoctorConfig(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "sessions")
	for _, c := range []struct {
		name, conf string
		mode       os.FileMode
		check      string
		status     doctor.Status
		detail     string
	}{
		{"good", "sessionon = true\nsessionprovider = file\nsessionsavepath = " + dir, 0o644, "configuration", doctor.OK, "sessions are on, provider file"},
		{"sessionon missing", "sessionprovider = file\nsessionsavepath = " + dir, 0o644, "configuration", doctor.Fail, "does not turn sessions on"},
		{"unknown key", "sessionon = true\nsessiongclifetime = 60", 0o644, "configuration", doctor.Fail, "app.conf:2: sessiongclifetime is not a session key; the nearest one is"},
		{"bad value", "sessionon = true\nsessionmaxbytes = lots", 0o644, "configuration", doctor.Fail, "app.conf:2: sessionmaxbytes"},
		{"insecure", "sessionon = true\nsessioncookieinsecure = true", 0o644, "cookie", doctor.Warn, "without Secure"},
		{"for scripts", "sessionon = true\nsessiondisablehttponly = true", 0o644, "cookie", doctor.Warn, "read by scripts"},
		{"not sealed", "sessionon = true\nsessionnoseal = true", 0o644, "sealing", doctor.Warn, "readable"},
		{"memory", "sessionon = true", 0o644, "connection", doctor.Warn, "inside the application's own process"},
		{"unknown provider", "sessionon = true\nsessionprovider = acme", 0o644, "connection", doctor.Fail, "no provider of this name"},
		{"password for all", "sessionon = true\nsessionprovider = redis\nsessionsavepath = 127.0.0.1:1,1,hunter2-conf", 0o644, "configuration file", doctor.Warn, "everybody on this machine can read it"},
		{"password for one", "sessionon = true\nsessionprovider = redis\nsessionsavepath = 127.0.0.1:1,1,hunter2-conf", 0o600, "configuration file", doctor.OK, "0600"},
	} {
		t.Run(c.name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "app.conf")
			if err := os.WriteFile(path, []byte(c.conf+"\n"), c.mode); err != nil {
				t.Fatal(err)
			}
			report, r := examine(t, plainApp(), "-config", path)
			report.expect(t, c.check, c.status, c.detail)
			r.lacks(t, "hunter2")
		})
	}
}

func TestDoctorEnv(t *testing.T) {
	t.Setenv("SHOP_SESSION_ON", "true")
	t.Setenv("SHOP_SESSION_PROVIDER", "file")
	t.Setenv("SHOP_SESSION_SAVEPATH", filepath.Join(t.TempDir(), "s"))
	report, _ := examine(t, plainApp(), "--env", "SHOP_SESSION_")
	report.expect(t, "configuration", doctor.OK, "the environment: sessions are on, provider file")
	t.Setenv("SHOP_SESSION_SAFEPATH", "x")
	report, _ = examine(t, plainApp(), "--env", "SHOP_SESSION_")
	report.expect(t, "configuration", doctor.Fail, "SHOP_SESSION_SAFEPATH is not a session key")
}

// TestDoctorCures: what doctor says of a configuration can be done as it says it,
// in the file and in the environment, conf takes it, and then it is well.
func TestDoctorCures(t *testing.T) {
	for _, c := range []struct {
		name, check    string
		before, after  string // of the file
		variable, cure string // of the environment, with the prefix SHOP_; and what is said there
	}{
		{"off", "configuration", "", "sessionon = true", "", "SHOP_ON=true"},
		{"insecure", "cookie", "sessioncookieinsecure = true", "", "SHOP_COOKIEINSECURE=true", "remove SHOP_COOKIEINSECURE"},
		{"for scripts", "cookie", "sessiondisablehttponly = true", "", "SHOP_DISABLEHTTPONLY=true", "remove SHOP_DISABLEHTTPONLY"},
		{"not sealed", "sealing", "sessionnoseal = true", "", "SHOP_NOSEAL=true", "remove SHOP_NOSEAL"},
		{"SameSite=None", "cookie", "sessioncookiesamesite = none", "sessioncookiesamesite = lax", "SHOP_COOKIESAMESITE=none", "SHOP_COOKIESAMESITE=lax"},
		{"SameSite=None and Partitioned", "cookie", "sessioncookiesamesite = none\nsessioncookiepartitioned = on", "sessioncookiesamesite = lax\nsessioncookiepartitioned = on", "", ""},
		{"Domain", "cookie", "sessiondomain = example.com", "", "SHOP_DOMAIN=example.com", "remove SHOP_DOMAIN"},
	} {
		t.Run(c.name, func(t *testing.T) {
			on := "sessionon = true\n"
			if c.name == "off" {
				on = ""
			}
			path := filepath.Join(t.TempDir(), "app.conf")
			finding := func(text string) (f doctor.Finding) {
				if err := os.WriteFile(path, []byte(text+"\n"), 0o600); err != nil {
					t.Fatal(err)
				}
				report, _ := examine(t, plainApp(), "--config", path)
				return report.of(t, c.check)
			}
			f := finding(on + c.before)
			if f.Status == doctor.OK || c.after != "" && !strings.Contains(f.Cure, strings.Split(c.after, "\n")[0]) ||
				c.after == "" && !strings.Contains(f.Cure, "remove "+strings.Fields(c.before)[0]) {
				t.Errorf("before: %s, cure %q", f.Status, f.Cure)
			}
			if f := finding(on + c.after); f.Status != doctor.OK {
				t.Errorf("after the cure: %s, %s", f.Status, f.Detail)
			}
			if c.cure == "" {
				return
			}
			t.Setenv("SHOP_PROVIDER", "memory")
			if on != "" {
				t.Setenv("SHOP_ON", "true")
			}
			if name, value, ok := strings.Cut(c.variable, "="); ok {
				t.Setenv(name, value)
			}
			report, _ := examine(t, plainApp(), "--env", "SHOP_")
			if f := report.of(t, c.check); !strings.Contains(f.Cure, c.cure) {
				t.Errorf("of the environment: %s, cure %q, want %q", f.Status, f.Cure, c.cure)
			}
		})
	}
}

// TestDoctorCurePassword: the password in a file is replaced as doctor says, by a
// reference in the place of it, whatever the password has in it.
func TestDoctorCurePassword(t *testing.T) {
	for _, c := range []struct{ provider, savePath, password string }{
		{"redis", "redis://:%s@127.0.0.1:1/0", "p@ss:w/rd"},
		{"redis", "127.0.0.1:1,100,%s,0", "hunter2"},
		{"mysql", "shop:%s@tcp(127.0.0.1:1)/shop", "hunter2"},
		{"postgres", "postgres://shop:%s@127.0.0.1:1/shop", "p@ss:w/rd"},
		{"postgres", "host=127.0.0.1 port=1 user=shop password=%s dbname=shop", "hunter2"},
	} {
		path := filepath.Join(t.TempDir(), "app.conf")
		examined := func(password string) doctor.Finding {
			text := "sessionon = true\nsessionprovider = " + c.provider + "\nsessionsavepath = " + strings.Replace(c.savePath, "%s", password, 1) + "\n"
			if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
				t.Fatal(err)
			}
			report, r := examine(t, plainApp(), "--config", path)
			r.lacks(t, c.password)
			report.expect(t, "configuration", doctor.OK, c.provider)
			return report.of(t, "configuration file")
		}
		f := examined(url.QueryEscape(c.password))
		reference := regexp.MustCompile(`\$\{SESSION_PASSWORD\}`).FindString(f.Cure)
		if f.Status != doctor.Warn || reference == "" {
			t.Errorf("%s: %s, cure %q", c.savePath, f.Status, f.Cure)
		}
		t.Setenv("SESSION_PASSWORD", c.password)
		if f := examined(reference); f.Status != doctor.OK {
			t.Errorf("%s, after the cure: %s, %s", c.savePath, f.Status, f.Detail)
		}
	}
}

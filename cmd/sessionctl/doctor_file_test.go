package main

import (
	"os"
	"path/filepath"
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

package conf

import (
	"strings"
	"testing"
)

func TestProviderInAnyCase(t *testing.T) {
	for written, want := range map[string]string{
		"redis": "redis", "Redis": "redis", "REDIS": "redis", "MySQL": "mysql", "mysql": "mysql", "File": "file", "Memory": "memory",
		"postgresql": "postgres", "PostgreSQL": "postgres", "postgres": "postgres", "acme": "acme",
	} {
		got, err := loadText("sessionprovider = "+written+"\n", nil)
		if err != nil || got.Provider != want {
			t.Errorf("sessionprovider = %s: %q, %v; want %q", written, got.Provider, err, want)
		}
	}
	for name := range elsewhere {
		for _, written := range []string{name, strings.ToUpper(name)} {
			_, err := loadText("\nsessionprovider = "+written+"\n", nil)
			expectError(t, "sessionprovider = "+written, err, "app.conf:2: ", "sessionprovider", "is refused", "use ")
		}
	}
}

func TestBeegoRedisPaths(t *testing.T) {
	for written, want := range map[string]string{
		`127.0.0.1:6379`:                 `127.0.0.1:6379`,
		`127.0.0.1:6379,100,secret,0,30`: `127.0.0.1:6379,100,secret,0,30`,
		// The idle check frequency and the retries have no meaning here.
		`127.0.0.1:6379,100,secret,0,30,60`:   `127.0.0.1:6379,100,secret,0,30`,
		`127.0.0.1:6379,100,secret,0,30,60,3`: `127.0.0.1:6379,100,secret,0,30`,
		`127.0.0.1:6379,,,,,,`:                `127.0.0.1:6379,,,,`,
		`{"save_path":"db:6379"}`:             `redis://db:6379/0`,
		`{"save_path":"db:6379","poolsize":10,"password":"p@s/s,w?rd","db_num":3,"idle_timeout":"1500ms","idle_check_frequency":"1m","max_retries":2}`: `redis://:p%40s%2Fs,w%3Frd@db:6379/3?idletimeout=2&poolsize=10`,
		`{"save_path":"[::1]:6379","idle_timeout":"0s"}`: `redis://[::1]:6379/0`,
	} {
		for _, key := range []string{"sessionproviderconfig", "sessionsavepath"} {
			got, err := loadText("sessionprovider = Redis\n"+key+" = "+written+"\n", nil)
			if err != nil || got.SavePath != want {
				t.Errorf("%s = %s: %q, %v; want %q", key, written, got.SavePath, err, want)
			}
		}
	}
	for _, wrong := range []string{
		`{`, `{}`, `{"save_path":""}`, `{"save_path":"hunter2"}`, `{"save_path":"hunter2@db:6379"}`, `{"save_path":"db:6379","poolsize":"hunter2"}`,
		`{"save_path":"db:6379","hunter2":1}`, `{"save_path":"db:6379","db_num":-1}`, `{"save_path":"db:6379"} hunter2`, `{"save_path":"db:6379","idle_timeout":"hunter2"}`,
	} {
		_, err := loadText("sessionprovider = redis\n\nsessionproviderconfig = "+wrong+"\n", nil)
		expectError(t, "sessionproviderconfig = "+wrong, err, "app.conf:3: ", "sessionproviderconfig", "JSON")
		if err != nil && strings.Contains(err.Error(), "hunter2") {
			t.Errorf("the error shows a part of the value: %v", err)
		}
	}
	for _, provider := range []string{"file", "MySQL"} {
		_, err := loadText("sessionprovider = "+provider+"\nsessionproviderconfig = {\"save_path\":\"x:1\"}\n", nil)
		expectError(t, "JSON for "+provider, err, "app.conf:2: ", "sessionproviderconfig", "redis")
	}
	got, err := loadText("sessionprovider = mysql\nsessionsavepath = a:b@tcp(db:3306)/shop?x=1,2,3,4,5\n", nil)
	if err != nil || got.SavePath != "a:b@tcp(db:3306)/shop?x=1,2,3,4,5" {
		t.Errorf("a DSN became %q, %v", got.SavePath, err)
	}
}

package conf

import (
	"net/http"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/chisession/session"
	"github.com/chisession/session/cookie"
)

// valid has for every key what it takes and makes of it; Disabled is the
// default's, true, but for sessionon.
var valid = []struct {
	key, value string
	want       session.Config
}{
	{"sessionon", "true", session.Config{}},
	{"sessionon", "TRUE", session.Config{}},
	{"sessionon", "on", session.Config{}},
	{"sessionon", "Yes", session.Config{}},
	{"sessionon", "1", session.Config{}},
	{"sessionon", "t", session.Config{}},
	{"sessionon", "y", session.Config{}},
	{"sessionon", "false", session.Config{Disabled: true}},
	{"sessionon", "off", session.Config{Disabled: true}},
	{"sessionon", "No", session.Config{Disabled: true}},
	{"sessionon", "0", session.Config{Disabled: true}},
	{"sessionprovider", "mysql", off(session.Config{Provider: "mysql"})},
	{"sessionprovider", "", off(session.Config{})},
	{"sessionsavepath", "./tmp", off(session.Config{SavePath: "./tmp"})},
	{"sessionsavepath", "", off(session.Config{})},
	{"sessionsavepath", "user:p#ss;w@tcp(127.0.0.1:3306)/db?x=y&loc=Local", off(session.Config{SavePath: "user:p#ss;w@tcp(127.0.0.1:3306)/db?x=y&loc=Local"})},
	{"sessionsavepath", "redis://:p%(x)s\\@[::1]:6379/0", off(session.Config{SavePath: "redis://:p%(x)s\\@[::1]:6379/0"})},
	{"sessionproviderconfig", `{"save_path":"127.0.0.1:6379"}`, off(session.Config{SavePath: `{"save_path":"127.0.0.1:6379"}`})},
	{"sessionname", "sid", off(session.Config{Cookie: cookie.Options{Name: "sid"}})},
	{"sessionname", "__Host-sid", off(session.Config{Cookie: cookie.Options{Name: "__Host-sid"}})},
	{"sessiongcmaxlifetime", "3600", off(session.Config{IdleTimeout: time.Hour})},
	{"sessiongcmaxlifetime", "3600s", off(session.Config{IdleTimeout: time.Hour})},
	{"sessiongcmaxlifetime", "1.5h", off(session.Config{IdleTimeout: 90 * time.Minute})},
	{"sessiongcmaxlifetime", "3153600000", off(session.Config{IdleTimeout: maxTimeout})},
	{"sessionabsolutetimeout", "12h", off(session.Config{AbsoluteTimeout: 12 * time.Hour})},
	{"sessiontouchevery", "30", off(session.Config{TouchEvery: 30 * time.Second})},
	{"sessionstoretimeout", "500ms", off(session.Config{StoreTimeout: time.Second / 2})},
	{"sessionsweepevery", "60", off(session.Config{SweepEvery: time.Minute})},
	{"sessionsweepevery", "Never", off(session.Config{SweepEvery: -1})},
	{"sessionmaxbytes", "65536", off(session.Config{MaxBytes: 65536})},
	{"sessionmaxperuser", "5", off(session.Config{MaxPerUser: 5})},
	{"sessionmaxperuser", "0", off(session.Config{})},
	{"sessionnoseal", "true", off(session.Config{NoSeal: true})},
	{"sessiononoutage", "FailClosed", off(session.Config{OnOutage: session.OutageFail})},
	{"sessiononmaxperuser", "EndOldest", off(session.Config{})},
	{"sessiononmaxperuser", "refuse", off(session.Config{OnMaxPerUser: session.MaxPerUserRefuse})},
	{"sessiononoutage", "anonymous", off(session.Config{OnOutage: session.OutageAnonymous})},
	{"sessioncookielifetime", "0", off(session.Config{})},
	{"sessioncookielifetime", "86400", off(session.Config{Cookie: cookie.Options{MaxAge: 24 * time.Hour}})},
	{"sessioncookielifetime", "9600h", off(session.Config{Cookie: cookie.Options{MaxAge: cookie.MaxAge}})},
	{"sessioncookiepersistent", "true", off(session.Config{Cookie: cookie.Options{Persistent: true}})},
	{"sessiondomain", "example.com", off(session.Config{Cookie: cookie.Options{Domain: "example.com"}})},
	{"sessiondomain", "", off(session.Config{})},
	{"sessioncookiepath", "/shop", off(session.Config{Cookie: cookie.Options{Path: "/shop"}})},
	{"sessioncookiesamesite", "1", off(session.Config{Cookie: cookie.Options{SameSite: http.SameSiteDefaultMode}})},
	{"sessioncookiesamesite", "2", off(session.Config{Cookie: cookie.Options{SameSite: http.SameSiteLaxMode}})},
	{"sessioncookiesamesite", "3", off(session.Config{Cookie: cookie.Options{SameSite: http.SameSiteStrictMode}})},
	{"sessioncookiesamesite", "4", off(session.Config{Cookie: cookie.Options{SameSite: http.SameSiteNoneMode}})},
	{"sessioncookiesamesite", "Default", off(session.Config{Cookie: cookie.Options{SameSite: http.SameSiteDefaultMode}})},
	{"sessioncookiesamesite", "Lax", off(session.Config{Cookie: cookie.Options{SameSite: http.SameSiteLaxMode}})},
	{"sessioncookiesamesite", "STRICT", off(session.Config{Cookie: cookie.Options{SameSite: http.SameSiteStrictMode}})},
	{"sessioncookiesamesite", "none", off(session.Config{Cookie: cookie.Options{SameSite: http.SameSiteNoneMode}})},
	{"sessiondisablehttponly", "true", off(session.Config{Cookie: cookie.Options{ScriptReadable: true}})},
	{"sessioncookieinsecure", "true", off(session.Config{Cookie: cookie.Options{Insecure: true}})},
	{"sessioncookiepartitioned", "true", off(session.Config{Cookie: cookie.Options{Partitioned: true}})},
	{"sessionautosetcookie", "true", off(session.Config{})},
	{"sessionenablesidinurlquery", "false", off(session.Config{})},
	{"sessionenablesidinhttpheader", "false", off(session.Config{})},
	{"sessionnameinhttpheader", "Beegosessionid", off(session.Config{})},
	{"sessionidprefix", "shop_", off(session.Config{})},
	{"sessionidlength", "32", off(session.Config{})},
	{"sessionhashfunc", "sha1", off(session.Config{})},
	{"sessionhashkey", "beegoserversessionkey", off(session.Config{})},
	{"sessionconfig", "", off(session.Config{})},
}

func off(c session.Config) session.Config {
	c.Disabled = true
	return c
}

func TestKeysValid(t *testing.T) {
	covered := make(map[string]bool)
	for _, tt := range valid {
		covered[tt.key] = true
		got, err := loadText(tt.key+" = "+tt.value, nil)
		if err != nil {
			t.Errorf("Load of %s = %s: %v", tt.key, tt.value, err)
		}
		expectConfig(t, "Load of "+tt.key+" = "+tt.value, got, tt.want)

		variable := "SESSION_" + strings.ToUpper(strings.TrimPrefix(tt.key, "session"))
		got, err = fromEnv("SESSION_", []string{variable + "=" + tt.value})
		if err != nil {
			t.Errorf("FromEnv with %s=%s: %v", variable, tt.value, err)
		}
		expectConfig(t, "FromEnv with "+variable+"="+tt.value, got, tt.want)
	}
	for _, k := range Keys() {
		if !covered[k.Name] {
			t.Errorf("key %s: not in the table of valid values", k.Name)
		}
	}
}

func TestKeysBad(t *testing.T) {
	bools := []string{"", "maybe", "2", "-1", "truee", "true false"}
	timeouts := []string{"", "0", "0s", "-1", "-5s", "-99999999999999999999", "99999999999999999999", "9223372036854775807", "9999999999", "3153600001", "900000h", "1us", "1e3", "60 s", "1d", "forever", "0x10", "1_000", "３６００", "NaN"}
	bad := map[string][]string{
		"sessionon":                    bools,
		"sessionprovider":              {"mem\x00ory"},
		"sessionsavepath":              {"a\x07b"},
		"sessionproviderconfig":        {"a\rb"},
		"sessionname":                  {"my session", "a;b", "a=b", "sïd", strings.Repeat("x", 5000)},
		"sessiongcmaxlifetime":         timeouts,
		"sessionabsolutetimeout":       timeouts,
		"sessiontouchevery":            timeouts,
		"sessionstoretimeout":          timeouts,
		"sessionsweepevery":            timeouts,
		"sessionmaxbytes":              {"", "0", "-1", "1MiB", "1.5", "9223372036854775808"},
		"sessionmaxperuser":            {"", "-1", "many", "9223372036854775808"},
		"sessionnoseal":                bools,
		"sessiononmaxperuser":          {"", "end", "0", "refused"},
		"sessiononoutage":              {"", "open", "1", "fail closed"},
		"sessioncookielifetime":        {"", "-1", "500ms", "34560001", "9600h1s", "99999999999999999999", "soon"},
		"sessioncookiepersistent":      bools,
		"sessiondomain":                {"http://example.com", "example.com:80", "a b", "-a.com", "a..b", "exämple.com"},
		"sessioncookiepath":            {"shop", "/a b", "/a;b"},
		"sessioncookiesamesite":        {"", "0", "5", "-1", "laxx"},
		"sessiondisablehttponly":       bools,
		"sessioncookieinsecure":        bools,
		"sessioncookiepartitioned":     bools,
		"sessionautosetcookie":         append(bools, "false", "0", "off"),
		"sessionenablesidinurlquery":   append(bools, "true", "1", "on"),
		"sessionenablesidinhttpheader": append(bools, "true", "Yes"),
		"sessionnameinhttpheader":      {"a\x00"},
		"sessionidprefix":              {"a\x00"},
		"sessionidlength":              {"a\x00"},
		"sessionhashfunc":              {"a\x00"},
		"sessionhashkey":               {"a\x00"},
		"sessionconfig":                {`{"cookieName":"gosessionid"}`},
	}
	for _, k := range Keys() {
		if len(bad[k.Name]) == 0 {
			t.Errorf("key %s: not in the table of bad values", k.Name)
		}
		for _, value := range bad[k.Name] {
			what := strconv.Quote(k.Name + " = " + value)
			got, err := loadText("\n# a comment\n  "+strings.ToUpper(k.Name)+"="+value+"\n", nil)
			expectError(t, "Load of "+what, err, "app.conf:3: "+strings.ToUpper(k.Name))
			expectConfig(t, "Load of "+what, got, session.Config{})

			got, err = fromEnv("S_", []string{"S_" + k.Env + "=" + value})
			expectError(t, "FromEnv of "+what, err, "S_"+k.Env)
			expectConfig(t, "FromEnv of "+what, got, session.Config{})
		}
	}
}

func TestErrorTexts(t *testing.T) {
	for _, tt := range []struct{ line, want string }{
		{"sessiongcmaxlifetime =", "conf: app.conf:1: sessiongcmaxlifetime is blank; it takes " + wantTimeout},
		{"sessiongcmaxlifetime = -1", "conf: app.conf:1: sessiongcmaxlifetime is negative; it takes " + wantTimeout},
		{"sessiongcmaxlifetime = 0", "conf: app.conf:1: sessiongcmaxlifetime is 0; it takes " + wantTimeout},
		{"sessiongcmaxlifetime = 99999999999999999999", "conf: app.conf:1: sessiongcmaxlifetime is too large; it takes " + wantTimeout},
		{"sessiongcmaxlifetime = 36OO", "conf: app.conf:1: sessiongcmaxlifetime has a value that cannot be understood; it takes " + wantTimeout},
		{"SessionOn = maybe", "conf: app.conf:1: SessionOn has a value that cannot be understood; it takes true or false"},
		{"SessionNme = x", "conf: app.conf:1: SessionNme is not a session key; the nearest one is sessionname"},
		{"sessiondomain = a b", "conf: app.conf:1: sessiondomain has a value that no browser would take; it takes a host name without scheme, port and blanks, such as example.com"},
		{"sessionautosetcookie = false", "conf: app.conf:1: sessionautosetcookie: false is refused: no browser would get its session back; to turn sessions off, use sessionon = false"},
		{"sessionname = ${NOT_SET}", "conf: app.conf:1: sessionname: the environment variable that it refers to is not set; set it, or write ${NAME||default}"},
		{"sessionname", `conf: app.conf:1: not a line of the form [section], key = value, include "file" or # comment`},
	} {
		if _, err := loadText(tt.line, nil); err == nil || err.Error() != tt.want {
			t.Errorf("Load of %q:\n got %v\nwant %s", tt.line, err, tt.want)
		}
	}
}

func TestUnknownKeys(t *testing.T) {
	for key, nearest := range map[string]string{
		"sessionnam":              "sessionname",
		"sessioncookielifetimes":  "sessioncookielifetime",
		"session_provider":        "sessionprovider",
		"session.on":              "sessionon",
		"sessiongclifetime":       "sessiongcmaxlifetime",
		"sessionsaveapth":         "sessionsavepath",
		"sessionmaxlifetime":      "sessiongcmaxlifetime",
		"session":                 "sessionon",
		strings.Repeat("s", 1000): "",
	} {
		_, err := loadText(key+" = 1", nil)
		if !strings.HasPrefix(strings.ToLower(key), "session") {
			if err != nil {
				t.Errorf("Load with %s: %v", shown(key), err)
			}
			continue
		}
		expectError(t, "Load with "+key, err, "app.conf:1: "+key, "the nearest one is "+nearest)
	}
	_, err := loadText("session"+strings.Repeat("ä\u202e", 1<<16)+" = 1", nil)
	expectError(t, "Load with a long key", err, "app.conf:1: session", "…")
	if err != nil && len(err.Error()) > 200 {
		t.Errorf("Load with a long key: an error of %d bytes", len(err.Error()))
	}
}

func TestKeysIsACopy(t *testing.T) {
	Keys()[0].Name = "changed"
	if got := Keys()[0].Name; got != "sessionon" {
		t.Errorf("Keys()[0].Name = %q after a caller changed his, want sessionon", got)
	}
}

func TestKeysAreComplete(t *testing.T) {
	seen := make(map[string]bool)
	for _, k := range Keys() {
		switch {
		case k.Name == "" || k.Env == "" || k.Values == "" || k.Meaning == "":
			t.Errorf("key %+v: something is missing", k)
		case k.Name != strings.ToLower(k.Name) || !strings.HasPrefix(k.Name, "session"):
			t.Errorf("key %s: want lower case, beginning with session", k.Name)
		case k.Field != "" && k.Default == "":
			t.Errorf("key %s: no default", k.Name)
		case seen[k.Env]:
			t.Errorf("key %s: the variable %s is another's", k.Name, k.Env)
		}
		seen[k.Env] = true
	}
}

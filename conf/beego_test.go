package conf

import (
	"net/http"
	"testing"
	"time"

	"github.com/chisession/session"
	"github.com/chisession/session/cookie"
)

// beego are the fields of Beego's web.SessionConfig (v2.3.8), each of which is
// a key of app.conf, and those that only older versions or its
// session.ManagerConfig have. Each is honoured, has no effect for a reason
// that Keys gives, or is refused with a cure.
var beego = []struct {
	line    string
	want    session.Config // Disabled, unless the line turns sessions on
	refused string         // the cure in the error
}{
	{line: "SessionOn = true", want: session.Config{}},
	{line: "SessionOn = false", want: off(session.Config{})},
	{line: "SessionProvider = redis", want: off(session.Config{Provider: "redis"})},
	{line: "SessionName = sid", want: off(session.Config{Cookie: cookie.Options{Name: "sid"}})},
	{line: "SessionGCMaxLifetime = 1800", want: off(session.Config{IdleTimeout: 30 * time.Minute})},
	{line: "SessionProviderConfig = ./tmp", want: off(session.Config{SavePath: "./tmp"})},
	{line: "SessionSavePath = ./tmp", want: off(session.Config{SavePath: "./tmp"})},
	{line: "SessionCookieLifeTime = 86400", want: off(session.Config{Cookie: cookie.Options{MaxAge: 24 * time.Hour}})},
	{line: "SessionDomain = example.com", want: off(session.Config{Cookie: cookie.Options{Domain: "example.com"}})},
	{line: "SessionDisableHTTPOnly = true", want: off(session.Config{Cookie: cookie.Options{ScriptReadable: true}})},
	{line: "SessionCookieSameSite = 3", want: off(session.Config{Cookie: cookie.Options{SameSite: http.SameSiteStrictMode}})},

	{line: "SessionAutoSetCookie = true", want: off(session.Config{})},
	{line: "SessionAutoSetCookie = false", refused: "use sessionon = false"},
	{line: "SessionEnableSidInHTTPHeader = false", want: off(session.Config{})},
	{line: "SessionEnableSidInHTTPHeader = true", refused: "set Config.Transport to session.FirstOf(session.HeaderTransport(NAME), session.Transport{})"},
	{line: "SessionNameInHTTPHeader = Beegosessionid", want: off(session.Config{})},
	{line: "SessionEnableSidInURLQuery = false", want: off(session.Config{})},
	{line: "SessionEnableSidInURLQuery = true", refused: "the cookie carries it"},
	{line: "SessionIDPrefix = shop_", want: off(session.Config{})},
	{line: "SessionIDLength = 16", want: off(session.Config{})},
	{line: "SessionHashFunc = sha1", want: off(session.Config{})},
	{line: "SessionHashKey = beegoserversessionkey", want: off(session.Config{})},
	{line: `sessionConfig = {"cookieName":"gosessionid","EnableSidInHTTPHeader":true}`, refused: "write its fields as keys"},
}

func TestBeegoKeys(t *testing.T) {
	for _, tt := range beego {
		got, err := loadText("appname = shop\n\n"+tt.line+"\n", nil)
		if tt.refused != "" {
			expectError(t, "Load of "+tt.line, err, "app.conf:3: ", "is refused", tt.refused)
			continue
		}
		if err != nil {
			t.Errorf("Load of %s: %v", tt.line, err)
			continue
		}
		expectConfig(t, "Load of "+tt.line, got, tt.want)
	}
}

package conf

import (
	"strings"
	"time"

	"github.com/chisession/session"
	"github.com/chisession/session/cookie"
)

// A Key is one setting that [Load] and [FromEnv] understand.
type Key struct {
	// Name is the key in a file, in lower case; any case is accepted.
	Name string

	// Env is the name of the environment variable without its prefix:
	// Name without "session", in upper case.
	Env string

	// Field is the field of session.Config that the key sets; empty for a
	// key that is accepted without effect, or refused.
	Field string

	// Values says what it takes.
	Values string

	// Default says what holds when the key is absent.
	Default string

	// Meaning is what the key does, or why it does nothing.
	Meaning string

	optional bool // a blank value is as good as none
	set      func(c *session.Config, value string) error
}

// Keys returns all keys: first those that set something, then those that are
// accepted without effect or refused. The slice is the caller's.
func Keys() []Key {
	all := make([]Key, len(keys))
	copy(all, keys)
	return all
}

const (
	prefix = "session"

	// maxTimeout is the longest timeout that session.Config takes.
	maxTimeout = 100 * 365 * 24 * time.Hour

	wantBool    = "true or false"
	wantText    = "any text"
	wantTimeout = "a number of seconds above 0, or a Go duration such as 90s or 24h, of at most 100 years"
	wantCookie  = "0, a number of seconds, or a Go duration such as 720h, of at most 400 days"
)

var keys = []Key{{
	Name: "sessionon", Field: "Disabled", Values: wantBool, Default: "false",
	Meaning: "Turns sessions on. When they are off, the middleware steps aside.",
	set:     boolean(func(c *session.Config, on bool) { c.Disabled = !on }),
}, {
	Name: "sessionprovider", Field: "Provider", Values: "the name of a backend, in any case", Default: "memory",
	Meaning: "Where sessions are kept: memory, file, or a backend whose package is imported, such as mysql, redis, postgres (or postgresql) and sqlite.",
	set:     provider, optional: true,
}, {
	Name: "sessionsavepath", Field: "SavePath", Values: "a path, address or DSN", Default: "the backend's",
	Meaning: "Where, in the backend's own terms: a directory for file, a DSN for mysql, a connection string for postgres, a file for sqlite, `host:port,poolsize,password,dbnum,idletimeout`, a URL or the JSON of Beego v2 for redis.",
	set:     text(func(c *session.Config) *string { return &c.SavePath }), optional: true,
}, {
	Name: "sessionproviderconfig", Field: "SavePath", Values: "a path, address or DSN", Default: "the backend's",
	Meaning: "The same as sessionsavepath. Give one, or the same value twice.",
	set:     text(func(c *session.Config) *string { return &c.SavePath }), optional: true,
}, {
	Name: "sessionname", Field: "Cookie.Name", Values: "letters, digits, and the signs that a cookie's name may have, such as - _ and .", Default: cookie.DefaultName,
	Meaning: "The cookie's name. One that begins with `__Host-` or `__Secure-` has the browser check where it comes from.",
	set:     text(func(c *session.Config) *string { return &c.Cookie.Name }), optional: true,
}, {
	Name: "sessiongcmaxlifetime", Field: "IdleTimeout", Values: wantTimeout, Default: "3600",
	Meaning: "How long after its last activity a session ends.",
	set:     timeout(func(c *session.Config) *time.Duration { return &c.IdleTimeout }),
}, {
	Name: "sessionabsolutetimeout", Field: "AbsoluteTimeout", Values: wantTimeout, Default: "24h, or sessiongcmaxlifetime if that is longer",
	Meaning: "How long after its creation a session ends, however active it is.",
	set:     timeout(func(c *session.Config) *time.Duration { return &c.AbsoluteTimeout }),
}, {
	Name: "sessiontouchevery", Field: "TouchEvery", Values: wantTimeout, Default: "a twentieth of sessiongcmaxlifetime, at most 1m",
	Meaning: "How often, at most, activity that changes nothing is written to the store. Shorter than sessiongcmaxlifetime.",
	set:     timeout(func(c *session.Config) *time.Duration { return &c.TouchEvery }),
}, {
	Name: "sessionstoretimeout", Field: "StoreTimeout", Values: wantTimeout, Default: "3s",
	Meaning: "How long a request waits for the store in one go.",
	set:     timeout(func(c *session.Config) *time.Duration { return &c.StoreTimeout }),
}, {
	Name: "sessionsweepevery", Field: "SweepEvery", Values: "never, or " + wantTimeout, Default: "5m",
	Meaning: "How often expired sessions are removed from a store whose server does not do so by itself.",
	set:     sweepEvery,
}, {
	Name: "sessionmaxbytes", Field: "MaxBytes", Values: "a number of bytes above 0", Default: "1048576",
	Meaning: "How large one session may grow.",
	set:     number(1, func(c *session.Config) *int { return &c.MaxBytes }),
}, {
	Name: "sessionmaxperuser", Field: "MaxPerUser", Values: "a number, or 0 for no limit", Default: "0",
	Meaning: "How many sessions one user may have. A login above it ends those that logged in longest ago.",
	set:     number(0, func(c *session.Config) *int { return &c.MaxPerUser }),
}, {
	Name: "sessiononmaxperuser", Field: "OnMaxPerUser", Values: "endoldest or refuse", Default: "endoldest",
	Meaning: "What a login above sessionmaxperuser does: endoldest ends the user's sessions that logged in longest ago, refuse refuses the login with 403.",
	set:     onMaxPerUser,
}, {
	Name: "sessionnoseal", Field: "NoSeal", Values: wantBool, Default: "false",
	Meaning: "Stores values readable for whoever can read the store.",
	set:     boolean(func(c *session.Config, on bool) { c.NoSeal = on }),
}, {
	Name: "sessiononoutage", Field: "OnOutage", Values: "failclosed or anonymous", Default: "failclosed",
	Meaning: "What happens to a request when the store does not answer: failclosed responds with 503, anonymous runs the handler without a session.",
	set:     onOutage,
}, {
	Name: "sessioncookielifetime", Field: "Cookie.MaxAge", Values: wantCookie, Default: "0",
	Meaning: "How long the browser keeps the cookie. 0 is until it is closed, unless sessioncookiepersistent is true.",
	set:     cookieLifetime,
}, {
	Name: "sessioncookiepersistent", Field: "Cookie.Persistent", Values: wantBool, Default: "false",
	Meaning: "Has the browser keep the cookie when it is closed, for as long as the session lives.",
	set:     boolean(func(c *session.Config, on bool) { c.Cookie.Persistent = on }),
}, {
	Name: "sessiondomain", Field: "Cookie.Domain", Values: "a host name without scheme, port and blanks, such as example.com", Default: "none: only the host that set the cookie gets it back",
	Meaning: "Sends the cookie to all sub-domains of this one, too.",
	set:     text(func(c *session.Config) *string { return &c.Cookie.Domain }), optional: true,
}, {
	Name: "sessioncookiepath", Field: "Cookie.Path", Values: "a path that begins with a slash, without blanks, commas and semicolons", Default: "/",
	Meaning: "The path prefix that the cookie is sent to.",
	set:     text(func(c *session.Config) *string { return &c.Cookie.Path }), optional: true,
}, {
	Name: "sessioncookiesamesite", Field: "Cookie.SameSite", Values: "default, lax, strict or none, or Beego's numbers for them, 1 to 4", Default: "lax",
	Meaning: "Which requests from other sites bring the cookie. default is lax.",
	set:     sameSite,
}, {
	Name: "sessiondisablehttponly", Field: "Cookie.ScriptReadable", Values: wantBool, Default: "false",
	Meaning: "Lets scripts read the cookie: an attacker's, too.",
	set:     boolean(func(c *session.Config, on bool) { c.Cookie.ScriptReadable = on }),
}, {
	Name: "sessioncookieinsecure", Field: "Cookie.Insecure", Values: wantBool, Default: "false",
	Meaning: "Leaves Secure out of the cookie, for plain HTTP: anyone on the way can take the session.",
	set:     boolean(func(c *session.Config, on bool) { c.Cookie.Insecure = on }),
}, {
	Name: "sessioncookiepartitioned", Field: "Cookie.Partitioned", Values: wantBool, Default: "false",
	Meaning: "Keys the cookie by the embedding site (CHIPS).",
	set:     boolean(func(c *session.Config, on bool) { c.Cookie.Partitioned = on }),
}, {
	Name: "sessionautosetcookie", Values: "true", Default: "true",
	Meaning: "No effect: the cookie is always set, when there is something to keep. false is refused, since no browser would get its session back.",
	set:     refuse(false, "false is refused: no browser would get its session back; to turn sessions off, use sessionon = false"),
}, {
	Name: "sessionenablesidinurlquery", Values: "false", Default: "false",
	Meaning: "true is refused: a token in a URL ends up in logs, histories and Referer headers (CWE-598).",
	set:     refuse(true, "true is refused: a token in a URL ends up in logs, histories and Referer headers (CWE-598); the cookie carries it"),
}, {
	Name: "sessionenablesidinhttpheader", Values: "false", Default: "false",
	Meaning: "true is refused: a header is chosen in Go, by Config.Transport.",
	set:     refuse(true, "true is refused: a header is chosen in Go: set Config.Transport to session.FirstOf(session.HeaderTransport(NAME), session.Transport{})"),
}, {
	Name: "sessionnameinhttpheader", Values: wantText,
	Meaning: "No effect: it names the header of sessionenablesidinhttpheader.",
	set:     ignore, optional: true,
}, {
	Name: "sessionidprefix", Values: wantText,
	Meaning: "No effect: IDs are UUIDs, so those of two applications never collide.",
	set:     ignore, optional: true,
}, {
	Name: "sessionidlength", Values: wantText,
	Meaning: "No effect: every token has 256 random bits.",
	set:     ignore, optional: true,
}, {
	Name: "sessionhashfunc", Values: wantText,
	Meaning: "No effect (a key of old Beegos): tokens are random, not a hash of anything.",
	set:     ignore, optional: true,
}, {
	Name: "sessionhashkey", Values: wantText,
	Meaning: "No effect (a key of old Beegos): there is no key to manage.",
	set:     ignore, optional: true,
}, {
	Name: "sessionconfig", Values: "nothing",
	Meaning: "Refused: in Beego this JSON text replaces all other keys. Write its fields as keys.",
	set:     refuseJSON, optional: true,
}}

func init() {
	for i := range keys {
		keys[i].Env = strings.ToUpper(strings.TrimPrefix(keys[i].Name, prefix))
	}
}

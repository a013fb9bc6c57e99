package cookie_test

import (
	"net/http"
	"strings"
	"testing"

	"github.com/chisession/session/cookie"
)

// TestSizes: name and value of 4096 bytes together and attributes of
// 1024 are the most (RFC 6265bis §5.6); one more is an error.
func TestSizes(t *testing.T) {
	const token = 64
	for _, tt := range []struct {
		opts cookie.Options
		ok   bool
	}{
		{cookie.Options{Name: strings.Repeat("n", 4096-token)}, true}, {cookie.Options{Name: strings.Repeat("n", 4096-token+1)}, false},
		{cookie.Options{Path: "/" + strings.Repeat("p", 1023)}, true}, {cookie.Options{Path: "/" + strings.Repeat("p", 1024)}, false},
		{cookie.Options{Domain: strings.Repeat("d.", 125) + "com"}, true}, {cookie.Options{Domain: strings.Repeat("d.", 126) + "com"}, false},
	} {
		c, err := cookie.New(tt.opts)
		if (err == nil) != tt.ok {
			t.Errorf("New with a name of %d, a path of %d, a domain of %d: %v", len(tt.opts.Name), len(tt.opts.Path), len(tt.opts.Domain), err)
		}
		if err != nil {
			continue
		}
		if got, err := http.ParseSetCookie(c.Set(strings.Repeat("v", token), 0)); err != nil || len(got.Name)+len(got.Value) > 4096 {
			t.Errorf("the line of what was accepted: %v", err)
		}
	}
}

// TestEveryByte puts each byte into name, path and domain: it is an
// error, or the lines that set and remove the cookie say exactly what was
// asked for; never another header, never no cookie.
func TestEveryByte(t *testing.T) {
	accepted := 0
	try := func(o cookie.Options) {
		c, err := cookie.New(o)
		if err != nil {
			return
		}
		accepted++
		for _, line := range []string{c.Set("v", 0), c.Set("v", 1e9), c.Remove()} {
			if strings.ContainsAny(line, "\r\n\x00") {
				t.Errorf("%+v: the line is %q", o, line)
			}
			got := attributes(line)
			for name, want := range map[string]string{"": c.Name(), "path": c.Options().Path, "domain": strings.TrimPrefix(o.Domain, "."), "secure": "", "httponly": "", "samesite": "Lax"} {
				if value, ok := got[name]; value != want || !ok && name != "domain" {
					t.Errorf("%+v: %q has %s %q, want %q", o, line, name, value, want)
				}
			}
			delete(got, "expires")
			if delete(got, "max-age"); len(got) > 6 {
				t.Errorf("%+v: %q has more than was asked for", o, line)
			}
		}
	}
	for b := range 256 {
		for _, text := range []string{string([]byte{byte(b)}), "a" + string([]byte{byte(b)}), string([]byte{byte(b)}) + "a", "a" + string([]byte{byte(b)}) + "b", string(rune(b))} {
			try(cookie.Options{Name: text})
			try(cookie.Options{Path: "/" + text})
			try(cookie.Options{Domain: text + ".example.com"})
			try(cookie.Options{Name: "__Secure-" + text, Path: "/" + text, Domain: text + ".example.com"})
		}
	}
	for _, inject := range []string{"a\r\nSet-Cookie: x=y", "a; Domain=evil.example", "a,b=c", "a b", "a;Secure", "é", "\u2028", "a\x00b", "a\tb"} {
		for _, o := range []cookie.Options{{Name: inject}, {Path: "/" + inject}, {Domain: inject}, {Domain: inject + ".example.com"}} {
			if _, err := cookie.New(o); err == nil {
				t.Errorf("New(%+v): no error", o)
			}
		}
	}
	if accepted < 500 {
		t.Errorf("only %d were accepted: letters, digits and some signs must be", accepted)
	}
}

// attributes reads a Set-Cookie line as browsers do (RFC 6265bis §5.6), the
// cookie's name under "".
func attributes(line string) map[string]string {
	all := map[string]string{}
	for i, part := range strings.Split(line, ";") {
		name, value, _ := strings.Cut(part, "=")
		name = strings.ToLower(strings.Trim(name, " \t"))
		if value = strings.Trim(value, " \t"); i == 0 {
			name, value = "", strings.Trim(part[:max(0, strings.IndexByte(part, '='))], " \t")
		}
		all[name] = value
	}
	return all
}

// TestNamesAreBytes: what some parsers take for the cookie's name is
// another name here: Unicode blanks, $Version, percent-escapes, case.
func TestNamesAreBytes(t *testing.T) {
	const name = "__Host-id"
	c := newCookie(t, cookie.Options{Name: name})
	for _, other := range []string{
		"\u2000" + name, "\u00a0" + name, "\u0085" + name, "\xa0" + name, "\v" + name, "\f" + name, "\x1c" + name, name + "\u2000", name + " ", name + "\t",
		"$Version=1," + name, "$Version=1, " + name, "$" + name, "%5f_Host-id", "_%5FHost-id", "__Host%2Did", `"` + name + `"`, "__host-id", "__HOST-ID", "__Host-id[]", "x" + name, name + "x", "=" + name,
	} {
		for _, line := range []string{other + "=evil", "a=1; " + other + "=evil", "$Version=1; " + other + "=evil; $Path=/"} {
			if got := values(c, line); len(got) > 0 {
				t.Errorf("%q has %q for %s", line, got, name)
			}
			if got := values(c, line+"; "+name+"=good"); len(got) != 1 || got[0] != "good" {
				t.Errorf("%q and the real one: %q", line, got)
			}
		}
	}
	for _, value := range []string{"%41", `"a"`, "a%20b", "\u2000a", "a b", "a,b", ""} {
		if got := values(c, name+"="+value); len(got) != 1 || got[0] != value {
			t.Errorf("the value %q is read as %q, want it as it is", value, got)
		}
	}
}

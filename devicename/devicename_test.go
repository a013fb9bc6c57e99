package devicename_test

import (
	"fmt"
	"net/http/httptest"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/chisession/session/devicename"
)

const firefox = "Mozilla/5.0 (Windows NT 10.0; Win64; x64; rv:140.0) Gecko/20100101 Firefox/140.0"

func TestName(t *testing.T) {
	for userAgent, want := range map[string]string{
		firefox: "Firefox on Windows",
		"Mozilla/5.0 (iPhone; CPU iPhone OS 18_5 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/18.5 Mobile/15E148 Safari/604.1": "Safari on iPhone",
		"Mozilla/5.0 (iPad; CPU OS 18_5 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/18.5 Mobile/15E148 Safari/604.1":          "Safari on iPad",
		"Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/137.0.0.0 Safari/537.36":                   "Chrome on Mac",
		"Mozilla/5.0 (Linux; Android 10; K) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/137.0.0.0 Mobile Safari/537.36":                         "Chrome on Android",
		"Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/137.0.0.0 Safari/537.36 Edg/137.0.0.0":           "Edge on Windows",
		"Mozilla/5.0 (compatible; Googlebot/2.1; +http://www.google.com/bot.html)":                                                                "Bot",
		"": devicename.Unknown,
	} {
		if got := devicename.Name(userAgent); got != want {
			t.Errorf("Name(%q) = %q, want %q", userAgent, got, want)
		}
	}
}

// TestNameHasNothingOfTheHeader: whatever a client sends, a list shows words that
// the parser knows.
func TestNameHasNothingOfTheHeader(t *testing.T) {
	for _, userAgent := range []string{
		"<script>alert(1)</script>", "\x00\xff\xfe", "Evil/1.0 (Evil OS)", strings.Repeat("Evil ", 1<<18), firefox + "<b>Evil</b>",
	} {
		if got := devicename.Name(userAgent); strings.ContainsAny(got, "<>\x00") || !utf8.ValidString(got) || strings.Contains(got, "vil") || len(got) > 64 {
			t.Errorf("Name(%.40q…) = %q", userAgent, got)
		}
	}
}

// TestAddressOnlyIfAsked: and never the port, nor what is no address.
func TestAddressOnlyIfAsked(t *testing.T) {
	r := httptest.NewRequest("GET", "/", nil)
	r.Header.Set("User-Agent", firefox)
	withAddress := devicename.Options{Address: devicename.RemoteAddr}
	for _, tt := range []struct {
		remote string
		opts   devicename.Options
		want   string
	}{
		{"203.0.113.7:1234", devicename.Options{}, "Firefox on Windows"},
		{"203.0.113.7:1234", withAddress, "Firefox on Windows, 203.0.113.7"},
		{"[::ffff:203.0.113.7]:1234", withAddress, "Firefox on Windows, 203.0.113.7"},
		{"[2001:db8::1]:1234", withAddress, "Firefox on Windows, 2001:db8::1"},
		{"@", withAddress, "Firefox on Windows"},
	} {
		r.RemoteAddr = tt.remote
		if got := devicename.Of(r, tt.opts); got != tt.want {
			t.Errorf("Of(a request from %s) = %q, want %q", tt.remote, got, tt.want)
		}
	}
}

func FuzzName(f *testing.F) {
	f.Add(firefox)
	f.Add("curl/8.5.0")
	f.Fuzz(func(t *testing.T, userAgent string) {
		if got := devicename.Name(userAgent); got == "" || len(got) > 64 {
			t.Errorf("Name(%q) = %q", userAgent, got)
		}
	})
}

func BenchmarkName(b *testing.B) {
	b.ReportAllocs()
	for b.Loop() {
		devicename.Name(firefox)
	}
}

// The name is for a list; it is made once, at the login.
func ExampleOf() {
	r := httptest.NewRequest("POST", "/login", nil)
	r.Header.Set("User-Agent", firefox)
	fmt.Println(devicename.Of(r, devicename.Options{}))
	// Output: Firefox on Windows
}

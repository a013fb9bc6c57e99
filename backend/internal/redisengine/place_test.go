package redisengine

import (
	"slices"
	"strings"
	"testing"
)

func TestParsePlace(t *testing.T) {
	for savePath, want := range map[string]Place{
		"redis://h":                       {Addrs: []string{"h:6379"}},
		"redis://u:p%40@h:1/3":            {Addrs: []string{"h:1"}, User: "u", Password: "p@", DB: 3},
		"redis+cluster://h1,h2:7,[::1]:8": {Kind: Cluster, Addrs: []string{"h1:6379", "h2:7", "[::1]:8"}},
		"redis+cluster://pw@h1,h2/0?replicas=1&prefix=x:&poolsize=7":       {Kind: Cluster, Addrs: []string{"h1:6379", "h2:6379"}, Password: "pw", PoolSize: 7, Options: Options{Prefix: "x:", Replicas: 1}},
		"redis+sentinel://s1,s2:5/my%20primary?db=2":                       {Kind: Sentinel, Addrs: []string{"s1:26379", "s2:5"}, Name: "my primary", DB: 2},
		"redis+sentinel://:pw@s1/m?sentineluser=su&sentinelpassword=sp%21": {Kind: Sentinel, Addrs: []string{"s1:26379"}, Name: "m", Password: "pw", SentinelUser: "su", SentinelPassword: "sp!"},
	} {
		got, err := ParsePlace(savePath)
		if want.PoolSize == 0 {
			want.PoolSize = defaultPoolSize
		}
		if err != nil || got.String() != want.String() || !slices.Equal(got.Addrs, want.Addrs) || got.Kind != want.Kind ||
			got.Name != want.Name || got.User != want.User || got.Password != want.Password || got.SentinelUser != want.SentinelUser ||
			got.SentinelPassword != want.SentinelPassword || got.DB != want.DB || got.PoolSize != want.PoolSize || got.Options != want.Options || got.TLS != nil {
			t.Errorf("ParsePlace(%q):\n got %+v, %v\nwant %+v", savePath, got, err, want)
		}
	}
	if got, err := ParsePlace("rediss+cluster://h"); err != nil || got.TLS == nil || got.TLS.InsecureSkipVerify {
		t.Errorf("rediss+cluster://: TLS %v, %v", got.TLS, err)
	}
}

// TestParsePlaceSecrets: whatever is wrong, the error has nothing of a password.
func TestParsePlaceSecrets(t *testing.T) {
	for savePath, want := range map[string]string{
		"s3cret":                                       "scheme",
		"http://u:s3cret@h":                            "scheme",
		"redis+cluster://":                             "host number 1",
		"redis+cluster://s3cret:word,h2":               "host number 1",
		"redis+cluster://h1,s3cret:word:more":          "host number 2",
		"redis+cluster://u:s3/cret@h1,h2":              "percent-encode",
		"redis+cluster://u:s3cret%@h1":                 "percent-encode",
		"redis+cluster://h1:s3cret":                    "host number 1",
		"redis+cluster://h1:99999":                     "host number 1",
		"redis+cluster://h1/2":                         "database 0",
		"redis+cluster://h1?s3cret=1":                  "none of",
		"redis+cluster://h1?replicas=s3cret":           "replicas",
		"redis+cluster://h1?replicas=1&replicawait=s3": "duration",
		"redis+cluster://h1?everywrite=s3cret":         "true or false",
		"redis+sentinel://h1":                          "names no primary",
		"redis+sentinel://h1/m?db=s3cret":              "database",
		"redis://h1,h2":                                "several hosts",
		"redis://h1/1?db=2":                            "two databases",
		"redis+sentinel://h1,h2,h1:26379/m":            "twice",
		"redis+cluster://h1?cafile=/s3":                "no TLS",
	} {
		_, err := ParsePlace(savePath)
		if err == nil || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "s3") {
			t.Errorf("ParsePlace(%q): %v; want an error with %q and no password", savePath, err, want)
		}
	}
}

func FuzzParsePlace(f *testing.F) {
	f.Add("redis+sentinel://u:p@h1:1,h2/m?db=1")
	f.Add("rediss+cluster://h1,h2?replicas=1")
	f.Fuzz(func(t *testing.T, savePath string) {
		p, err := ParsePlace(savePath)
		if err == nil && (len(p.Addrs) == 0 || p.PoolSize < 1 || p.DB < 0 || p.Kind == Sentinel && p.Name == "") {
			t.Errorf("ParsePlace(%q): got %+v", savePath, p)
		}
	})
}

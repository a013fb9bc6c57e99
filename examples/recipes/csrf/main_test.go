package main

import (
	"net/http"
	"testing"

	"github.com/chisession/session/examples/recipes/internal/browser"
)

func TestCrossOriginProtection(t *testing.T) {
	h, err := routes()
	if err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		name, path   string
		site, origin string // Sec-Fetch-Site, Origin
		want         int
	}{
		{"a page of ours", "/pay", "same-origin", "", http.StatusOK},
		{"another site", "/pay", "cross-site", "https://evil.example", http.StatusForbidden},
		{"a sub-domain that somebody took over", "/pay", "same-site", "https://old.shop.example", http.StatusForbidden},
		{"an origin that is trusted", "/pay", "same-site", "https://admin.shop.example", http.StatusOK},
		{"an old browser on another site", "/pay", "", "https://evil.example", http.StatusForbidden},
		{"no browser", "/pay", "", "", http.StatusOK},
		{"an identity provider", "/callback", "cross-site", "https://login.example", http.StatusOK},
	} {
		t.Run(tt.name, func(t *testing.T) {
			b := browser.Open(t, h)
			if tt.site != "" {
				b.Header.Set("Sec-Fetch-Site", tt.site)
			}
			if tt.origin != "" {
				b.Header.Set("Origin", tt.origin)
			}
			b.Want("the POST", tt.want, "")(b.Post(tt.path, nil))
		})
	}
}

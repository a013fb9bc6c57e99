package main

import (
	"net/http"
	"net/url"
	"testing"

	"github.com/chisession/session/examples/recipes/internal/browser"
)

func TestOneLoginOfTwoHosts(t *testing.T) {
	b := browser.Open(t, routes(browser.Manager(t, config("shop.localhost"))))
	server, err := url.Parse(b.URL)
	if err != nil {
		t.Fatal(err)
	}
	at := func(host string) string { return "http://" + host + ":" + server.Port() }
	b.Want("the login", http.StatusOK, "")(b.Post(at("account.shop.localhost")+"/login", nil))
	b.Want("the shop", http.StatusOK, `"ada"`)(b.Get(at("www.shop.localhost") + "/"))
	b.Want("another site", http.StatusOK, `""`)(b.Get(at("www.other.localhost") + "/"))
}

package cookie_test

import (
	"fmt"
	"net/http"

	"github.com/chisession/session"
	"github.com/chisession/session/cookie"
)

// With a __Host- name the browser itself sees to it that no sub-domain, and
// nobody on plain HTTP, plants a cookie.
func ExampleOptions() {
	m, err := session.New(session.Config{Cookie: cookie.Options{Name: "__Host-shop", SameSite: http.SameSiteStrictMode}})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer m.Close()
	_, err = session.New(session.Config{Cookie: cookie.Options{Name: "__Host-shop", Domain: "shop.example"}})
	fmt.Println(err)
	// Output: session: Config.Cookie: cookie.Options.Name "__Host-shop" forbids a Domain: unset cookie.Options.Domain, or use a __Secure- name
}

// What a browser gets.
func ExampleCookie_Set() {
	c, err := cookie.New(cookie.Options{Name: "__Host-shop"})
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(c.Set("TOKEN", 0))
	// Output: __Host-shop=TOKEN; Path=/; HttpOnly; Secure; SameSite=Lax
}

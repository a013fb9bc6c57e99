// Package devicename makes a name for lists of devices out of a request, as
// "Firefox on Windows", for [Session.SetLabel] at the login:
//
//	s.SetUser(name)
//	s.SetLabel(devicename.Of(r, devicename.Options{}))
//
// It is a module of its own, so that the parser of user agents comes into the
// programs that import it, and into no others. What it returns is for people: the
// header is whatever the client likes, so nothing may be allowed or refused for it.
//
// [Session.SetLabel]: https://pkg.go.dev/github.com/chisession/session#Session.SetLabel
package devicename

import (
	"net/http"
	"net/netip"
	"sync"

	useragent "github.com/medama-io/go-useragent"
)

// Unknown is the name of a device that says nothing known of itself.
const Unknown = "Unknown device"

// maxUserAgent is how much of a header is looked at: those of browsers are below
// 300 bytes, and a client may send megabytes.
const maxUserAgent = 512

// Options say what a name has besides browser and system.
type Options struct {
	// Address, if set, adds the client's address ("Firefox on Windows,
	// 203.0.113.7"). By default there is none: an address is personal data, and a
	// label is kept readable in the store for as long as the session lives. The
	// function says which address it is: RemoteAddr, where there is no proxy, or
	// what yours hands on.
	Address func(*http.Request) string
}

// RemoteAddr is an Options.Address: the connection's, without its port; empty if
// it is none.
func RemoteAddr(r *http.Request) string {
	at, err := netip.ParseAddrPort(r.RemoteAddr)
	if err != nil {
		return ""
	}
	return at.Addr().Unmap().WithZone("").String()
}

// Of returns the name of the device that sent r. The first call of a program makes
// the parser's table, which stays: 5 MB.
func Of(r *http.Request, opts Options) string {
	name := Name(r.UserAgent())
	if opts.Address == nil {
		return name
	}
	if address := opts.Address(r); address != "" {
		name += ", " + address
	}
	return name
}

// Name returns the name of the device with that User-Agent: browser and system
// ("Safari on iPhone"), one of the two, "Bot", or [Unknown]. It is made of words that
// the parser knows; nothing of the header itself is in it.
func Name(userAgent string) string {
	if len(userAgent) > maxUserAgent {
		userAgent = userAgent[:maxUserAgent]
	}
	agent := parser().Parse(userAgent)
	browser, system := string(agent.Browser()), system(agent)
	switch {
	case agent.IsBot():
		return "Bot"
	case browser != "" && system != "":
		return browser + " on " + system
	case browser != "":
		return browser
	case system != "":
		return system
	}
	return Unknown
}

// parser is made when it is needed.
var parser = sync.OnceValue(useragent.NewParser)

// system returns the operating system, or what people call the device.
func system(agent useragent.UserAgent) string {
	switch {
	case agent.IsIOS() && agent.IsTablet():
		return "iPad"
	case agent.IsIOS():
		return "iPhone"
	case agent.IsMacOS():
		return "Mac"
	}
	return string(agent.OS())
}

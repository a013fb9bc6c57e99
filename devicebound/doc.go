// Package devicebound binds sessions to the device that logged in, with Device
// Bound Session Credentials (DBSC), a draft of the W3C: a session's cookie that is
// copied out of the browser opens nothing, eleven minutes later at the latest.
//
//	m, err := session.New(session.Config{})
//	_, err = devicebound.New(m, devicebound.Options{})
//	http.ListenAndServeTLS(addr, cert, key, m.Middleware(app))
//
// It is experimental: the draft may change, and this package with it, in any
// version.
//
// A browser that knows DBSC (Chrome on Windows since 146, on macOS since 147) is
// offered to bind the session at the login: it makes a key pair that cannot leave
// the device, and registers the public key. Beside the session's cookie it then has
// another one, the proof, which is good for [Options.Lifetime]. It gets a new one by
// signing a challenge, by itself, before the old one ends: requests wait for that,
// users see nothing of it. With any other browser nothing happens at all.
//
// The manager looks at the proof of each request with a token of a bound session,
// by whatever door it comes: Middleware, Start, a cookie, a header. Without one:
//
//   - A link from another site, which the browser follows without a new proof,
//     gets a page of status 401 that loads itself once more, without a script.
//   - A browser that says why it could not get a proof (Secure-Session-Skipped)
//     gets 503.
//   - A POST from another origin, which the browser sends without one as well, gets
//     a new, empty session, in which one can log in, and nothing else takes the
//     place of the user's: see session.ErrCrossSite.
//   - Everybody else is a thief, or a browser that has lost its key. The token is
//     rejected: the request gets a new, empty session, in which one can log in
//     again, and Config.On an [session.EventRejected] of the user with
//     [session.ReasonUnproven]. That is the alarm of a theft.
//
// It costs a bound session no store call more than any other, and two calls once,
// to bind it. A new proof is two reads, each Lifetime, and writes nothing. Any
// process with the same store can check a proof: there is no key to configure. Each
// program that shares the sessions has to, though: in one without a Binding the
// cookie alone opens them.
//
// It does not help against malware that stays on the device, where it can use the
// key as the browser does. See docs/device-bound.md for that, for what proxies must
// let through, and for how to switch it off.
package devicebound

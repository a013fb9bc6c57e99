// Package session keeps HTTP sessions for chi and net/http.
//
// One line mounts it; every handler then has its session:
//
//	r.Use(session.Middleware(session.Config{}))
//
//	func handler(w http.ResponseWriter, r *http.Request) {
//		s := session.FromContext(r)
//		n, _ := s.Get("visits").(int)
//		s.Set("visits", n+1)
//	}
//
// The middleware loads the session before the handler runs, stores it before
// the first byte of the response leaves, and releases it when the handler
// returns. Where sessions are kept is the business of a backend: memory (the
// default), file, mysql, redis, or one of your own (package backend).
//
// # What holds
//
//   - No update is lost. Requests that overlap on one session each keep what
//     they set and deleted; [Session.Update] is an exact read-modify-write.
//     No lock is held while a handler runs.
//   - Logout is final. After [Session.Destroy], [Session.Renew] or
//     [Manager.Revoke] no request under way brings the old session back.
//   - A response never lies. If storing fails, the client gets the error
//     response and not one byte of the handler's.
//   - A stolen store is worthless. It holds hashes of tokens, and values that
//     only the browser with the cookie can open.
//   - You pay for what you use: without a cookie no store call; reading costs
//     one round trip; writing one more.
//   - An outage eats no data: a session that cannot be loaded is an error,
//     never an empty session.
//
// # Values
//
// [Session.Set] encodes at once. bool, all ints, uints and floats, string,
// []byte, time.Time (with its offset from UTC, not the zone's name),
// time.Duration and nil come back as exactly the type they were; everything
// else is stored as JSON and read with [Get] or, after [Register], with
// [Session.Get].
//
// # Login and logout
//
//	s.SetUser("ada")  // a new token, so that nobody who knew the old one is in
//	s.Destroy()       // gone, here and for requests under way
//
// [Manager.Sessions], [Manager.Revoke] and [Manager.RevokeUser] list and end
// the sessions of a user, on all devices.
//
// # Time
//
// A session ends an hour after its last activity (Config.IdleTimeout) and 24
// hours after its creation (Config.AbsoluteTimeout), whichever comes first.
// Activity is noted at most once in Config.TouchEvery. Times are kept to the
// millisecond.
//
// # Packages
//
// backend is the contract for a store of your own, and backend/backendtest the
// suite that proves one; backend/memory, file, mysql and redis are ours, and
// backend/postgres, sqlite, goredis and rueidis, modules of their own. conf
// reads Beego's app.conf, flash shows messages after a redirect, sessiontest
// tests handlers, cookie has the cookie's options.
package session

// Package admin is a small page for operators, to mount behind the
// application's own authorization: how many sessions live, what the manager
// counted, how fast the store answers, and a user's sessions, to end one or all.
//
//	store, meter := admin.Measure(store)
//	m, err := session.New(session.Config{Store: store})
//	…
//	page, err := admin.New(m, admin.Options{Meter: meter, Authorize: onlyStaff})
//	…
//	r.Mount("/admin/sessions", page)
//
// It is one address, whatever the prefix: behind http.StripPrefix, chi's Mount
// or a path of its own. It needs no file and no goroutine, and never shows a
// token or a value. Its one script, which its policy allows by its hash, makes
// times local; without it they are UTC, and all else works.
//
// For a user with very many sessions it shows the newest 200, and how many there
// are. Where the store was measured and is a [backend.Lister], it shows the newest
// sessions of all users, and finds users by the beginnings of their names. What is
// searched for is in the URL, and so perhaps in a log of requests.
package admin

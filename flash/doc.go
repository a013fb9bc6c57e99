// Package flash shows messages once: what one request says ("Saved."), the
// page after the redirect shows, and no page after that.
//
//	flash.Success(r, "Saved %s.", name)      // one handler...
//	http.Redirect(w, r, "/", http.StatusSeeOther)
//
//	data["flash"] = flash.Take(r).Map()      // ...and the next
//
// A template then has {{.flash.error}}, or {{range .flash.error}}, or for all
// of them in order {{range .messages}}{{.Level}}: {{.}}{{end}}. Texts are
// plain: html/template escapes them.
//
// # What holds
//
// A message is stored in the session until somebody takes it, however many
// redirects and other requests lie between. A request that does not read the
// flash, a background poll say, consumes none. Of any number of requests that
// take at the same time, in one process or many, exactly one gets a message,
// because taking is an atomic [session.Session.Update]; if that one then fails
// to show it, a broken connection say, nobody does. Requests that add at the
// same time all keep what they added.
//
// [Take] reads and removes. [Peek] only reads. [Keep] leaves what this request
// takes for one more. [Now] is for a page that is rendered in this very
// request: such a message is never stored.
//
// A logout ([session.Session.Destroy]) drops the messages of the session that
// it ends; those added after it go to the next one, so "Goodbye" is shown.
//
// # What it costs
//
// Adding costs what a Set costs: it is stored with whatever else the request
// changes. Reading an empty flash costs no store call and stores nothing.
// Taking a message costs one store call, which stores what else the request
// has changed until then, too.
//
// # In the session
//
// Each message is a value of its own, under a key of the form
// _flash:UUID:level, so that messages merge as all values do. They show up in
// Keys and Len of the session, and Clear removes them.
package flash

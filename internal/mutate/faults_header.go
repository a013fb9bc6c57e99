package main

// headerFaults are about what caches, browsers and error answers get to see.
var headerFaults = []fault{
	{
		bar: "CK-9", what: `every answer has the cookie`,
		file: "header.go",
		old: `	if s.cookie != cookieAlone {
		x.setCookie(h)`,
		new: `	if s.cookie != cookieAlone || s.exists {
		x.setCookie(h)`,
		pkg: ".", test: `TestBehaviourC/23_only_when_needed/memory`,
	},
	{
		bar: "CK-8", what: `a session that was not stored has a cookie`,
		file: "header.go",
		old:  `if failed != nil && s.cookie == cookieSet && !s.exists {`,
		new:  `if failed == nil && s.cookie == cookieSet && !s.exists {`,
		pkg:  ".", test: `TestErrorAnswerHasNoDeadCookie`,
	},
	{
		bar: "CK-10", what: `a cookie rides on an answer that caches may keep`,
		file: "header.go",
		old:  `func mayslide(h http.Header) bool { return !cacheable(h) }`,
		new:  `func mayslide(h http.Header) bool { return h != nil }`,
		pkg:  ".", test: `TestSlideNotIntoCaches`,
	},
	{
		bar: "CK-10", what: `an answer with a new cookie stays public`,
		file: "header.go",
		old:  `if !directive(h, "no-store") && !directive(h, "private") {`,
		new:  `if len(h["Cache-Control"]) == 0 {`,
		pkg:  ".", test: `TestSetCookieIsNotPublic`,
	},
	{
		bar: "P3", what: `the error answer has the handler's header`,
		file: "header.go",
		old: `	clear(h)
	maps.Copy(h, x.before)
`,
		new: `	maps.Copy(h, x.before)
`,
		pkg: ".", test: `TestErrorAnswerHasNoHandlerHeaders`,
	},
}

package main

// headerFaults are about what caches, browsers and error responses get to see.
var headerFaults = []fault{
	{
		what: `every response has the cookie`,
		file: "transport.go",
		old: `	default:
		return state, &s.rec.Cred
	}
`,
		new: `	case state == cookieAlone && s.rec.Exists:
		return cookieSet, &s.rec.Cred
	default:
		return state, &s.rec.Cred
	}
`,
		pkg: ".", test: `TestBehaviour/cookie/sent_only_when_it_changes/memory`,
	},
	{
		what: `a session that was not stored has a cookie`,
		file: "transport.go",
		old: `	case s.trouble.broken: // nothing goes out for what could not be stored
`,
		new: ``,
		pkg: ".", test: `TestBehaviour/error_response/an_error_response_has_no_dead_cookie`,
	},
	{
		what: `a cookie rides on a response that caches may keep`,
		file: "transport.go",
		old: `	case state == cookieSlide && (response.Shareable(h) || !s.rec.Exists):
`,
		new: `	case state == cookieSlide && !s.rec.Exists:
`,
		pkg: ".", test: `TestBehaviour/caching/a_cookie_slides_on_no_response_that_a_cache_may_keep`,
	},
	{
		what: `a page that allows private caches carries no cookie again`,
		file: "internal/response/caching.go",
		old:  `	case directive(h, "no-store"), directive(h, "private"):`,
		new:  `	case directive(h, "no-store"):`,
		pkg:  ".", test: `TestBehaviour/cookie/an_active_user_stays_logged_in`,
	},
	{
		what: `the expiry runs away from the cookie`,
		file: "commit.go",
		old:  `	if s.slides() && !s.reply.carries && s.reply.cookie != cookieSet {`,
		new:  `	if false {`,
		pkg:  ".", test: `TestBehaviour/cookie/public_pages_do_not_cost_the_cookie`,
	},
	{
		what: `a cookie shorter than the idle timeout runs out`,
		file: "transport.go",
		old:  `	return fixed < idle && now`,
		new:  `	return fixed > idle && now`,
		pkg:  ".", test: `TestBehaviour/cookie/an_active_user_stays_logged_in`,
	},
	{
		what: `Vary is missing where the session is used after the first byte`,
		file: "transport.go",
		old:  `after && (s.x.handed.Load() || s.reply.live && response.Silent(h))`,
		new:  `after && false`,
		pkg:  ".", test: `TestBehaviour/caching/Vary_says_what_the_response_depends_on/memory`,
	},
	{
		what: `a page may be shared whose handler asks for the session after the first byte`,
		file: "transport.go",
		old:  `(s.x.handed.Load() || s.reply.live && response.Silent(h))`,
		new:  `s.x.handed.Load()`,
		pkg:  ".", test: `TestBehaviour/caching/Cache-Control_keeps_cookies_out_of_caches`,
	},
	{
		what: `what a request took may be cached`,
		file: "transport.go",
		old:  `	case s.reply.altered, caching`,
		new:  `	case s.reply.altered && !s.reply.used, caching`,
		pkg:  ".", test: `TestBehaviour/caching/Cache-Control_keeps_cookies_out_of_caches`,
	},
	{
		what: `a page of a live session may be shared`,
		file: "transport.go",
		old:  `	case s.reply.live && depends:`,
		new:  `	case s.reply.live && false:`,
		pkg:  ".", test: `TestBehaviour/caching/Cache-Control_keeps_cookies_out_of_caches`,
	},
	{
		what: `what only reads a started session writes to the response's header`,
		file: "session.go",
		old: `	if s.work.changing {
		s.work.changing = false
`,
		new: `	if true {
		s.work.changing = false
`,
		pkg: ".", test: `TestBehaviour/start/Start_beside_the_header_of_the_response`,
	},
	{
		what: `a page that Start serves never brings a persistent cookie again`,
		file: "middleware.go",
		old:  `	if slides {`,
		new:  `	if slides && false {`,
		pkg:  ".", test: `TestBehaviour/cookie/pages_that_Start_serves_keep_it`,
	},
	{
		what: `caches may keep what an ErrorHandler sends`,
		file: "middleware.go",
		old: `	w.Header().Set("Cache-Control", "no-store")
	if m.cfg.ErrorHandler != nil {
`,
		new: `	if m.cfg.ErrorHandler != nil {
`,
		pkg: ".", test: `TestBehaviour/error_response/no_cache_keeps_the_response_of_an_ErrorHandler`,
	},
	{
		what: `an ErrorHandler is told that the middleware is missing`,
		file: "middleware.go",
		old:  `told := r.WithContext(instead{r.Context(), m, none})`,
		new:  `told := r.WithContext(context.Background())`,
		pkg:  ".", test: `TestBehaviour/error_response/an_ErrorHandler_finds_out_why_there_is_no_session`,
	},
	{
		what: `Start calls the program's Header under the session's lock`,
		file: "transport.go",
		old: `	h := s.start.header
`,
		new: `	h := s.x.writer.Unwrap().Header()
`,
		pkg: ".", test: `TestBehaviour/start/a_header_that_asks_the_session_while_it_leaves`,
	},
	{
		what: `two Starts of one request set two cookies`,
		file: "middleware.go",
		old:  `	*r = *r.WithContext(&startedIn{s.x.Context, s.x})`,
		new:  `	r.WithContext(&startedIn{s.x.Context, s.x})`,
		pkg:  ".", test: `TestBehaviour/start/all_Starts_of_a_request_are_one_session`,
	},
	{
		what: `a page of a session that was started may be shared`,
		file: "transport.go",
		old: `	s.limit(h, true)
`,
		new: ``,
		pkg: ".", test: `TestBehaviour/start/Start_tells_caches`,
	},
	{
		what: `a response with a new cookie stays public`,
		file: "internal/response/caching.go",
		old:  `if h["Cache-Control"] == nil || !directive(h, "no-store") && !directive(h, "private") {`,
		new:  `if h["Cache-Control"] == nil {`,
		pkg:  ".", test: `TestBehaviour/caching/a_response_that_sets_the_cookie_is_not_public`,
	},
	{
		what: `the error response has the handler's header`,
		file: "transport.go",
		old: `	clear(h)
	maps.Copy(h, x.before)
`,
		new: `	maps.Copy(h, x.before)
`,
		pkg: ".", test: `TestBehaviour/error_response/an_error_response_has_no_header_of_the_handler`,
	},
}

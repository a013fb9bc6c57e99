package main

// responseFaults are about the response: cookie, header, writer, panics.
var responseFaults = []fault{
	{
		what: `the session is stored after the header`,
		file: "internal/response/writer.go",
		old: `	if informational && !c.refused || c.open() {
		c.rw.WriteHeader(code)
	}`,
		new: `	c.rw.WriteHeader(code)
	if !informational {
		c.open()
	}`,
		pkg: ".", test: `TestBehaviour/response/stored_before_the_header_leaves/memory`,
	},
	{
		what: `the body follows a failed commit`,
		file: "internal/response/writer.go",
		old: `	if !c.open() {
		return len(p), nil
	}
`,
		new: `	c.open()
`,
		pkg: ".", test: `TestBehaviour/failure/storing_fails/memory`,
	},
	{
		what: `Flush does not store`,
		file: "internal/response/writer.go",
		old: `	if !c.open() {
		return nil
	}
	return http.NewResponseController(c.rw).Flush()`,
		new: `	return http.NewResponseController(c.rw).Flush()`,
		pkg: ".", test: `TestBehaviour/response/stored_before_the_header_leaves/memory`,
	},
	{
		what: `Hijack does not store`,
		file: "internal/response/writer.go",
		old: `	if !c.open() {
		return nil, nil, errors`,
		new: `	if c.refused {
		return nil, nil, errors`,
		pkg: ".", test: `TestBehaviour/writer/WebSocket/memory`,
	},
	{
		what: `sendfile does not store`,
		file: "internal/response/writer.go",
		old: `	if !c.open() {
		return io.Copy(io.Discard, src)
	}
`,
		new: ``,
		pkg: ".", test: `TestBehaviour/response/stored_before_the_header_leaves/memory`,
	},
	{
		what: `1xx responses store, and close the header`,
		file: "internal/response/writer.go",
		old:  `informational := code >= 100 && code < 200 && code != http.StatusSwitchingProtocols`,
		new:  `informational := code == 0`,
		pkg:  ".", test: `TestBehaviour/response/the_cookie_is_on_the_response_after_early_hints/memory`,
	},
	{
		what: `a change after the header is lost in silence`,
		file: "middleware.go",
		old: `	s.header(h, err, !x.returned)
	s.headerSent()
`,
		new: `	s.header(h, err, !x.returned)
`,
		pkg: ".", test: `TestBehaviour/response/a_change_after_the_first_byte/memory`,
	},
	{
		what: `a failed commit is answered 200`,
		file: "middleware.go",
		old:  `		return func() { x.refuse(s, err) }`,
		new:  `		return nil`,
		pkg:  ".", test: `TestBehaviour/failure/storing_fails/memory`,
	},
	{
		what: `a panic is swallowed`,
		file: "middleware.go",
		old: `		if !returned {
`,
		new: `		if !returned {
			recover()
`,
		pkg: ".", test: `TestBehaviour/failure/a_panic_of_the_handler_stores_nothing/memory`,
	},
	{
		what: `what a panicking handler Set is stored`,
		file: "middleware.go",
		old: `			x.panicked()
`,
		new: `			x.finish()
`,
		pkg: ".", test: `TestBehaviour/failure/a_panic_of_the_handler_stores_nothing/memory`,
	},
	{
		what: `the session is not released`,
		file: "middleware.go",
		old: `	s.phase = phaseReleased
	s.unlock()`,
		new: `	s.unlock()`,
		pkg: ".", test: `TestBehaviour/failure/a_session_used_after_the_handler_returned/memory`,
	},
	{
		what: `mounted twice it loads twice`,
		file: "middleware.go",
		old:  `			case outer.inUse():`,
		new:  `			case outer != nil && outer.m != m:`,
		pkg:  ".", test: `TestBehaviour/managers/mounted_twice,_the_inner_one_does_nothing/memory`,
	},
	{
		what: `two managers in a chain share a session`,
		file: "context.go",
		old:  `if *key == x.m.key || key.shares(x.m.key) {`,
		new:  `if *key != "" {`,
		pkg:  ".", test: `TestBehaviour/managers/two_cookie_names_do_not_mix`,
	},
	{
		what: `a failed load runs the handler`,
		file: "middleware.go",
		old:  `if err != nil && !m.outage(s, tried, err) {`,
		new:  `if err != nil && m.cfg.OnOutage > 5 {`,
		pkg:  ".", test: `TestBehaviour/failure/loading_fails/memory`,
	},
	{
		what: `Vary is missing where the session was only read`,
		file: "transport.go",
		old:  `depends := s.reply.used || after &&`,
		new:  `depends := after &&`,
		pkg:  ".", test: `TestBehaviour/caching/Vary_says_what_the_response_depends_on/memory`,
	},
	{
		what: `no-store is missing`,
		file: "transport.go",
		old: `		response.Confine(h, &s.lines.caching)
`,
		new: ``,
		pkg: ".", test: `TestBehaviour/caching/Cache-Control_keeps_cookies_out_of_caches`,
	},
	{
		what: `other cookies are replaced`,
		file: "transport.go",
		old: `		h["Set-Cookie"] = append(lines, line)
`,
		new: `		h["Set-Cookie"] = []string{line}
`,
		pkg: ".", test: `TestBehaviour/cookie/other_cookies_survive/memory`,
	},
	{
		what: `HttpOnly is dropped`,
		file: "cookie/cookie.go",
		old:  `	if !o.ScriptReadable {`,
		new:  `	if o.ScriptReadable {`,
		pkg:  ".", test: `TestBehaviour/cookie/the_attributes_are_as_documented`,
	},
	{
		what: `Secure is dropped`,
		file: "cookie/cookie.go",
		old:  `	if !o.Insecure {`,
		new:  `	if o.Insecure {`,
		pkg:  "./cookie", test: `TestSecure`,
	},
	{
		what: `Secure is guessed from the connection`,
		file: "transport.go",
		old:  `		s.setCookie(h, s.m.cookie.Set(cred.Token(), s.maxAge()))`,
		new: `		line := s.m.cookie.Set(cred.Token(), s.maxAge())
		if s.x.request.TLS == nil {
			line = strings.Replace(line, "; Secure", "", 1)
		}
		s.setCookie(h, line)`,
		pkg: ".", test: `TestBehaviour/cookie/Secure_depends_on_the_options_alone`,
	},
	{
		what: `a proxy's 127.0.0.1 is taken for the browser's, without a warning`,
		file: "cookie/plainhttp.go",
		old: `	case loopback(r.Host):
		return proxied(r)
`,
		new: `	case loopback(r.Host):
		return false
`,
		pkg: "./cookie", test: `TestPlainHTTP`,
	},
	{
		what: `the warning comes behind a second proxy`,
		file: "cookie/plainhttp.go",
		old:  `		scheme, _, _ := strings.Cut(h.Get(name), ",")`,
		new:  `		scheme := h.Get(name)`,
		pkg:  "./cookie", test: `TestPlainHTTP`,
	},
	{
		what: `a quoted proto of Forwarded is not read`,
		file: "cookie/plainhttp.go",
		old:  "	if !strings.HasPrefix(s, `\"`) {",
		new:  `	if true {`,
		pkg:  "./cookie", test: `TestPlainHTTP`,
	},
	{
		what: `SameSite=None with Insecure is taken`,
		file: "cookie/rules.go",
		old:  `case o.Insecure && o.SameSite == http.SameSiteNoneMode:`,
		new:  `case o.Insecure && o.SameSite == 99:`,
		pkg:  "./cookie", test: `TestNewRefuses`,
	},
	{
		what: `__Host- with a Domain is taken`,
		file: "cookie/rules.go",
		old:  `case strings.HasPrefix(lower, hostPrefix) && o.Domain != "":`,
		new:  `case strings.HasPrefix(o.Name, hostPrefix) && o.Domain != "":`,
		pkg:  "./cookie", test: `TestNewRefuses`,
	},
	{
		what: `a header can be injected through Path`,
		file: "cookie/rules.go",
		old:  `func notPath(r rune) bool { return r <= ' ' ||`,
		new:  `func notPath(r rune) bool { return`,
		pkg:  "./cookie", test: `TestNewRefuses`,
	},
	{
		what: `blanks of Unicode are trimmed from names`,
		file: "cookie/cookie.go",
		old:  `			value, ok := strings.CutPrefix(pair, c.nameEq)`,
		new:  `			value, ok := strings.CutPrefix(strings.TrimSpace(pair), c.nameEq)`,
		pkg:  "./cookie", test: `TestValues`,
	},
	{
		what: `the removal cookie has no path and domain`,
		file: "cookie/cookie.go",
		old:  `return c.nameEq + c.attributes + "; Expires=Thu, 01 Jan 1970 00:00:00 GMT; Max-Age=0" + c.flags`,
		new:  `return c.nameEq + "; Expires=Thu, 01 Jan 1970 00:00:00 GMT; Max-Age=0" + c.flags`,
		pkg:  ".", test: `TestBehaviour/cookie/the_removal_has_the_same_attributes`,
	},
}

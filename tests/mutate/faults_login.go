package main

// loginFaults are about logging in, and about changes that cannot be stored.
var loginFaults = []fault{
	{
		bar: "P3", what: `in an outage what is deleted is answered 200`,
		file: "session.go",
		old: `		s.keepError(ErrUnavailable) // the response must not say that it was stored
`,
		new: ``,
		pkg: ".", test: `TestRefusals/memory/outage/Session.Delete/save=false`,
	},
	{
		bar: "P3", what: `after the error response the handler's session is stored`,
		file: "middleware.go",
		old: `		s.over = &unsentError{err}
`,
		new: ``,
		pkg: ".", test: `TestAfterTheErrorResponse/memory`,
	},
	{
		bar: "P3", what: `Release stores what its caller responded 503 for`,
		file: "start.go",
		old:  `if s.broken && s.over == nil &&`,
		new:  `if false && s.over == nil &&`,
		pkg:  ".", test: `TestStartAfterAFailedSave/memory`,
	},
	{
		bar: "P3", what: `a login is stored that http.TimeoutHandler gave up on`,
		file: "commit.go",
		old:  `if s.epoch == epoch && err != nil {`,
		new:  `if s.epoch != epoch && err != nil {`,
		pkg:  ".", test: `TestTimeoutHandlerGaveUp/memory`,
	},
	{
		bar: "P3", what: `a logout that lost to a renewal is answered 200`,
		file: "middleware.go",
		old:  `errors.Is(err, ErrSuperseded)) && !isA[*logoutError](err) {`,
		new:  `errors.Is(err, ErrSuperseded)) {`,
		pkg:  ".", test: `TestRefusals/memory/lost_to_a_renewal/Session.Destroy/save=false`,
	},
	{
		bar: "P3", what: `SetPersistent after the header is taken`,
		file: "lifecycle.go",
		old:  `if s.sent && s.lost == nil {`,
		new:  `if false {`,
		pkg:  ".", test: `TestRefusals/memory/header_sent/Session.SetPersistent/save=false`,
	},
	{
		bar: "P3", what: `a delete by a request with a replaced token is not told`,
		file: "session.go",
		old: `	s.tried = s.late
`,
		new: ``,
		pkg: ".", test: `TestRefusals/memory/token_replaced_before/Session.Delete/save=false`,
	},
	{
		bar: "P3", what: `a write is taken for done because its record is there`,
		file: "update.go",
		old:  `if !rec.Confirm && (rec.User == "" || m.indexed(ctx, rec)) {`,
		new:  `if !rec.Confirm {`,
		pkg:  ".", test: `TestHalfDoneWrites/memory`,
	},
	{
		bar: "P3", what: `a login that no replica has confirmed is taken for done`,
		file: "update.go",
		old:  `rec.Confirm = tries.confirm && m.can.Confirms`,
		new:  `rec.Confirm = false`,
		pkg:  ".", test: `TestLoginUnconfirmed/memory`,
	},
	{
		bar: "FX-8", what: `a login that lost its record has no cart`,
		file: "commit.go",
		old:  `kept, set, changed = s.vals.Base(), s.settings(),`,
		new:  `kept, set, changed = Body{}, s.settings(),`,
		pkg:  ".", test: `TestDoubleClickOnLogIn/memory`,
	},
	{
		bar: "LO-2", what: `a login brings back the values of a destroyed session`,
		file: "commit.go",
		old: `	if why == ErrSuperseded {
		s.m.stats`,
		new: `	if why != nil {
		s.m.stats`,
		pkg: ".", test: `TestLostLoginKeepsWhatItHad/memory`,
	},
	{
		bar: "FX-12", what: `SetUser hands a user the values of another`,
		file: "lifecycle.go",
		old:  `if was := s.currentUser(); was != "" && was != user {`,
		new:  `if was := s.currentUser(); was == "\x00" {`,
		pkg:  ".", test: `TestSetUserOfAnother/memory/alone/another`,
	},
	{
		bar: "FX-12", what: `SetUser hands a user what another one's request stored just now`,
		file: "update.go",
		old: `		newest.values = record.Body{} // the former user's, all of them
`,
		new: `		_ = newest.values
`,
		pkg: ".", test: `TestSetUserOfAnother/memory/hers_is_stored_first/another`,
	},
	{
		bar: "FX-12", what: `SetUser hands a user the label and timeouts of another`,
		file: "commit.go",
		old: `		now = settings{}
`,
		new: `		now = settings{label: now.label}
`,
		pkg: ".", test: `TestSetUserOfAnother/memory/alone/another`,
	},
	{
		bar: "TO-1", what: `a touch of an older request undoes a shorter timeout`,
		file: "update.go",
		old:  `inHead = s.loaded.Ends != 0 || is < was`,
		new:  `inHead = s.loaded.Ends != 0 && is < was`,
		pkg:  ".", test: `TestShortenedIdleTimeoutHolds/of_the_manager/memory`,
	},
	{
		bar: "TO-1", what: `the expiry in the head does not count`,
		file: "load.go",
		old:  `if h.Ended(l.at) {`,
		new:  `if false {`,
		pkg:  ".", test: `TestShortenedIdleTimeoutHolds/of_the_manager/memory`,
	},
	{
		bar: "TO-1", what: `activity does not move the expiry in the head`,
		file: "expiry.go",
		old:  `if s.loaded.Ends != 0 {`,
		new:  `if s.loaded.Ends < 0 {`,
		pkg:  ".", test: `TestShortenedIdleTimeoutHolds/of_the_manager/memory`,
	},
	{
		bar: "TO-1", what: `a stricter manager inside another is ignored`,
		file: "middleware.go",
		old:  `if rules := m.contradicts(s.m); rules != "" {`,
		new:  `if rules := m.contradicts(s.m); rules == "\x00" {`,
		pkg:  ".", test: `TestNestedManagers/memory/stricter`,
	},
	{
		bar: "DR-2", what: `the tag of a readable record is not checked`,
		file: "internal/record/seal.go",
		old:  `if _, err := key.Open(nil, nil, tag, *ad); err != nil {`,
		new:  `if err := error(nil); tag == nil {`,
		pkg:  ".", test: `TestNoSealHoldsAgainstWriters/memory`,
	},
	{
		bar: "DR-2", what: `the tag does not tell the user from the values`,
		file: "internal/record/seal.go",
		old: `	dst = binary.AppendUvarint(dst, uint64(len(user)))
	dst = append(dst, user...)
`,
		new: `	dst = append(dst, user...)
`,
		pkg: "./internal/record", test: `TestTagUserEndsWhereItEnds`,
	},
}

package main

// loginFaults are about logging in, and about changes that cannot be stored.
var loginFaults = []fault{
	{
		what: `in an outage what is deleted is answered 200`,
		file: "values.go",
		old: `		s.keepError(method, ErrUnavailable) // the response must not say that it was stored
`,
		new: ``,
		pkg: ".", test: `TestBehaviour/refusal/a_change_that_is_not_stored_is_not_answered_with_success/memory/outage/Session.Delete/save=false`,
	},
	{
		what: `after the error response the handler's session is stored`,
		file: "middleware.go",
		old: `	if err != nil {
		s.trouble.over = &unsentError{err}
		x.resetHeader(h)`,
		new: `	if err != nil {
		x.resetHeader(h)`,
		pkg: ".", test: `TestBehaviour/error_response/nothing_is_stored_after_the_error_response/memory`,
	},
	{
		what: `Release stores what its caller responded 503 for`,
		file: "middleware.go",
		old:  `if s.trouble.broken && s.trouble.over == nil &&`,
		new:  `if false && s.trouble.over == nil &&`,
		pkg:  ".", test: `TestBehaviour/start/Release_after_a_failed_Save/memory`,
	},
	{
		what: `a login is stored that http.TimeoutHandler gave up on`,
		file: "commit.go",
		old:  `if s.work.epoch == epoch && err != nil {`,
		new:  `if s.work.epoch != epoch && err != nil {`,
		pkg:  ".", test: `TestBehaviour/response/a_login_after_the_timeout_handler_gave_up/memory`,
	},
	{
		what: `only a login that replaces a token is counted and told`,
		file: "events.go",
		old:  `case t.changed&changedUser == 0 || s.start.candidate:`,
		new:  `case t.changed&changedUser == 0 || s.start.candidate || !out.Renewed:`,
		pkg:  ".", test: `TestLoginsAreCounted`,
	},
	{
		what: `a login does not say whose session it was before`,
		file: "events.go",
		old:  `Event{Kind: EventLogin, User: user, PreviousUser: was}`,
		new:  `Event{Kind: EventLogin, User: user}`,
		pkg:  ".", test: `TestEventsOfALife`,
	},
	{
		what: `an adoption is told as a login`,
		file: "events.go",
		old:  `case t.changed&changedUser == 0 || s.start.candidate:`,
		new:  `case t.changed&changedUser == 0:`,
		pkg:  ".", test: `TestEventOfAnAdoption`,
	},
	{
		what: `what Config.On gets is done with the request`,
		file: "events.go",
		old:  `m.tell((*callContext)(x), e)`,
		new:  `m.tell(x, e)`,
		pkg:  ".", test: `TestEventContextOutlivesTheClient`,
	},
	{
		what: `a login that has looked for a free place has it, whoever took it meanwhile`,
		file: "users.go",
		old:  `if err != nil || others < s.m.cfg.MaxPerUser || s.work.epoch != epoch {`,
		new:  `if true || err != nil || others < s.m.cfg.MaxPerUser || s.work.epoch != epoch {`,
		pkg:  ".", test: `TestMaxPerUserRefusesAtOnce`,
	},
	{
		what: `a refused double click takes the cookie of the first click`,
		file: "users.go",
		old: `		if !created {
			s.reply.cookie`,
		new: `		if true {
			s.reply.cookie`,
		pkg: ".", test: `TestMaxPerUserRefusalOfADoubleClick`,
	},
	{
		what: `a refused login is told as a failure as well`,
		file: "middleware.go",
		old:  `if !errors.Is(err, ErrTooManySessions) {`,
		new:  `if true {`,
		pkg:  ".", test: `TestMaxPerUserRefuses`,
	},
	{
		what: `every write is a login`,
		file: "internal/stored/change.go",
		old:  `	case change.Login:`,
		new:  `	case change.User != "" && h.Login == 0:`,
		pkg:  ".", test: `TestAuthenticatedAt`,
	},
	{
		what: `a flash message that goes nowhere is logged with a line of the library`,
		file: "internal/caller/caller.go",
		old:  `(rest[0] == '.' || strings.HasPrefix(rest, "/flash.") || strings.HasPrefix(rest, "/devicebound."))`,
		new:  `rest[0] == '.'`,
		pkg:  ".", test: `TestLogNamesTheCaller/a_flash_message`,
	},
	{
		what: `a value that cannot be stored is logged without the line of its Set`,
		file: "lifecycle.go",
		old:  `s.trouble.err = &callError{err, method, caller.Here()}`,
		new:  `s.trouble.err = err`,
		pkg:  ".", test: `TestLogNamesTheCaller/a_value_that_cannot_be_stored`,
	},
	{
		what: `a logout that lost to a renewal is answered 200`,
		file: "middleware.go",
		old:  `errors.Is(err, ErrSuperseded)) && !isA[*logoutError](err)`,
		new:  `errors.Is(err, ErrSuperseded))`,
		pkg:  ".", test: `TestBehaviour/refusal/a_change_that_is_not_stored_is_not_answered_with_success/memory/lost_to_a_renewal/Session.Destroy/save=false`,
	},
	{
		what: `SetPersistent after the header is taken`,
		file: "lifecycle.go",
		old:  `if s.phase == phaseSent && s.trouble.lost == nil {`,
		new:  `if false {`,
		pkg:  ".", test: `TestBehaviour/refusal/a_change_that_is_not_stored_is_not_answered_with_success/memory/header_sent/Session.SetPersistent/save=false`,
	},
	{
		what: `a delete by a request with a replaced token is not told`,
		file: "values.go",
		old: `	s.trouble.tried = s.trouble.late
`,
		new: ``,
		pkg: ".", test: `TestBehaviour/refusal/a_change_that_is_not_stored_is_not_answered_with_success/memory/token_replaced_before/Session.Delete/save=false`,
	},
	{
		what: `a write is taken for done because its record is there`,
		file: "internal/stored/retry.go",
		old:  `if !rec.Confirm && (rec.User == "" || s.indexed(ctx, rec)) {`,
		new:  `if !rec.Confirm {`,
		pkg:  ".", test: `TestBehaviour/failure/a_half-done_write_is_made_whole,_or_an_error/memory`,
	},
	{
		what: `a login that no replica has confirmed is taken for done`,
		file: "internal/stored/retry.go",
		old:  `rec.Confirm = tries.confirm && s.Can.Confirms`,
		new:  `rec.Confirm = false`,
		pkg:  ".", test: `TestBehaviour/replicas/a_login_is_written_again_until_it_is_confirmed/memory`,
	},
	{
		what: `a login that lost its record has no cart`,
		file: "commit.go",
		old:  `kept, set, changed = s.vals.Base(), s.settings(),`,
		new:  `kept, set, changed = record.Body{}, s.settings(),`,
		pkg:  ".", test: `TestBehaviour/login/a_double_click_on_log_in/memory`,
	},
	{
		what: `a login brings back the values of a destroyed session`,
		file: "commit.go",
		old: `	if why == ErrSuperseded {
		s.m.stats`,
		new: `	if why != nil {
		s.m.stats`,
		pkg: ".", test: `TestBehaviour/login/a_login_that_lost_its_session_keeps_what_it_had/memory`,
	},
	{
		what: `SetUser hands a user the values of another`,
		file: "lifecycle.go",
		old:  `if was := s.currentUser(); was != "" && was != user {`,
		new:  `if was := s.currentUser(); was == "\x00" {`,
		pkg:  ".", test: `TestBehaviour/login/nothing_of_one_user_is_handed_to_the_next/memory/alone/another`,
	},
	{
		what: `SetUser hands a user what another one's request stored just now`,
		file: "commit.go",
		old:  `s.want.changed&changedOwner != 0) // then`,
		new:  `false) // then`,
		pkg:  ".", test: `TestBehaviour/login/nothing_of_one_user_is_handed_to_the_next/memory/hers_is_stored_first/another`,
	},
	{
		what: `SetUser hands a user the label and timeouts of another`,
		file: "lifecycle.go",
		old: `		now = settings{}
`,
		new: `		now = settings{label: now.label}
`,
		pkg: ".", test: `TestBehaviour/login/nothing_of_one_user_is_handed_to_the_next/memory/alone/another`,
	},
	{
		what: `a touch of an older request undoes a shorter timeout`,
		file: "internal/stored/change.go",
		old:  `inHead := c.Head.Ends != 0 || is < was`,
		new:  `inHead := c.Head.Ends != 0 && is < was`,
		pkg:  ".", test: `TestBehaviour/expiry/a_shortened_idle_timeout_holds/memory/of_the_manager`,
	},
	{
		what: `the expiry in the head does not count`,
		file: "internal/stored/stored.go",
		old:  `if h.Ended(c.At) {`,
		new:  `if false {`,
		pkg:  "./internal/stored", test: `TestLoadEndedByItsHead`,
	},
	{
		what: `activity does not move the expiry in the head`,
		file: "commit.go",
		old:  `if s.rec.Head.Ends != 0 {`,
		new:  `if s.rec.Head.Ends < 0 {`,
		pkg:  ".", test: `TestBehaviour/expiry/a_shortened_idle_timeout_holds/memory/of_the_manager`,
	},
	{
		what: `a stricter manager inside another is ignored`,
		file: "middleware.go",
		old:  `if rules := m.contradicts(s.m); rules != "" {`,
		new:  `if rules := m.contradicts(s.m); rules == "\x00" {`,
		pkg:  ".", test: `TestBehaviour/managers/a_nested_one_with_other_rules_is_not_ignored_in_silence/memory/stricter`,
	},
	{
		what: `the tag of a readable record is not checked`,
		file: "internal/record/seal.go",
		old:  `if _, err := key.Open(nil, nil, tag, *ad); err != nil {`,
		new:  `if err := error(nil); tag == nil {`,
		pkg:  ".", test: `TestBehaviour/record/without_seals,_who_writes_to_the_store_is_found_out/memory`,
	},
	{
		what: `the tag does not tell the user from the values`,
		file: "internal/record/seal.go",
		old: `	dst = binary.AppendUvarint(dst, uint64(len(user)))
	dst = append(dst, user...)
`,
		new: `	dst = append(dst, user...)
`,
		pkg: "./internal/record", test: `TestTagUserEndsWhereItEnds`,
	},
}

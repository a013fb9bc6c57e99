package main

// endFaults are about renewal, logout and expiry while requests are under way.
var endFaults = []fault{
	{
		what: `Destroy only removes the cookie`,
		file: "commit.go",
		old:  `s.outside(func() { out, err = s.m.store.Delete(ctx, &r.cred, r.version) })`,
		new:  `out.Removed, err = true, ctx.Err()`,
		pkg:  ".", test: `TestBehaviour/logout/the_record_and_the_cookie_are_gone_and_the_token_is_dead/memory`,
	},
	{
		what: `a logout that no replica has confirmed is "logged out" once the record is not found`,
		file: "internal/stored/delete.go",
		old: `	return s.Backend.Delete(ctx, id)
}

// DeleteVersion`,
		new: `	return nil
}

// DeleteVersion`,
		pkg: ".", test: `TestBehaviour/replicas/a_logout_that_no_replica_confirms_is_an_error/memory`,
	},
	{
		what: `a logout that no replica has confirmed takes the cookie that the next try needs`,
		file: "commit.go",
		old:  `if !errors.Is(err, backend.ErrNotReplicated) {`,
		new:  `if true {`,
		pkg:  ".", test: `TestBehaviour/replicas/a_logout_that_the_replicas_refuse_is_an_error/memory`,
	},
	{
		what: `a renewal whose reply was lost is lost`,
		file: "internal/stored/update.go",
		old: `		cred = &w.after.Cred
`,
		new: `		cred = &w.from
`,
		pkg: ".", test: `TestBehaviour/renew/the_reply_to_a_renewal_is_lost/memory`,
	},
	{
		what: `logout with an old token removes the new cookie`,
		file: "commit.go",
		old: `	if s.reply.cookie == cookieRemove { // an earlier try failed
		s.reply.cookie = cookieAlone
	}
`,
		new: `	s.reply.cookie = cookieRemove
`,
		pkg: ".", test: `TestBehaviour/renew/renewed_while_a_request_is_under_way/memory`,
	},
	{
		what: `Renew after the header is taken`,
		file: "lifecycle.go",
		old: `	if s.phase == phaseSent {
		s.refuse(method)
		return false
	}
`,
		new: ``,
		pkg: ".", test: `TestBehaviour/response/a_change_after_the_first_byte/memory`,
	},
	{
		what: `a login that lost its record is dropped`,
		file: "commit.go",
		old:  `if s.want.changed&changedUser != 0 && s.want.to.user != "" {`,
		new:  `if s.want.changed&changedUser != 0 && s.want.to.user == "\x00" {`,
		pkg:  ".", test: `TestBehaviour/login/of_two_logins_both_are_logged_in/memory`,
	},
	{
		what: `a session past its absolute timeout is stored again`,
		file: "internal/stored/change.go",
		old:  `(expires <= now && !change.Still || c.Head.Ended(now))`,
		new:  `(expires <= 0 && !change.Still)`,
		pkg:  ".", test: `TestBehaviour/expiry/the_absolute_timeout_passes_while_the_user_is_active`,
	},
}

package main

// endFaults are about renewal, logout and expiry while requests are under way.
var endFaults = []fault{
	{
		bar: "LO-1", what: `Destroy only removes the cookie`,
		file: "remove.go",
		old:  `s.outside(func() { err = s.m.removeVersion(ctx, s.doomed) })`,
		new:  `err = ctx.Err()`,
		pkg:  ".", test: `TestBehaviourF/50_destroy/memory`,
	},
	{
		bar: "LO-1", what: `a logout that no replica has confirmed is "logged out" once the record is not found`,
		file: "remove.go",
		old: `	return m.store.Delete(ctx, id)
}

// deleteVersion`,
		new: `	return nil
}

// deleteVersion`,
		pkg: ".", test: `TestLogoutUnconfirmed/memory`,
	},
	{
		bar: "LO-1", what: `a logout that no replica has confirmed takes the cookie that the next try needs`,
		file: "remove.go",
		old:  `if !errors.Is(err, backend.ErrNotReplicated) {`,
		new:  `if true {`,
		pkg:  ".", test: `TestLogoutRefusedByReplicas/memory`,
	},
	{
		bar: "FX-4", what: `a renewal whose reply was lost is lost`,
		file: "load.go",
		old: `		cred = &next
`,
		new: `		_ = next
`,
		pkg: ".", test: `TestBehaviourF/48_renew_with_the_reply_lost/memory`,
	},
	{
		bar: "FX-6", what: `logout with an old token removes the new cookie`,
		file: "remove.go",
		old: `		if s.cookie == cookieRemove { // an earlier try failed
			s.cookie = cookieAlone
		}
`,
		new: `		s.cookie = cookieRemove
`,
		pkg: ".", test: `TestBehaviourF/52_renewed_meanwhile/memory`,
	},
	{
		bar: "FX-9", what: `Renew after the header is taken`,
		file: "lifecycle.go",
		old: `	if s.sent {
		s.refuse(method)
		return false
	}
`,
		new: ``,
		pkg: ".", test: `TestBehaviourD/31_change_after_first_byte/memory`,
	},
	{
		bar: "FX-8", what: `a login that lost its record is dropped`,
		file: "commit.go",
		old:  `if s.changed&changedUser != 0 && s.want.user != "" {`,
		new:  `if s.changed&changedUser != 0 && s.want.user == "\x00" {`,
		pkg:  ".", test: `TestBehaviourF/49_two_logins/memory`,
	},
	{
		bar: "TO-8", what: `a session past its absolute timeout is stored again`,
		file: "update.go",
		old:  `past := rec.Expires.UnixMilli() <= now && !s.noTouch || s.loaded.Ended(now)`,
		new:  `past := rec.Expires.UnixMilli() <= 0 && !s.noTouch`,
		pkg:  ".", test: `TestBehaviourE/45_while_active/memory`,
	},
}

package main

// loadFaults are about what comes from outside: the token of a stranger, the
// bytes of a damaged record, the figures of a configuration.
var loadFaults = []fault{
	{
		what: `a token that the client made up is adopted`,
		file: "load.go",
		old: `		m.reject(s, cred, ReasonUnknown)
`,
		new: `		m.reject(s, cred, ReasonUnknown)
		s.rec.Cred, s.rec.Known = *cred, true
`,
		pkg: ".", test: `TestBehaviour/token/an_unknown_token_is_never_adopted/memory`,
	},
	{
		what: `a damaged record is an error for ever`,
		file: "load.go",
		old: `errors.Is(err, stored.ErrDamaged):
		m.unreadable(s, cred, err)
`,
		new: `errors.Is(err, stored.ErrDamaged):
		return m.failed("load", err)
`,
		pkg: ".", test: `TestBehaviour/record/a_damaged_record_is_a_new_session/memory`,
	},
	{
		what: `what a store calls corrupt is an error for ever`,
		file: "load.go",
		old: `	case errors.Is(err, backend.ErrCorrupt), errors.Is(err, stored.ErrDamaged):
`,
		new: `	case errors.Is(err, backend.ErrCorrupt):
		return m.failed("load", err)
	case errors.Is(err, stored.ErrDamaged):
`,
		pkg: ".", test: `TestBehaviour/record/a_damaged_record_is_a_new_session/memory`,
	},
	{
		what: `the length of a key is believed`,
		file: "internal/record/body.go",
		old:  `if n <= 0 || size >= uint64(len(entry)-n) {`,
		new:  `if n <= 0 {`,
		pkg:  "./internal/record", test: `FuzzBody`,
	},
	{
		what: `the number of values is believed`,
		file: "internal/record/body.go",
		old: `	if first > uint64(len(b)) {
		return Body{}, errBody
	}
`,
		new: ``,
		pkg: "./internal/record", test: `FuzzBody`,
	},
	{
		what: `a record of an unknown format is read`,
		file: "internal/record/head.go",
		old:  `len(data) < headFixed || data[0] != format1 || data[1]&^flagsKnown != 0 {`,
		new:  `len(data) < headFixed || data[1]&^flagsKnown != 0 {`,
		pkg:  ".", test: `TestBehaviour/record/a_damaged_record_is_a_new_session/memory`,
	},
	{
		what: `a timeout of 3600 ns is taken`,
		file: "config.go",
		old:  `case d < time.Millisecond:`,
		new:  `case d < time.Nanosecond:`,
		pkg:  ".", test: `TestBehaviour/config/durations_that_cannot_be_meant_are_refused`,
	},
	{
		what: `mysql: a table name may be anything`,
		file: "backend/mysql/schema.go",
		old:  `\.)?([A-Za-z0-9_]{1,64})$`,
		new:  `\.)?(.{1,64})$`,
		pkg:  "./backend/mysql", test: `TestTableNames`,
	},
}

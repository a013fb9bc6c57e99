package main

// storeFaults are about how a session is stored and ended.
var storeFaults = []fault{
	{
		what: `a conflict is not merged with what others stored`,
		file: "commit.go",
		old:  `s.vals.Rebase(values, `,
		new:  `_ = max(0, 1) // (`,
		pkg:  ".", test: `TestEveryInterleaving/set∥set/true_processes`,
	},
	{
		what: `plain writes, found by the enumeration`,
		file: "backend/memory/memory.go",
		old: `	case old.version != version:
		return backend.ErrConflict
	}
	r.version = version + 1`,
		new: `	}
	r.version = version + 1`,
		pkg: ".", test: `TestEveryInterleaving/update∥update/true_processes`,
	},
	{
		what: `a value that is what it was is written`,
		file: "internal/record/changes.go",
		old:  `stored != nil && string(stored) == string(encoded) {`,
		new:  `stored != nil && string(stored) == "" {`,
		pkg:  ".", test: `TestBehaviour/create/an_equal_value_is_no_write/memory`,
	},
	{
		what: `an own write is not recognised after a lost reply`,
		file: "internal/stored/retry.go",
		old:  `return err == nil && h.Commit == t.commit`,
		new:  `return err == nil && h.Commit == 1`,
		pkg:  ".", test: `TestBehaviour/update/a_lost_reply_does_nothing_twice/memory`,
	},
	{
		what: `an update of unknown outcome is tried again`,
		file: "internal/stored/update.go",
		old:  `	if version > w.doubt+1 {`,
		new:  `	if version > w.doubt+1000 {`,
		pkg:  ".", test: `TestBehaviour/update/an_unknown_outcome_is_not_called_a_success/memory`,
	},
	{
		what: `a store's Touch cannot ask the session`,
		file: "commit.go",
		old:  `s.outside(func() { out, err = s.m.store.Touch(ctx, id, expires) })`,
		new:  `out, err = s.m.store.Touch(ctx, id, expires)`,
		pkg:  ".", test: `TestBehaviour/callbacks/a_callback_may_ask_the_session`,
	},
	{
		what: `a hook cannot ask the session`,
		file: "session.go",
		old: `	s.work.after = f
`,
		new: `	f()
`,
		pkg: ".", test: `TestBehaviour/callbacks/a_callback_may_ask_the_session`,
	},
	{
		what: `what ends a user's other sessions cannot ask the session`,
		file: "users.go",
		old:  `s.outside(func() { ended, err = s.m.trim(ctx, user) })`,
		new:  `ended, err = s.m.trim(ctx, user)`,
		pkg:  ".", test: `TestBehaviour/callbacks/a_callback_may_ask_the_session`,
	},
	{
		what: `the request's own context cannot ask the session`,
		file: "commit.go",
		old:  `s.outside(func() { err = s.x.Context.Err() })`,
		new:  `err = s.x.Context.Err()`,
		pkg:  ".", test: `TestBehaviour/callbacks/a_callback_may_ask_the_session`,
	},
	{
		what: `a Save from within a store call waits for itself`,
		file: "session.go",
		old:  `const nestedAfter = 900 * time.Millisecond`,
		new:  `const nestedAfter = 900 * time.Hour`,
		pkg:  ".", test: `TestBehaviour/callbacks/a_callback_that_would_wait_for_itself_gives_up_in_time/memory/Save`,
	},
	{
		what: `an update in an update waits for ever`,
		file: "values.go",
		old: `	case <-timer.C:
		return ErrNested
`,
		new: ``,
		pkg: ".", test: `TestBehaviour/update/an_Update_inside_an_Update`,
	},
	{
		what: `what was destroyed meanwhile is stored again`,
		file: "commit.go",
		old: `	case lost:
		return s.lostUpdate(&out, fn != nil)`,
		new: `	case lost:
		s.trouble.lost = nil
		return s.createRecord(ctx, &s.vals)`,
		pkg: ".", test: `TestBehaviour/logout/ended_while_a_request_is_under_way/memory`,
	},
	{
		what: `changes of a lost session make a new one`,
		file: "commit.go",
		old:  `s.trouble.err, s.trouble.lost = nil, why`,
		new:  `s.trouble.err = nil`,
		pkg:  ".", test: `TestBehaviour/logout/ended_while_a_request_is_under_way/memory`,
	},
	{
		what: `an old token's changes go into the renewed session`,
		file: "internal/stored/update.go",
		old: `	cred := &w.from
`,
		new: `	cred := &w.from
	if h, headErr := record.ParseHead(f.rec.Data); headErr == nil && !cred.Matches(&h.Hash) && w.store.Protect == record.Plain {
		f.copy = &Copy{Cred: *cred, Known: true, Exists: true, Version: f.rec.Version, Expires: f.rec.Expires.UnixMilli(), User: f.rec.User, Head: h}
		f.values, _, err = record.Open(cred, f.rec.User, f.rec.Data, &h, record.Plain)
		return f, err
	}
`,
		pkg: ".", test: `TestBehaviour/renew/renewed_while_a_request_is_under_way/memory`,
	},
	{
		what: `logout with an old token ends the renewed session`,
		file: "internal/stored/delete.go",
		old:  `headErr == nil && !cred.Matches(&h.Hash) {`,
		new:  `headErr != nil && !cred.Matches(&h.Hash) {`,
		pkg:  ".", test: `TestBehaviour/renew/renewed_while_a_request_is_under_way/memory`,
	},
	{
		what: `DeleteVersion deletes any version`,
		file: "internal/stored/delete.go",
		old:  `return s.Can.VersionedDeleter.DeleteVersion(ctx, id, version)`,
		new:  `return s.Backend.Delete(ctx, id)`,
		pkg:  ".", test: `TestBehaviour/users/trimming_meets_another_login/memory`,
	},
	{
		what: `a logout that failed is answered 200`,
		file: "commit.go",
		old: `			s.reply.cookie = s.removalCookie() // the browser shall forget it all the same
		}
		return s.m.failed(out.Op, err)`,
		new: `			s.reply.cookie = s.removalCookie() // the browser shall forget it all the same
		}
		return nil`,
		pkg: ".", test: `TestBehaviour/logout/a_logout_that_fails_says_so/memory`,
	},
	{
		what: `a logout that failed leaves the cookie`,
		file: "commit.go",
		old: `		s.reply.cookie = s.removalCookie() // the browser shall forget it all the same
`,
		new: ``,
		pkg: ".", test: `TestBehaviour/logout/a_logout_that_fails_says_so/memory`,
	},
	{
		what: `RevokeUser stops at the first`,
		file: "users.go",
		old: `			revoked++
`,
		new: `			revoked++
			return revoked, nil
`,
		pkg: ".", test: `TestBehaviour/users/RevokeUser_spares_this_one/memory`,
	},
	{
		what: `values survive Destroy in the request`,
		file: "lifecycle.go",
		old: `	s.vals.Reset(record.Body{}, s.m.cfg.MaxBytes)
}`,
		new: `}`,
		pkg: ".", test: `TestBehaviour/logout/what_follows_Destroy_is_a_fresh_session/memory`,
	},
	{
		what: `a new session is stored though it is empty`,
		file: "commit.go",
		old:  `return s.vals.Changed() || s.currentUser() != ""`,
		new:  `return true`,
		pkg:  ".", test: `TestBehaviour/create/a_session_that_is_only_read_is_not_stored/memory`,
	},
	{
		what: `storing ends with the client`,
		file: "manager.go",
		old: `	if m.bounded {
		return (*callContext)(x), func() {}
	}
	return context.WithTimeout((*callContext)(x), m.cfg.StoreTimeout)`,
		new: `	return context.WithTimeout(x.Context, m.cfg.StoreTimeout)`,
		pkg: ".", test: `TestBehaviour/failure/stored_though_the_client_is_gone/file`,
	},
	{
		what: `MaxBytes is ignored`,
		file: "internal/record/changes.go",
		old:  `	if size > c.max {`,
		new:  `	if size < 0 {`,
		pkg:  ".", test: `TestBehaviour/values/a_large_value_is_stored_or_refused/memory`,
	},
	{
		what: `MaxBytes is ignored after a merge`,
		file: "internal/record/changes.go",
		old:  `if c.size <= c.max || len(c.changes) == 0 {`,
		new:  `if c.size >= 0 {`,
		pkg:  ".", test: `TestBehaviour/values/merged_changes_stay_within_MaxBytes`,
	},
	{
		what: `a value that cannot be encoded is left out`,
		file: "values.go",
		old:  `		s.keepError("Set", valueError(key, value, err))`,
		new:  `		_ = valueError(key, value, err)`,
		pkg:  ".", test: `TestBehaviour/values/what_cannot_be_stored_is_an_error`,
	},
	{
		what: `MaxPerUser ends the newest logins`,
		file: "users.go",
		old:  `return int(max(-1, min(1, b.login-a.login)))`,
		new:  `return int(max(-1, min(1, a.login-b.login)))`,
		pkg:  ".", test: `TestBehaviour/users/MaxPerUser_keeps_the_newest/memory`,
	},
	{
		what: `a message is shown and left`,
		file: "flash/flash.go",
		old: `				v.Delete(key)
`,
		new: ``,
		pkg: ".", test: `TestBehaviour/flash/shown_once/memory`,
	},
	{
		what: `a retried Take shows what another one took`,
		file: "flash/flash.go",
		old: `		taken = nil // Update may begin again
`,
		new: ``,
		pkg: ".", test: `TestBehaviour/flash/of_eight_readers_one_shows_it/memory`,
	},
	{
		what: `a panic of the store ends the collector`,
		file: "gc/gc.go",
		old:  `if r := recover(); r != nil {`,
		new:  `if r := any(nil); r != nil {`,
		pkg:  "./gc", test: `TestCollectorSurvives`,
	},
	{
		what: `Stop does not wait`,
		file: "gc/gc.go",
		old: `	c.cancel()
	<-c.done
`,
		new: `	c.cancel()
`,
		pkg: "./gc", test: `TestStopWaits`,
	},
	{
		what: `a sweep goes on after its end`,
		file: "gc/gc.go",
		old: `for ctx.Err() == nil {
		began`,
		new: `for range 9 {
		began`,
		pkg: "./gc", test: `TestSweepEndsWithItsContext`,
	},
	{
		what: `a store that embeds the one in memory has its own Load passed by`,
		file: "manager.go",
		old:  `if own, ok := store.(*memory.Store); ok {`,
		new:  `if own, ok := store.(interface{ LoadAt(uuid.UUID, int64) (backend.Record, error) }); ok && memory.Name != "" {`,
		pkg:  ".", test: `TestLoadOfWrapper`,
	},
	{
		what: `the store in memory returns what ends this millisecond`,
		file: "backend/memory/shard.go",
		old:  `func (r *record) expired(now int64) bool { return r.expires <= now }`,
		new:  `func (r *record) expired(now int64) bool { return r.expires < now }`,
		pkg:  "./backend/memory", test: `TestLoadAt`,
	},
}

package main

// tokenFaults are about tokens, the seal, and how a session is loaded.
var tokenFaults = []fault{
	{
		what: `secrets are not random`,
		file: "internal/record/token.go",
		old: `	rand.Read(c[6:])
`,
		new: `	rand.Read(c[6:16])
`,
		pkg: ".", test: `TestBehaviour/token/all_256_bits_of_a_secret_are_random`,
	},
	{
		what: `a taken ID is taken for stored`,
		file: "internal/stored/create.go",
		old: `		case err == nil:
`,
		new: `		case err == nil, errors.Is(err, backend.ErrExists):
`,
		pkg: ".", test: `TestBehaviour/create/a_taken_ID_is_never_overwritten/memory`,
	},
	{
		what: `any 48 bytes are a token`,
		file: "internal/record/token.go",
		old:  `ok = bad < 64 && c[6]>>4 == 7 && c[8]>>6 == 2`,
		new:  `ok = bad < 64`,
		pkg:  "./internal/record", test: `TestParseTokenRefuses`,
	},
	{
		what: `characters outside of the alphabet are read as others`,
		file: "internal/record/token.go",
		old:  `ok = bad < 64 && c[6]>>4 == 7 && c[8]>>6 == 2`,
		new:  `ok = c[6]>>4 == 7 && c[8]>>6 == 2`,
		pkg:  "./internal/record", test: `TestParseTokenRefuses`,
	},
	{
		what: `a token is logged`,
		file: "load.go",
		old: `the request gets a new session",
		slog.String("id", cred.ID().String())`,
		new: `the request gets a new session",
		slog.String("id", cred.Token())`,
		pkg: ".", test: `TestBehaviour/record/a_damaged_record_is_a_new_session/memory`,
	},
	{
		what: `printing a session prints its token`,
		file: "session.go",
		old:  `fmt.Fprintf(f, "session(%s)", s.ID())`,
		new:  `fmt.Fprintf(f, "session(%s)", s.rec.Cred.Token())`,
		pkg:  ".", test: `TestBehaviour/secrecy/printing_shows_no_secret`,
	},
	{
		what: `no secret check`,
		file: "internal/record/token.go",
		old:  `return subtle.ConstantTimeCompare(own[:], hash[:]) == 1`,
		new:  `return subtle.ConstantTimeCompare(own[:], hash[:]) >= 0`,
		pkg:  ".", test: `TestBehaviour/token/a_changed_secret_opens_nothing/memory`,
	},
	{
		what: `the store gets the secret, not its hash`,
		file: "internal/record/token.go",
		old:  `{ return sha256.Sum256(c.secret()) }`,
		new:  `{ sha256.Sum256(nil); return [32]byte(c.secret()) }`,
		pkg:  ".", test: `TestBehaviour/record/the_store_has_only_the_hash_of_the_secret`,
	},
	{
		what: `the seal is off`,
		file: "manager.go",
		old: `	m.store.Protect = record.Sealed
`,
		new: `	m.store.Protect = record.Plain
`,
		pkg: ".", test: `TestBehaviour/record/values_are_sealed`,
	},
	{
		what: `the seal does not cover the ID`,
		file: "internal/record/seal.go",
		old: `	dst = append(dst, id[:]...)
`,
		new: ``,
		pkg: "./internal/record", test: `TestSealCovers`,
	},
	{
		what: `the seal does not cover the user`,
		file: "internal/record/seal.go",
		old: `	return append(dst, user...)
`,
		new: `	return dst
`,
		pkg: "./internal/record", test: `TestSealCovers`,
	},
	{
		what: `the seal does not cover the head`,
		file: "internal/record/seal.go",
		old: `	dst = append(dst, head...) // it tells its own length
`,
		new: ``,
		pkg: "./internal/record", test: `TestSealCovers`,
	},
	{
		what: `every sealing has the same nonce`,
		file: "internal/record/seal.go",
		old:  `	return cipher.NewGCMWithRandomNonce(block)`,
		new: `	gcm, err := cipher.NewGCM(block)
	return zeroNonce{gcm}, err
}

type zeroNonce struct{ cipher.AEAD }

func (z zeroNonce) NonceSize() int { return 0 }

func (z zeroNonce) Open(dst, _, sealed, ad []byte) ([]byte, error) {
	return z.AEAD.Open(dst, sealed[:nonceSize], sealed[nonceSize:], ad)
}

func (z zeroNonce) Seal(dst, _, text, ad []byte) []byte {
	var nonce [nonceSize]byte
	return z.AEAD.Seal(append(dst, nonce[:]...), nonce[:], text, ad)`,
		pkg: ".", test: `TestBehaviour/record/values_are_sealed`,
	},
	{
		what: `a plain record is read where sealed ones are due`,
		file: "internal/record/seal.go",
		old:  `		if how != Plain {`,
		new:  `		if false {`,
		pkg:  "./internal/record", test: `TestPlainRecordWhereSealed`,
	},
	{
		what: `Renew keeps the secret`,
		file: "internal/record/token.go",
		old: `	rand.Read(next[16:])
`,
		new: `	rand.Read(make([]byte, 1))
`,
		pkg: ".", test: `TestBehaviour/renew/the_old_token_is_dead_and_the_values_stay/memory`,
	},
	{
		what: `Renew keeps the old hash`,
		file: "internal/stored/change.go",
		old: `	if w.isNew || change.Renew {
`,
		new: `	if w.isNew {
`,
		pkg: ".", test: `TestBehaviour/renew/the_old_token_is_dead_and_the_values_stay/memory`,
	},
	{
		what: `the superseded window is dropped`,
		file: "internal/stored/stored.go",
		old:  `h.Renewed != 0 && c.At*1000-h.Renewed < supersededFor.Microseconds()`,
		new:  `h.Renewed < 0`,
		pkg:  ".", test: `TestBehaviour/renew/a_superseded_token_that_comes_late/memory`,
	},
	{
		what: `the cookie is cleared on an unknown token`,
		file: "load.go",
		old: `		m.reject(s, cred, ReasonUnknown)
`,
		new: `		m.reject(s, cred, ReasonUnknown)
		s.reply.cookie = cookieRemove
`,
		pkg: ".", test: `TestBehaviour/token/an_unknown_token_that_only_reads_stores_nothing/memory`,
	},
	{
		what: `SetUser does not renew`,
		file: "lifecycle.go",
		old:  `	s.renew(user != "")`,
		new:  `	s.ensureID()`,
		pkg:  ".", test: `TestBehaviour/login/the_cart_from_before_the_login_stays/memory`,
	},
	{
		what: `no absolute timeout on read`,
		file: "internal/stored/stored.go",
		old:  `record.CreatedMillis(rec.ID)+absolute.Milliseconds() <= c.At {`,
		new:  `record.CreatedMillis(rec.ID)+absolute.Milliseconds() <= 0 {`,
		pkg:  ".", test: `TestBehaviour/expiry/the_absolute_timeout_ends_a_session/memory`,
	},
	{
		what: `activity stretches the absolute timeout`,
		file: "internal/stored/stored.go",
		old: `record.CreatedMillis(cred.ID())+absolute.Milliseconds())
}`,
		new: `now+absolute.Milliseconds())
}`,
		pkg: ".", test: `TestBehaviour/expiry/the_absolute_timeout_passes_while_the_user_is_active`,
	},
	{
		what: `every request is written down`,
		file: "commit.go",
		old:  ` >= s.touchEvery()`,
		new:  ` > 0*s.touchEvery()`,
		pkg:  ".", test: `TestBehaviour/expiry/activity_moves_the_expiry/memory`,
	},
	{
		what: `NoTouch is ignored`,
		file: "commit.go",
		old:  `if !s.rec.Exists || s.want.noTouch {`,
		new:  `if !s.rec.Exists {`,
		pkg:  ".", test: `TestBehaviour/expiry/activity_moves_the_expiry/memory`,
	},
	{
		what: `candidates are not limited`,
		file: "load.go",
		old:  `const most = 4`,
		new:  `const most = 400`,
		pkg:  ".", test: `TestBehaviour/cookie_header/a_huge_header_is_bounded_work/memory`,
	},
	{
		what: `a dead cookie hides a live one`,
		file: "load.go",
		old:  `return err == nil && n < most`,
		new:  `return false`,
		pkg:  ".", test: `TestBehaviour/cookie_header/of_two_cookies_the_first_live_one_wins/memory`,
	},
	{
		what: `an outage is taken for no session`,
		file: "load.go",
		old: `		m.tellOf(cred, s.x, Event{Kind: EventUnavailable, Err: err})
		return err
`,
		new: `		m.tellOf(cred, s.x, Event{Kind: EventUnavailable, Err: err})
		return nil
`,
		pkg: ".", test: `TestBehaviour/failure/loading_fails/memory`,
	},
}

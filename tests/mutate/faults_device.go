package main

// deviceFaults are about sessions that are bound to a device: what proves that a
// request comes from it, and what the library keeps for that.
var deviceFaults = []fault{
	{
		what: `bound: a token is enough`,
		file: "devicebound/admit.go",
		old:  `return guard.Verdict{Refused: true, Foreign: foreign}`,
		new:  `return guard.Verdict{}`,
		pkg:  "./devicebound", test: `TestThief`,
	},
	{
		what: `bound: a proof is good for ever`,
		file: "devicebound/stamp.go",
		old:  `return -leeway <= age && age < lifetime+leeway`,
		new:  `return -leeway <= age`,
		pkg:  "./devicebound", test: `TestThief`,
	},
	{
		what: `bound: anybody can make a proof`,
		file: "devicebound/stamp.go",
		old: `	if !hmac.Equal(mac[:], raw[8:]) {
		return false
	}
`,
		new: `	_ = hmac.Equal(mac[:], raw[8:])
`,
		pkg: "./devicebound", test: `TestStamp`,
	},
	{
		what: `bound: a proof passes for a challenge`,
		file: "devicebound/stamp.go",
		old: `	message[0] = byte(to)
`,
		new: ``,
		pkg: "./devicebound", test: `TestTokens/a_proof_as_the_challenge`,
	},
	{
		what: `bound: the token says what it is signed with`,
		file: "devicebound/key.go",
		old:  `if alg != "ES256" || len(signature) != 2*half {`,
		new:  `if len(signature) != 2*half {`,
		pkg:  "./devicebound", test: `TestTokens/RS256_by_name_only`,
	},
	{
		what: `bound: a short RSA key is taken`,
		file: "devicebound/key.go",
		old:  `if n.BitLen() >= minRSA && n.Bit(0) == 1 {`,
		new:  `if n.Bit(0) == 1 {`,
		pkg:  "./devicebound", test: `TestTokens/a_short_key`,
	},
	{
		what: `bound: a challenge need not be signed by the device`,
		file: "devicebound/endpoint.go",
		old:  `return err == nil && verify(key, t.alg, t.signed, t.signature)`,
		new:  `return err == nil && key != nil`,
		pkg:  "./devicebound", test: `TestThiefWithKey`,
	},
	{
		what: `bound: a key is registered without an offer`,
		file: "devicebound/endpoint.go",
		old: `	if !fresh(t.challenge, []byte(s.Cred.Token()), forOffer, s.Cred.ID(), now, challengeFor) {
		return nil, false
	}
`,
		new: ``,
		pkg: "./devicebound", test: `TestTokens/another_challenge`,
	},
	{
		what: `bound: the key of somebody else is registered`,
		file: "devicebound/endpoint.go",
		old:  `if err != nil || !verify(key, t.alg, t.signed, t.signature) {`,
		new:  `if err != nil {`,
		pkg:  "./devicebound", test: `TestTokens/the_key_of_somebody_else`,
	},
	{
		what: `bound: a key replaces the first one`,
		file: "load.go",
		old:  `if kept = record.Kept(&values); kept != nil {`,
		new:  `if kept = record.Kept(&values); len(kept) > 1<<20 {`,
		pkg:  ".", test: `TestGuardKeeps`,
	},
	{
		what: `bound: a refresh with a token that was just replaced ends the key`,
		file: "devicebound/endpoint.go",
		old:  `if s.Unavailable() || errors.Is(s.Err(), session.ErrSuperseded) {`,
		new:  `if s.Unavailable() {`,
		pkg:  "./devicebound", test: `TestRefreshEndsOnlyWhatIsOver/replaced_just_now`,
	},
	{
		what: `bound: an ErrorHandler responds at the refresh`,
		file: "load.go",
		old:  `if g.guard.Endpoint(r) == nil {`,
		new:  `if g.guard != nil {`,
		pkg:  ".", test: `TestGuardEndpointInAnOutage`,
	},
	{
		what: `bound: a login that ends across sites is offered at once`,
		file: "devicebound/admit.go",
		old:  `return !isForeign(r)`,
		new:  `return true`,
		pkg:  "./devicebound", test: `TestLoginThatEndsAcrossSites`,
	},
	{
		what: `bound: the session that is refused is handed out`,
		file: "load.go",
		old: `	s.startOver()
	s.reply.live = false
`,
		new: ``,
		pkg: ".", test: `TestGuardRefuses`,
	},
	{
		what: `bound: Start hands out what the middleware does not`,
		file: "load.go",
		old: `	if s.start.header != nil {
		return ErrUnproven
	}
`,
		new: ``,
		pkg: ".", test: `TestGuardResponds`,
	},
	{
		what: `bound: Start leaves an endpoint to the program where the token opens nothing`,
		file: "middleware.go",
		old: `		if err := m.admit(s, nil); err != nil {
			return nil, err
		}
`,
		new: ``,
		pkg: ".", test: `TestGuardEndpointIsNotStarted`,
	},
	{
		what: `bound: Clear unbinds`,
		file: "internal/record/body.go",
		old:  `if count == 0 && cap(base.data) == len(base.data) {`,
		new:  `if count == 0 {`,
		pkg:  "./internal/record", test: `TestKeptIsNoValue`,
	},
	{
		what: `bound: a record takes more memory than its store counts`,
		file: "internal/record/body.go",
		old:  `count*endWidth(size) + size + kept`,
		new:  `count*endWidth(size) + size`,
		pkg:  "./internal/record", test: `TestKeptIsSealed`,
	},
	{
		what: `bound: the next write unbinds`,
		file: "internal/record/body.go",
		old:  `return append(dst, base.data[len(base.data):cap(base.data)]...)`,
		new:  `return dst`,
		pkg:  ".", test: `TestGuardKeeps`,
	},
	{
		what: `bound: a login as somebody else unbinds`,
		file: "lifecycle.go",
		old:  `s.vals.Rebase(s.vals.Base(), true)`,
		new:  `s.vals.Rebase(record.Body{}, true)`,
		pkg:  ".", test: `TestGuardKeeps`,
	},
	{
		what: `bound: a login as somebody else unbinds where another request has written`,
		file: "internal/record/changes.go",
		old:  `base = Body{data: base.data[len(base.data):]}`,
		new:  `base = Body{}`,
		pkg:  ".", test: `TestGuardKeepsWhatALoginMeets`,
	},
	{
		what: `bound: a login as somebody else beside it undoes the binding`,
		file: "load.go",
		old: `		record.Keep(&s.vals, kept)
`,
		new: ``,
		pkg: ".", test: `TestGuardKeepsBesideALogin`,
	},
	{
		what: `bound: to bind a session is nothing to store`,
		file: "internal/record/changes.go",
		old:  `if !c.Changed() {`,
		new:  `if c.Changed() {`,
		pkg:  "./internal/record", test: `TestKeepIsAChange`,
	},
	{
		what: `bound: to bind a session deletes a value`,
		file: "internal/record/changes.go",
		old: `		for c.base.Find(key) != nil {
			key += "\x00"
		}
`,
		new: ``,
		pkg: "./internal/record", test: `TestKeepIsAChange`,
	},
	{
		what: `bound: a request of an endpoint's counts as activity of the user`,
		file: "load.go",
		old: `	s.want.noTouch = true
`,
		new: ``,
		pkg: ".", test: `TestGuardResponds`,
	},
	{
		what: `bound: another session takes the binding along`,
		file: "internal/record/changes.go",
		old:  `c.base, c.changes, c.index = Body{}, all, nil`,
		new:  `c.base, c.changes, c.index = Body{data: c.base.data[len(c.base.data):]}, all, nil`,
		pkg:  ".", test: `TestGuardKeepsNothingOfAnotherSession`,
	},
	{
		what: `bound: a copied cookie can be bound to another device at any time`,
		file: "devicebound/endpoint.go",
		old:  ` && now.Sub(s.Since) < bindFor`,
		new:  ``,
		pkg:  "./devicebound", test: `TestThiefOfAnUnboundSession`,
	},
	{
		what: `bound: sessions are bound while it is switched off`,
		file: "devicebound/endpoint.go",
		old:  `return !b.off && s != nil`,
		new:  `return s != nil`,
		pkg:  "./devicebound", test: `TestOff`,
	},
	{
		what: `bound: Bound is true while it is switched off`,
		file: "devicebound/binding.go",
		old:  `return ok && !b.off`,
		new:  `return ok && b != nil`,
		pkg:  "./devicebound", test: `TestOff`,
	},
	{
		what: `bound: one manager takes the offer of another away`,
		file: "devicebound/admit.go",
		old:  `return strings.HasPrefix(line, b.offer)`,
		new:  `return true`,
		pkg:  "./devicebound", test: `TestTwoManagers`,
	},
	{
		what: `bound: another origin's POST is an alarm, and replaces the session`,
		file: "devicebound/admit.go",
		old:  `return guard.Verdict{Refused: true, Foreign: foreign}`,
		new:  `return guard.Verdict{Refused: true}`,
		pkg:  "./devicebound", test: `TestPostFromAnotherOrigin`,
	},
	{
		what: `bound: a session that a wrong clock bound needs no proof`,
		file: "devicebound/key.go",
		old:  `return -leeway <= age && age < settling`,
		new:  `return age < settling`,
		pkg:  "./devicebound", test: `TestSettles`,
	},
	{
		what: `bound: a manager without devicebound goes around the one with it`,
		file: "load.go",
		old: `	m.key += ";" + cookieKey(g.Cookie()) + ";"
`,
		new: ``,
		pkg: ".", test: `TestGuardAndAnotherManager`,
	},
}

// Package faults holds the tests that break things on purpose: a real server
// process (chi and session, on each backend) under HTTP load, while its
// process, its database, its disk and its network fail in every way we know,
// and while clients send what they should not.
//
// A plain go test runs a short form of the cheapest cases. The whole is
//
//	make faults    # writes docs/evidence/faults.md, the table of cases and backends
//	make soak      # SOAK=2m for a short one; writes docs/evidence/soak.md
//
// Every response in every case is checked against one rule, in browser_test.go:
// a 200 tells the truth about the session, and anything else is an error
// answer with no cookie. Every log and every error response is searched for
// every token, value and password that was used.
package faults

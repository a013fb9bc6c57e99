// Package behaviour is what sessions do, one sentence a case, as tests that
// run on any backend. The root runs them on those that need no server, and
// module tests on the others:
//
//	go test -run 'TestBehaviour/cookie_header/of_two_cookies_the_first_live_one_wins/memory' .
//	go -C tests test -run TestBehaviour/logout ./behaviour
//
// Each topic has a file, which begins with the list of its cases. A case stands
// on an app (manager, chi router, server) and its browsers (clients with a
// cookie jar each).
package behaviour

import "testing"

// A behaviour is one case.
type behaviour struct {
	sentence string // what holds, or when; part of the test's name
	on       func(t *testing.T, kinds []Kind)
	waits    bool // the clock is what it waits for, so others may run meanwhile
}

// each is a case for every backend, on all of them at once: they share nothing,
// and mostly wait for their servers.
func each(sentence string, run func(t *testing.T, k Kind)) behaviour {
	return alone(sentence, func(t *testing.T, k Kind) {
		t.Parallel()
		run(t, k)
	})
}

// waiting is a case for every backend that spends its time waiting for a
// timeout. It runs beside others of its topic as well.
func waiting(sentence string, run func(t *testing.T, k Kind)) behaviour {
	b := each(sentence, run)
	b.waits = true
	return b
}

// alone is a case for every backend, on one after the other, as it measures the
// process, or keeps it busy for seconds.
func alone(sentence string, run func(t *testing.T, k Kind)) behaviour {
	return behaviour{sentence: sentence, on: func(t *testing.T, kinds []Kind) {
		for _, k := range kinds {
			t.Run(k.Name, func(t *testing.T) { run(t, k) })
		}
	}}
}

// once is a case in which the backend cannot matter. It brings its own store,
// and runs where memory is among the backends.
func once(sentence string, run func(t *testing.T)) behaviour {
	return behaviour{sentence: sentence, on: func(t *testing.T, kinds []Kind) {
		for _, k := range kinds {
			if k.Name == Memory.Name {
				t.Run(k.Name, run)
			}
		}
	}}
}

var topics = []struct {
	name  string
	cases []behaviour
}{
	{"create", createCases},
	{"managers", managersCases},
	{"values", valuesCases},
	{"token", tokenCases},
	{"cookie header", cookieheaderCases},
	{"record", recordCases},
	{"secrecy", secrecyCases},
	{"cookie", cookieCases},
	{"caching", cachingCases},
	{"transport", transportCases},
	{"start", startCases},
	{"config", configCases},
	{"response", responseCases},
	{"writer", writerCases},
	{"failure", failureCases},
	{"error response", errorresponseCases},
	{"refusal", refusalCases},
	{"expiry", expiryCases},
	{"renew", renewCases},
	{"login", loginCases},
	{"logout", logoutCases},
	{"merge", mergeCases},
	{"update", updateCases},
	{"users", usersCases},
	{"flash", flashCases},
	{"sweep", sweepCases},
	{"files", filesCases},
	{"replicas", confirmCases},
	{"callbacks", callbacksCases},
}

// Run runs all cases on the backends, as subtests TOPIC/SENTENCE/BACKEND.
func Run(t *testing.T, kinds ...Kind) {
	for _, topic := range topics {
		t.Run(topic.name, func(t *testing.T) {
			for _, c := range topic.cases {
				t.Run(c.sentence, func(t *testing.T) {
					if c.waits {
						t.Parallel()
					}
					c.on(t, kinds)
				})
			}
		})
	}
}

// Sentences returns TOPIC/SENTENCE of every case, in order.
func Sentences() (all []string) {
	for _, topic := range topics {
		for _, c := range topic.cases {
			all = append(all, topic.name+"/"+c.sentence)
		}
	}
	return all
}

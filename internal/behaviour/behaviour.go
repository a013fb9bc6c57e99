// Package behaviour is what sessions do, one sentence a case, as tests that
// run on any backend. The root runs them on those that need no server, and
// module tests on the others:
//
//	go test -run 'TestBehaviour/cookie_header/of_two_cookies_the_first_live_one_wins/memory' .
//	go -C tests test -run TestBehaviour/logout ./behaviour
//	go -C tests test -run Behaviour///redis ./behaviour
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
	alone    bool // nothing else may run meanwhile
}

// each is a case for every backend. It shares nothing with others.
func each(sentence string, run func(t *testing.T, k Kind)) behaviour {
	return behaviour{sentence: sentence, on: func(t *testing.T, kinds []Kind) {
		for _, k := range kinds {
			t.Run(k.Name, func(t *testing.T) {
				t.Parallel()
				run(t, k)
			})
		}
	}}
}

// alone is a case for every backend that measures the process, or keeps it busy
// for seconds.
func alone(sentence string, run func(t *testing.T, k Kind)) behaviour {
	return behaviour{sentence: sentence, alone: true, on: func(t *testing.T, kinds []Kind) {
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

// onceAlone is like once, for what measures or changes the process.
func onceAlone(sentence string, run func(t *testing.T)) behaviour {
	b := once(sentence, run)
	b.alone = true
	return b
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

// Run runs all cases on the backends, as subtests TOPIC/SENTENCE/BACKEND: those
// that must be alone one after the other, and then all others side by side, as
// they mostly wait, for a server or for a timeout.
func Run(t *testing.T, kinds ...Kind) {
	for _, topic := range topics {
		t.Run(topic.name, func(t *testing.T) {
			for _, c := range topic.cases {
				if c.alone {
					t.Run(c.sentence, func(t *testing.T) { c.on(t, kinds) })
				}
			}
			t.Parallel() // from here on, after the same of every other topic
			for _, c := range topic.cases {
				if !c.alone {
					t.Run(c.sentence, func(t *testing.T) {
						t.Parallel()
						c.on(t, kinds)
					})
				}
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

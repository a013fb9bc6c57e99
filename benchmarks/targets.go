package main

// A target is a ratio of duels that the library is to keep.
type target struct {
	kind     string
	scenario scenario
	against  string
	limit    float64
	faster   bool // the limit is how many times faster, at least
}

// ownRead is the opponent of Dr that is this library itself, in scenario B.
const ownRead = "reading little"

// The targets of duels. In memory there is no server to wait for: a bare map takes
// 0.1 µs of a request, and no cookie, token and context fit into twice that. So
// what counts there is chi alone, a token that is made and sent, and what the
// other libraries take.
var targets = []target{
	{inMemory, untouched, nameChi, 1.6, false},
	{inFile, untouched, nameChi, 1.6, false},

	{inMemory, read, nameSCS, 14, true},
	{inFile, read, nameRaw, 1, false},
	{inFile, read, nameGorilla, 4, true},
	{inRedis, read, nameRaw, 1.1, false},
	{inRedis, read, nameSCS, 1.5, true},
	{inMariaDB, read, nameRaw, 1.1, false},
	{inMariaDB, read, nameSCS, 1.3, true},
	{inPostgres, read, nameRaw, 1.1, false},
	{inPostgres, read, nameSCS, 1, true},

	{inMemory, write, nameSCS, 12, true},
	{inFile, write, nameGorilla, 10, true},
	{inRedis, write, nameRaw, 1.22, false},
	{inMariaDB, write, nameRaw, 1.1, false},
	{inPostgres, write, nameRaw, 1.1, false},

	{inMemory, readBig, ownRead, 1.2, false},
	{inFile, readBig, ownRead, 1.15, false},
	{inRedis, readBig, nameRaw, 1.1, false},
	{inMariaDB, readBig, nameRaw, 1.1, false},
	{inPostgres, readBig, nameRaw, 1.1, false},

	{inMemory, login, nameWire, 2.5, false},
	{inFile, login, nameRaw, 1.2, false},
	{inRedis, login, nameRaw, 1.25, false},
	{inMariaDB, login, nameRaw, 1.1, false},
	{inPostgres, login, nameRaw, 1.1, false},

	{inFile, renew, nameRaw, 1.2, false},
	{inRedis, renew, nameRaw, 1.25, false},
	{inMariaDB, renew, nameRaw, 1.1, false},
	{inPostgres, renew, nameRaw, 1.1, false},

	{inFile, destroy, nameRaw, 1.2, false},
	{inRedis, destroy, nameRaw, 1.25, false},
	{inMariaDB, destroy, nameRaw, 1.1, false},
	{inPostgres, destroy, nameRaw, 1.1, false},
}

// targetOf returns the target of a duel, if it has one.
func targetOf(kind string, s scenario, against string) (target, bool) {
	for _, t := range targets {
		if t.kind == kind && t.scenario == s && t.against == against {
			return t, true
		}
	}
	return target{}, false
}

// Limits on what is exact: allocations in memory beyond chi's own, and round
// trips everywhere.
var (
	mostAllocs = map[scenario]int{untouched: 2, read: 3, readBig: 3, write: 6}
	mostTrips  = map[scenario]int{untouched: 0, read: 1, readBig: 1, write: 2, writeBig: 2, login: 2, renew: 2, destroy: 2}
)

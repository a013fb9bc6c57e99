// Package testserver starts private servers for tests: a process of its own
// on a free loopback port and a unix socket, with its data in a temporary
// directory, that can be killed, frozen and restarted at will.
//
// A package starts one from TestMain and stops it there; nothing needs a
// *testing.T. A server that is not installed is an error that names the cure,
// never a skipped test. Nothing stays behind: a server dies with the test
// binary that started it (on Linux even when that is killed), and the
// directories of killed runs are removed by one that comes an hour later.
package testserver

package main

import (
	"crypto/sha256"
	"encoding/hex"
	"regexp"
	"strings"
)

// A fault is a mutation of the library's code.
type fault struct {
	what string // the mistake, which is what tells the fault from all others
	file string // below the root
	old  string // what is replaced; it is there once
	new  string
	pkg  string // of the test
	test string // the test that must fail, by its full name
}

// all returns the faults in the order of the lists.
func all() []fault {
	var faults []fault
	for _, part := range [][]fault{
		tokenFaults, loadFaults, storeFaults, endFaults, responseFaults, headerFaults, loginFaults, backendFaults, serverFaults, deviceFaults,
	} {
		faults = append(faults, part...)
	}
	return faults
}

// server reports whether the test needs a server.
func (f fault) server() bool {
	return strings.Contains(f.pkg, "mysql") || strings.Contains(f.pkg, "redis")
}

// print is the fingerprint of all that decides the outcome, but for the code.
func (f fault) print() string {
	sum := sha256.Sum256([]byte(strings.Join([]string{f.file, f.old, f.new, f.pkg, f.test}, "\x00")))
	return hex.EncodeToString(sum[:6])
}

// function is the test function of f's test.
func (f fault) function() string {
	name, _, _ := strings.Cut(f.test, "/")
	return name
}

// pattern is the -test.run that picks the fault's test and no other.
func (f fault) pattern() string {
	parts := strings.Split(f.test, "/")
	for i, part := range parts {
		parts[i] = "^" + regexp.QuoteMeta(part) + "$"
	}
	return strings.Join(parts, "/")
}

package backendtest

import (
	"strings"

	"github.com/chisession/session/backend"
)

// A Capability is an optional interface that a store may have, or a set of
// them.
type Capability uint16

// The optional interfaces of package backend. A store has [Bounded]
// and [Confirmer] if its method says so.
const (
	VersionedDeleter Capability = 1 << iota
	Sweeper
	UserIndex
	Lister
	Counter
	InProcess
	Bounded
	Confirmer
	Comparer

	closer // io.Closer
)

var capabilityNames = []string{"VersionedDeleter", "Sweeper", "UserIndex", "Lister", "Counter", "InProcess", "Bounded", "Confirmer", "Comparer", "io.Closer"}

// String returns the names of the interfaces.
func (c Capability) String() string {
	var names []string
	for i, name := range capabilityNames {
		if c&(1<<i) != 0 {
			names = append(names, name)
		}
	}
	if names == nil {
		return "no optional interface"
	}
	return strings.Join(names, ", ")
}

// Capabilities returns what s has.
func Capabilities(s backend.Store) Capability {
	var c Capability
	has := func(ok bool, one Capability) {
		if ok {
			c |= one
		}
	}
	can := backend.AbilitiesOf(s)
	has(can.VersionedDeleter != nil, VersionedDeleter)
	has(can.Sweeper != nil, Sweeper)
	has(can.UserIndex != nil, UserIndex)
	has(can.Lister != nil, Lister)
	has(can.Counter != nil, Counter)
	has(can.Comparer != nil, Comparer)
	has(can.InProcess, InProcess)
	has(can.Closer != nil, closer)
	has(can.Bounded, Bounded)
	has(can.Confirms, Confirmer)
	return c
}

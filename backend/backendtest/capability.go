package backendtest

import (
	"io"
	"strings"

	"github.com/chisession/session/backend"
)

// A Capability is an optional interface that a store may have, or a set of
// them.
type Capability uint8

// The optional interfaces of package backend. A store has [Bounded]
// and [Confirmer] if its method says so.
const (
	VersionedDeleter Capability = 1 << iota
	Sweeper
	UserIndex
	Counter
	InProcess
	Bounded
	Confirmer

	closer // io.Closer
)

var capabilityNames = []string{"VersionedDeleter", "Sweeper", "UserIndex", "Counter", "InProcess", "Bounded", "Confirmer", "io.Closer"}

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
	_, ok := s.(backend.VersionedDeleter)
	has(ok, VersionedDeleter)
	_, ok = s.(backend.Sweeper)
	has(ok, Sweeper)
	_, ok = s.(backend.UserIndex)
	has(ok, UserIndex)
	_, ok = s.(backend.Counter)
	has(ok, Counter)
	_, ok = s.(backend.InProcess)
	has(ok, InProcess)
	_, ok = s.(io.Closer)
	has(ok, closer)
	b, ok := s.(backend.Bounded)
	has(ok && b.Bounded(), Bounded)
	confirmer, ok := s.(backend.Confirmer)
	has(ok && confirmer.Confirms(), Confirmer)
	return c
}

//go:build linux || darwin || freebsd || netbsd || openbsd || dragonfly

package file

// SetFault lets fault decide which steps fail, by name; nil lets none.
func (s *Store) SetFault(fault func(step string) error) {
	s.fault = nil
	if fault != nil {
		s.fault = func(st step) error { return fault(string(st)) }
	}
}

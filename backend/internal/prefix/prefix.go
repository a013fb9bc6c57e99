// Package prefix is what the lists of the stores share.
package prefix

import (
	"bytes"

	"github.com/chisession/session/backend"
)

// End returns what comes right after all users' names that begin with prefix,
// byte by byte, so that an index finds them as a range: from prefix, included,
// to End, excluded.
func End(prefix string) []byte {
	for last := len(prefix) - 1; last >= 0; last-- {
		if prefix[last] != 0xff {
			end := []byte(prefix[:last+1])
			end[last]++
			return end
		}
	}
	return bytes.Repeat([]byte{0xff}, backend.MaxUser+1) // after all names
}

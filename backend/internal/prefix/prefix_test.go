package prefix

import (
	"strings"
	"testing"

	"github.com/chisession/session/backend"
)

func TestEnd(t *testing.T) {
	longest := strings.Repeat("\xff", backend.MaxUser)
	for _, prefix := range []string{"a", "ann", "\x00", "\xfe", "\xff", "a\xff", "a\xff\xff", "a\x00", longest} {
		end := string(End(prefix))
		for _, name := range []string{prefix, prefix + "\x00", prefix + "\xff\xff\xff"} {
			if len(name) <= backend.MaxUser && (name < prefix || name >= end) {
				t.Errorf("End(%q) is %q: %q is not before it", prefix, end, name)
			}
		}
		for _, name := range []string{"", "b", "ano", "\x01", "a\x01", longest[1:]} {
			if in := name >= prefix && name < end; in != strings.HasPrefix(name, prefix) {
				t.Errorf("End(%q) is %q: %q is in between: %t", prefix, end, name, in)
			}
		}
	}
}

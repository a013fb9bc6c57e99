package conf

import (
	"errors"
	"fmt"
	"strings"
	"unicode"
)

// An entry is one setting as it was found.
type entry struct {
	key     Key    // what it sets; the zero Key if it is unknown
	name    string // the key as it is written, or the variable
	value   string
	section string // in lower case
	file    string // empty for a variable
	line    int
}

// slot is the same for two entries that set the same thing.
func (e entry) slot() string {
	if e.key.Field != "" {
		return e.key.Field
	}
	return e.key.Name
}

// String says where e was found, and not what its value is.
func (e entry) String() string {
	if e.file == "" {
		return shown(e.name)
	}
	return fmt.Sprintf("%s:%d: %s", e.file, e.line, shown(e.name))
}

// wrong returns the error for an entry whose value is not accepted.
func (e entry) wrong(err error) error {
	var why refusal
	switch {
	case errors.As(err, &why):
		return fmt.Errorf("conf: %v: %w", e, err)
	case e.key.Name == "":
		return fmt.Errorf("conf: %v %w", e, err)
	}
	return fmt.Errorf("conf: %v %w; it takes %s", e, err, e.key.Values)
}

// unknown returns the error for an entry that is none of names.
func (e entry) unknown(names []string) error {
	const longest = 64 // a key of ours is shorter
	if len(e.name) > longest {
		return fmt.Errorf("conf: %v is not a session key", e)
	}
	return fmt.Errorf("conf: %v is not a session key; the nearest one is %s", e, nearest(e.name, names))
}

// shown returns a name fit for one line of an error.
func shown(name string) string {
	const most = 64
	clean := strings.Map(func(r rune) rune {
		if unicode.IsPrint(r) {
			return r
		}
		return '?'
	}, name)
	if len(clean) > most {
		return strings.ToValidUTF8(clean[:most], "") + "…"
	}
	return clean
}

// nearest returns the one of names that takes the fewest changes to get to
// from name, whatever its case.
func nearest(name string, names []string) string {
	best, fewest := "", 0
	for _, n := range names {
		if d := distance(strings.ToLower(name), strings.ToLower(n)); best == "" || d < fewest {
			best, fewest = n, d
		}
	}
	return best
}

// distance is Levenshtein's, in bytes.
func distance(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			change := diagonal
			if a[i] != b[j] {
				change++
			}
			diagonal = row[j+1]
			row[j+1] = min(change, row[j]+1, row[j+1]+1)
		}
	}
	return row[len(b)]
}

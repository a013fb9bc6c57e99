package conf

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"gopkg.in/ini.v1"
)

const (
	defaultSection = "default"

	maxFileBytes = 1 << 20
	maxFiles     = 64
)

var errFiles = fmt.Errorf("more than %d files", maxFiles)

// An opener returns what is in a file.
type opener = func(name string, included bool) ([]byte, error)

// A reader reads a configuration file and those that it includes.
type reader struct {
	open    opener
	files   int
	reading []string // the files that are open, each included by the one before it
	entries []entry  // session keys and runmode, in the order of the text
}

// read appends what the file has to r.entries.
//
// The library does not say in which line it found a key. So it gets the text
// line by line: Beego's format has nothing that goes over several lines, and
// this way its idea of what a line means and ours of where it is cannot differ.
func (r *reader) read(name string, included bool) error {
	r.files++
	r.reading = append(r.reading, filepath.Clean(name))
	defer func() { r.reading = r.reading[:len(r.reading)-1] }()
	data, err := r.open(name, included)
	if err != nil {
		return err
	}
	if bytes.HasPrefix(data, []byte("\xff\xfe")) || bytes.HasPrefix(data, []byte("\xfe\xff")) {
		return fmt.Errorf("conf: %s is UTF-16: save it as UTF-8", name)
	}
	data = bytes.TrimPrefix(data, []byte("\ufeff"))
	section := defaultSection
	number := 0
	for line := range bytes.SplitSeq(data, []byte("\n")) {
		number++
		section, err = r.line(entry{file: name, line: number, section: section}, bytes.TrimSpace(line))
		if err != nil {
			return err
		}
	}
	return nil
}

// line reads one line, of which e says where it is, and returns the section
// that the next one is in.
func (r *reader) line(e entry, line []byte) (section string, err error) {
	if len(line) == 0 || line[0] == '#' || line[0] == ';' {
		return e.section, nil
	}
	if other, ok := includes(string(line)); ok {
		return e.section, r.include(e, other)
	}
	file, err := ini.LoadSources(ini.LoadOptions{
		IgnoreContinuation:      true, // a password may end in a backslash
		IgnoreInlineComment:     true, // and have a # or ; in it
		PreserveSurroundedQuote: true,
		KeyValueDelimiters:      "=",
	}, line)
	if err != nil {
		// The library's error has the whole line in it.
		return "", fmt.Errorf("conf: %s:%d: not a line of the form [section], key = value, include \"file\" or # comment", e.file, e.line)
	}
	if line[0] == '[' {
		names := file.SectionStrings() // the library's own DEFAULT first
		return strings.ToLower(strings.TrimSpace(names[len(names)-1])), nil
	}
	for _, key := range file.Section("").Keys() {
		e.name = key.Name()
		name := strings.ToLower(e.name)
		if !strings.HasPrefix(name, prefix) && name != runModeKey {
			continue
		}
		if i := slices.IndexFunc(keys, func(k Key) bool { return k.Name == name }); i >= 0 {
			e.key = keys[i]
		}
		e.value = unquote(key.Value()) // String would expand %(name)s
		r.entries = append(r.entries, e)
	}
	return e.section, nil
}

// include reads the file that the line of e includes. Its keys begin outside
// of any section, as in Beego.
func (r *reader) include(e entry, other string) error {
	if !filepath.IsAbs(other) {
		other = filepath.Join(filepath.Dir(e.file), other)
	}
	if slices.Contains(r.reading, filepath.Clean(other)) {
		return fmt.Errorf("conf: %s:%d: include: this makes %s include itself", e.file, e.line, other)
	}
	if r.files >= maxFiles {
		return fmt.Errorf("conf: %s:%d: include: %w; does one include itself?", e.file, e.line, errFiles)
	}
	err := r.read(other, true)
	if errors.Is(err, errFiles) {
		return err // the way to it may be very long
	}
	if err != nil {
		return fmt.Errorf("%w (included by %s:%d)", err, e.file, e.line)
	}
	return nil
}

// includes returns the file that an include line names.
func includes(line string) (string, bool) {
	word, rest := line, ""
	if i := strings.IndexAny(line, " \t\""); i >= 0 {
		word, rest = line[:i], line[i:]
	}
	if !strings.EqualFold(word, "include") || strings.Contains(rest, "=") {
		return "", false
	}
	name := unquote(strings.TrimSpace(rest))
	return name, name != ""
}

// unquote drops double quotes as Beego does, and a pair of single ones.
func unquote(value string) string {
	if strings.HasPrefix(value, `"`) {
		return strings.TrimSpace(strings.Trim(value, `"`))
	}
	if len(value) >= 2 && value[0] == '\'' && value[len(value)-1] == '\'' {
		return strings.TrimSpace(value[1 : len(value)-1])
	}
	return value
}

// openFile returns the contents of a file. What is included must be a regular
// one, so that no line can have us wait for a device.
func openFile(name string, included bool) ([]byte, error) {
	if included {
		info, err := os.Stat(name)
		if err != nil {
			return nil, fmt.Errorf("conf: include: %w", err)
		}
		if !info.Mode().IsRegular() {
			return nil, fmt.Errorf("conf: include: %s is not a file", name)
		}
	}
	f, err := os.Open(name)
	if err != nil {
		return nil, fmt.Errorf("conf: %w", err)
	}
	defer f.Close()
	data, err := io.ReadAll(io.LimitReader(f, maxFileBytes+1))
	if err != nil {
		return nil, fmt.Errorf("conf: %w", err)
	}
	if len(data) > maxFileBytes {
		return nil, fmt.Errorf("conf: %s is larger than %d bytes", name, maxFileBytes)
	}
	return data, nil
}

package flash

import (
	"strings"

	"github.com/google/uuid"
)

// A Level tells what kind of message it is. Any other text than the four below
// is a level, too.
type Level string

// The levels that have functions of their own.
const (
	LevelSuccess Level = "success"
	LevelNotice  Level = "notice"
	LevelWarning Level = "warning"
	LevelError   Level = "error"
)

// A Message is one line for the user.
type Message struct {
	Level Level  // how it should look
	Text  string // plain, as it was formatted when it was added
}

// String returns the text, so that {{.}} prints it.
func (m Message) String() string { return m.Text }

// Messages are messages in the order in which they were added. (Those of
// several servers are ordered by the servers' clocks.)
type Messages []Message

// Map returns the texts by level: the form for templates. A level without
// messages is an empty Texts, so {{with .flash.error}} works.
func (m Messages) Map() map[string]Texts {
	texts := make(map[string]Texts, len(m))
	for _, message := range m {
		level := string(message.Level)
		texts[level] = append(texts[level], message.Text)
	}
	return texts
}

// Texts are the messages of one level, in order.
type Texts []string

// String returns the texts one a line, so that {{.flash.error}} prints them.
func (t Texts) String() string { return strings.Join(t, "\n") }

// A message's key is prefix, a UUIDv7 (36 characters, ordered by time), a
// colon and the level; its value is the text. What does not look exactly so
// is a key of the application.
const (
	prefix   = "_flash:"
	uuidSize = 36
)

// newKey returns a key for a message, after all those that this process made
// before. [uuid.NewV7] fails only without a source of randomness, and there
// crypto/rand ends the program first.
func newKey(level Level) string {
	return prefix + uuid.Must(uuid.NewV7()).String() + ":" + string(level)
}

// levelOf returns the level in key, and whether key is that of a message.
func levelOf(key string) (Level, bool) {
	rest, ok := strings.CutPrefix(key, prefix)
	if !ok || len(rest) <= uuidSize || rest[uuidSize] != ':' || uuid.Validate(rest[:uuidSize]) != nil {
		return "", false
	}
	return Level(rest[uuidSize+1:]), true
}

// keysOf returns those of keys that are messages', in the order of keys: when
// those are sorted, by time.
func keysOf(keys []string) []string {
	var found []string
	for _, key := range keys {
		if _, ok := levelOf(key); ok {
			found = append(found, key)
		}
	}
	return found
}

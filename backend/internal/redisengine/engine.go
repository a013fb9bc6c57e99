// Package redisengine is what the backends on Redis have in common: the form
// of records and of the index by user, the script, and the store that works with
// them. How a command gets to the server that has its key is the business of a
// [Wire]. Sessions move between the backends: same keys, same bytes.
package redisengine

import (
	"context"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"sync/atomic"

	"github.com/chisession/session/backend"
)

// DefaultPrefix starts the name of every key, unless [Options] say otherwise.
const DefaultPrefix = "session:"

// maxPrefix is the length of the longest prefix.
const maxPrefix = 64

// maxRecord is the server's default limit for one value (proto-max-bulk-len).
const maxRecord = 512 << 20

// A Command is one command on one key, or on two that are on one server.
type Command struct {
	// Words are the command's name and its arguments, each a string, []byte,
	// int or int64.
	Words []any

	// Key is the key that it is about.
	Key string

	// Again says that it may be sent again when its outcome is unknown.
	Again bool
}

// A Wire carries commands to the primary that has their key. It is safe for
// concurrent use. Its errors are a server's [Refusal], or say that there was no
// reply; neither quotes what was sent.
type Wire interface {
	// Do sends a command. The reply is nil, an int64, a []byte (a status, or a
	// bulk string that is the caller's), or a []any of those.
	Do(ctx context.Context, cmd Command) (any, error)

	// Many sends commands that may be sent again, if possible in one round
	// trip, and returns their replies; a Refusal takes the place of one.
	Many(ctx context.Context, cmds []Command) ([]any, error)

	// Mode asks for the mode that the server runs in, as HELLO has it: one of
	// standalone, cluster, or empty if it does not say. An error that is no
	// Refusal means that there was no reply.
	Mode(ctx context.Context) (string, error)
}

// A Refusal is an error that a server replied.
type Refusal string

// Error returns the server's text.
func (r Refusal) Error() string { return string(r) }

// Refuse makes a Refusal of a server's text, without what it quotes of a
// command it does not know: that may be a value.
func Refuse(text string) Refusal {
	text, _, _ = strings.Cut(text, ", with args beginning with")
	return Refusal(text)
}

// Refused reports whether err is a server's refusal with one of the codes.
func Refused(err error, codes ...string) bool {
	refusal, ok := asRefusal(err)
	code, _, _ := strings.Cut(string(refusal), " ")
	return ok && slices.Contains(codes, code)
}

// Options adjust a [Store]. The zero value is right for most.
type Options struct {
	Prefix   string
	MaxBytes int
}

var prefixes = regexp.MustCompile(`^[A-Za-z0-9_.:/{}-]{1,64}$`)

// withDefaults returns o with the defaults filled in, or what is wrong with it.
func (o Options) withDefaults() (Options, error) {
	if o.Prefix == "" {
		o.Prefix = DefaultPrefix
	}
	if o.MaxBytes == 0 {
		o.MaxBytes = maxRecord
	}
	if !prefixes.MatchString(o.Prefix) {
		return o, fmt.Errorf("Options.Prefix is %q: use 1 to 64 letters, digits and _ - . : / { }", o.Prefix)
	}
	if o.MaxBytes < 0 {
		return o, fmt.Errorf("Options.MaxBytes is %d: give the server's proto-max-bulk-len, or 0 for %d", o.MaxBytes, maxRecord)
	}
	return o, nil
}

// A Store keeps sessions in Redis, over a wire. It is safe for concurrent use
// by any number of goroutines and processes.
type Store struct {
	name    string // of the backend, for errors
	wire    Wire
	opts    Options
	closed  atomic.Bool
	corrupt atomic.Uint64
	mode    atomic.Int32 // see together
	cluster atomic.Bool  // the server said that it is a node of one
	seen    seen
}

// New returns a Store on a wire, for the backend of that name.
func New(name string, wire Wire, opts Options) (*Store, error) {
	opts, err := opts.withDefaults()
	if err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	return &Store{name: name, wire: wire, opts: opts}, nil
}

// Shut makes all calls that come later backend.ErrClosed. It reports whether
// it was the first to do so.
func (s *Store) Shut() bool { return !s.closed.Swap(true) }

// Corrupt returns how often a key of ours held something that is no record
// of ours: truncated, overwritten by others, of another type or format. It
// was answered with backend.ErrNotFound, so that the user gets a new session
// and not an error for as long as the key lives.
func (s *Store) Corrupt() uint64 { return s.corrupt.Load() }

// Cluster reports whether the server has said, to a Check or a login, that it
// is a node of a Redis Cluster.
func (s *Store) Cluster() bool { return s.cluster.Load() }

// do sends one command.
func (s *Store) do(ctx context.Context, cmd Command) (any, error) {
	if s.closed.Load() {
		return nil, backend.ErrClosed
	}
	return s.wire.Do(ctx, cmd)
}

// many sends several.
func (s *Store) many(ctx context.Context, cmds []Command) ([]any, error) {
	if s.closed.Load() {
		return nil, backend.ErrClosed
	}
	return s.wire.Many(ctx, cmds)
}

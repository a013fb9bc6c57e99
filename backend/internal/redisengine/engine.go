// Package redisengine is what the backends on Redis have in common: the form
// of records and of the index by user, the script, and the store that works with
// them. How a command gets to the server that has its key is the business of a
// [Wire]. Sessions move between the backends: same keys, same bytes.
package redisengine

import (
	"context"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"sync/atomic"
	"time"

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

	// Replicas, if it is not 0, has the wire send a WAIT for so many behind
	// it, on the same connection, for Wait at most. See [Command.Confirmed].
	Replicas int
	Wait     time.Duration
}

// Behind returns the WAIT that goes behind the command.
func (c Command) Behind() []any { return []any{"WAIT", c.Replicas, c.Wait.Milliseconds()} }

// Confirmed makes an error of what the WAIT replied, if that is too little.
func (c Command) Confirmed(reply any) error {
	n, ok := reply.(int64)
	switch refusal, refused := reply.(Refusal); {
	case refused:
		return refusal
	case !ok:
		return errReply
	case n < int64(c.Replicas):
		return fmt.Errorf("%w: %d of %d within %v", backend.ErrNotReplicated, n, c.Replicas, c.Wait)
	}
	return nil
}

// A Wire carries commands to the primary that has their key. It is safe for
// concurrent use. Its errors are a server's [Refusal], or say that there was no
// reply; neither quotes what was sent.
type Wire interface {
	// Do sends a command. The reply is nil, an int64, a []byte (a status, or a
	// bulk string that is the caller's), or a []any of those. With an error
	// that is backend.ErrNotReplicated there is a reply, too.
	Do(ctx context.Context, cmd Command) (any, error)

	// Many sends commands that may be sent again, if possible in one round
	// trip, and returns their replies; a Refusal takes the place of one.
	Many(ctx context.Context, cmds []Command) ([]any, error)

	// Primaries calls fn with a way to ask each primary, one after the other,
	// until it returns an error. Of what is no cluster there is one.
	Primaries(ctx context.Context, fn func(Ask) error) error

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
	Prefix      string
	MaxBytes    int
	Replicas    int
	ReplicaWait time.Duration
	EveryWrite  bool
}

// The bounds of ReplicaWait. A call may wait twice, and has 3 seconds.
const (
	defaultReplicaWait = 500 * time.Millisecond
	maxReplicaWait     = time.Second
)

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
	return o.withReplicas()
}

// withReplicas is withDefaults for what is about replicas.
func (o Options) withReplicas() (Options, error) {
	switch {
	case o.Replicas < 0:
		return o, fmt.Errorf("Options.Replicas is %d: give the number of replicas that must have a logout, or 0", o.Replicas)
	case o.Replicas == 0 && (o.ReplicaWait != 0 || o.EveryWrite):
		return o, errors.New("Options.ReplicaWait or Options.EveryWrite is set, and Options.Replicas is 0: say how many replicas to wait for")
	case o.ReplicaWait == 0:
		o.ReplicaWait = defaultReplicaWait
	case o.ReplicaWait < time.Millisecond || o.ReplicaWait > maxReplicaWait:
		return o, fmt.Errorf("Options.ReplicaWait is %v: give 1ms to %v, or 0 for %v", o.ReplicaWait, maxReplicaWait, defaultReplicaWait)
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

	followed   followed
	entries    entries
	durability atomic.Pointer[string] // nil: nobody has asked
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

// Confirms reports whether what ends, narrows or replaces a session waits for
// replicas: whether Options.Replicas is set.
func (s *Store) Confirms() bool { return s.opts.Replicas > 0 }

// waits reports whether a write is to wait for replicas.
func (s *Store) waits(confirm bool) bool {
	return s.opts.Replicas > 0 && (confirm || s.opts.EveryWrite)
}

// waiting returns the command with a WAIT behind it, if it is to have one.
func (s *Store) waiting(cmd Command, wait bool) Command {
	if wait {
		cmd.Replicas, cmd.Wait = s.opts.Replicas, s.opts.ReplicaWait
	}
	return cmd
}

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

// Redirected returns the address in a refusal that is MOVED or ASK.
func Redirected(err error) string {
	refusal, _ := asRefusal(err)
	words := strings.Fields(string(refusal))
	if len(words) < 3 {
		return ""
	}
	return words[2]
}

// Redirection reports whether err is a refusal, and if it is, whether it says that
// the command was not done because another server is to be asked, or the same one
// in a moment.
func Redirection(err error) (refused, redirects bool) {
	_, refused = asRefusal(err)
	return refused, Refused(err, "MOVED", "ASK", "TRYAGAIN", "CLUSTERDOWN", "READONLY", "MASTERDOWN", "LOADING")
}

// Keys returns which of the command's words are keys: from, and up to but not
// including to.
func (c Command) Keys() (from, to int) {
	switch {
	case len(c.Words) > 3 && (c.Words[0] == "EVALSHA" || c.Words[0] == "EVAL"):
		n, _ := c.Words[2].(int)
		return 3, 3 + n
	case len(c.Words) > 1 && c.Words[1] == c.Key:
		return 1, 2
	}
	return 0, 0
}

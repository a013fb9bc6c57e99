package goredis

import (
	"context"
	"errors"
	"net"
	"testing"
	"time"
)

// TestTimeUpWhileDialling: the error of a call whose time was up says why nothing
// could be dialled meanwhile, and nothing of a dial that failed before.
func TestTimeUpWhileDialling(t *testing.T) {
	refused := errors.New("refused")
	w := &wire{dials: &dials{dial: func(context.Context, string, string) (net.Conn, error) { return nil, refused }}}
	began := time.Now()
	if _, err := w.dials.connect(t.Context(), "tcp", "127.0.0.1:1"); !errors.Is(err, refused) {
		t.Fatalf("connect: %v, want the dial's error", err)
	}
	if err := w.why(context.DeadlineExceeded, began); !errors.Is(err, context.DeadlineExceeded) || !errors.Is(err, refused) {
		t.Errorf("of a call that dialled: %v, want that its time was up, and why", err)
	}
	if err := w.why(context.DeadlineExceeded, time.Now().Add(time.Second)); errors.Is(err, refused) {
		t.Errorf("of a later call: %v, want nothing of the dial", err)
	}
	if err := w.why(net.ErrClosed, began); errors.Is(err, refused) {
		t.Errorf("of a call that ended otherwise: %v, want nothing of the dial", err)
	}
}

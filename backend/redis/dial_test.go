package redis

import (
	"net"
	"testing"
	"time"
)

// A deadlineConn remembers the deadlines that were set.
type deadlineConn struct {
	net.Conn
	set []time.Time
}

func (c *deadlineConn) SetDeadline(t time.Time) error {
	c.set = append(c.set, t)
	return nil
}

// TestLimit sees that a deadline serves the calls of a short time, that none
// is earlier than its call's, nor later by more than slack, and that those of
// a context are exact.
func TestLimit(t *testing.T) {
	fake := &deadlineConn{}
	c := &timedConn{Conn: fake}
	start := time.Now()
	for _, step := range []struct {
		after time.Duration
		exact bool
		sets  int // so far
	}{
		{0, false, 1},
		{slack / 2, false, 1},
		{slack, false, 1},
		{slack + 1, false, 2},
		{slack + 2, true, 3},
		{slack + 2, true, 4},
		{slack + 2, false, 4},
		{-time.Second, false, 5},
		{-2 * time.Second, true, 6},
	} {
		deadline := start.Add(step.after)
		if err := c.limit(deadline, step.exact); err != nil {
			t.Fatal(err)
		}
		late := fake.set[len(fake.set)-1].Sub(deadline)
		if len(fake.set) != step.sets || late < 0 || late > slack || step.exact && late != 0 {
			t.Errorf("limit(start+%v, %v): deadline set %d times, %v later; want %d times, 0 to %v (exact: 0)", step.after, step.exact, len(fake.set), late, step.sets, slack)
		}
	}
}

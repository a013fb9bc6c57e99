package sqlcall

import (
	"context"
	"errors"
	"slices"
	"testing"
	"testing/synctest"
	"time"
)

var errWrong = errors.New("wrong")

// TestDo: how often a statement is made, and what it is told of earlier ones.
func TestDo(t *testing.T) {
	for name, c := range map[string]struct {
		verdicts []Verdict // of the tries that fail; the next one succeeds
		retries  int
		unsure   []bool // what each try is told
		want     error
	}{
		"success":              {nil, 3, []bool{false}, nil},
		"no use":               {[]Verdict{No}, 3, []bool{false}, errWrong},
		"undone once":          {[]Verdict{Undone}, 3, []bool{false, false}, nil},
		"unknown, then undone": {[]Verdict{Unknown, Undone}, 3, []bool{false, true, true}, nil},
		"once too often":       {[]Verdict{Undone, Undone, Undone}, 2, []bool{false, false, false}, errWrong},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var unsure []bool
				err := Do(t.Context(), time.Now(), func(is bool) error {
					unsure = append(unsure, is)
					if len(unsure) > len(c.verdicts) {
						return nil
					}
					return errWrong
				}, func(error) (Verdict, int) { return c.verdicts[len(unsure)-1], c.retries })
				if !errors.Is(err, c.want) || !slices.Equal(unsure, c.unsure) {
					t.Errorf("Do = %v, its tries were unsure: %v; want %v and %v", err, unsure, c.want, c.unsure)
				}
			})
		})
	}
}

// TestDoEnds: with the time for it, and with its context.
func TestDoEnds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for name, c := range map[string]struct {
			ctx     time.Duration
			each    time.Duration // how long a try takes
			retries int
			want    int // tries
		}{
			"in time":                  {time.Hour, 600 * time.Millisecond, Retries, 2},
			"with its context":         {100 * time.Millisecond, 100 * time.Millisecond, Retries, 1},
			"when no retries are left": {time.Hour, time.Millisecond, Retries, 4},
			"after two deadlocks":      {time.Hour, 1100 * time.Millisecond, Contests, 2},
		} {
			ctx, cancel := context.WithTimeout(t.Context(), c.ctx)
			tries := 0
			err := Do(ctx, time.Now(), func(bool) error { tries++; time.Sleep(c.each); return errWrong },
				func(error) (Verdict, int) { return Undone, c.retries })
			cancel()
			if !errors.Is(err, errWrong) || tries != c.want {
				t.Errorf("%s: Do = %v after %d tries, want its last error after %d", name, err, tries, c.want)
			}
		}
	})
}

// TestSlots: who finds no place waits for a second, or until its context ends.
func TestSlots(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := make(Slots, 1)
		if err := s.Enter(t.Context()); err != nil {
			t.Errorf("Enter = %v, want a place", err)
		}
		began := time.Now()
		if err := s.Enter(t.Context()); !errors.Is(err, ErrBusy) || time.Since(began) != wait {
			t.Errorf("Enter of a full pool = %v after %v, want ErrBusy after %v", err, time.Since(began), wait)
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Millisecond)
		defer cancel()
		if err := s.Enter(ctx); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("Enter of a full pool until a deadline = %v, want context.DeadlineExceeded", err)
		}
		time.AfterFunc(wait/2, s.Leave)
		if err := s.Enter(t.Context()); err != nil {
			t.Errorf("Enter when a place becomes free = %v, want it", err)
		}
		s = nil
		if err := s.Enter(t.Context()); err != nil {
			t.Errorf("Enter of none = %v, want a place for all", err)
		}
		s.Leave()
	})
}

package record

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"
)

// withKept returns changes with a stored value "a", a new one "b", and something
// kept, stored or new.
func withKept(t *testing.T, isStored bool) *Changes {
	t.Helper()
	c := &Changes{}
	c.Reset(Body{}, 1<<10)
	set(t, c, "a", 1)
	if isStored {
		Keep(c, []byte("kept"))
	}
	store(t, c)
	set(t, c, "b", 2)
	if !isStored {
		Keep(c, []byte("kept"))
	}
	return c
}

// store makes what c has what is stored.
func store(t *testing.T, c *Changes) {
	t.Helper()
	_, body, err := Encode(uuid.UUID{}, "", &Head{}, c, Plain, nil)
	if err != nil {
		t.Fatal(err)
	}
	c.Settle(c, body)
}

// wantKept checks what is kept, and which keys there are, now and once c is stored.
func wantKept(t *testing.T, c *Changes, want string, keys ...string) {
	t.Helper()
	for _, when := range []string{"at once", "when stored"} {
		body := c.Base()
		if got := string(Kept(&body)); got != want {
			t.Errorf("%s: kept %q, want %q", when, got, want)
		}
		if got := c.Keys(); !slices.Equal(got, keys) || c.Len() != len(keys) {
			t.Errorf("%s: keys %q, Len %d, want %q", when, got, c.Len(), keys)
		}
		if count, size := mergedSize(&c.base, c.sorted()); count != c.count || size != c.size {
			t.Errorf("%s: counted %d entries of %d bytes, there are %d of %d", when, c.count, c.size, count, size)
		}
		store(t, c)
	}
}

// What is kept is no value: no list has it, and whatever is done to values leaves
// it as it is.
func TestKeptIsNoValue(t *testing.T) {
	for _, isStored := range []bool{true, false} {
		wantKept(t, withKept(t, isStored), "kept", "a", "b")

		c := withKept(t, isStored)
		c.Delete("a")
		c.Delete("b")
		wantKept(t, c, "kept")

		c = withKept(t, isStored)
		c.Clear()
		wantKept(t, c, "kept")

		c = withKept(t, isStored)
		c.Freeze()
		c.Clear()
		c.Thaw()
		wantKept(t, c, "kept")

		c = withKept(t, isStored)
		c.Rebase(withKept(t, true).base, false)
		wantKept(t, c, "kept", "a", "b")

		c = withKept(t, isStored)
		c.Drop()
		c.Rebase(c.Base(), true)
		if c.Changed() || c.base.len() != 0 {
			t.Errorf("emptied: %d stored values, changed %t", c.base.len(), c.Changed())
		}
		wantKept(t, c, "kept")
	}
}

// It takes none of the room that values have, and any bytes can be kept.
func TestKeptTakesNoRoom(t *testing.T) {
	c := &Changes{}
	c.Reset(Body{}, 10)
	set(t, c, "a", 1)
	long := strings.Repeat("\x01\x00", 1<<16)
	Keep(c, []byte(long))
	if _, _, err := c.Fits(); err != nil {
		t.Error(err)
	}
	wantKept(t, c, long, "a")
	Keep(c, nil)
	wantKept(t, c, "", "a")
}

// To keep something is something to store, whatever keys there are.
func TestKeepIsAChange(t *testing.T) {
	for _, keys := range [][]string{{}, {""}, {"", "\x00"}} {
		c := &Changes{}
		c.Reset(Body{}, 1<<10)
		for _, key := range keys {
			set(t, c, key, 1)
		}
		store(t, c)
		Keep(c, []byte("kept"))
		if !c.Changed() {
			t.Errorf("keys %q: nothing to store", keys)
		}
		wantKept(t, c, "kept", keys...)
	}
}

// What is kept is of one record: it does not go into another one.
func TestKeptStaysWithItsRecord(t *testing.T) {
	for _, isStored := range []bool{true, false} {
		c := withKept(t, isStored)
		c.Detach(c.Base())
		wantKept(t, c, "", "a", "b")
	}
}

// It is sealed as values are, and comes back however the record is protected.
func TestKeptIsSealed(t *testing.T) {
	cred := NewCredentials(time.Now())
	key, err := cred.Key()
	if err != nil {
		t.Fatal(err)
	}
	for _, empty := range []bool{false, true} {
		for how, readable := range map[Protection]bool{Plain: true, Tagged: true, Sealed: false} {
			c := withKept(t, true)
			if empty {
				c.Clear()
			}
			h := Head{Hash: cred.Hash()}
			data, _, err := Encode(cred.ID(), "ada", &h, c, how, key)
			if err != nil {
				t.Fatal(err)
			}
			if cap(data) != len(data) {
				t.Errorf("protection %d, empty %t: room for %d bytes, for %d of the record", how, empty, cap(data), len(data))
			}
			if strings.Contains(string(data), "kept") != readable {
				t.Errorf("protection %d, empty %t: kept is readable: %t", how, empty, !readable)
			}
			again, err := ParseHead(data)
			if err != nil {
				t.Fatal(err)
			}
			body, _, err := Open(&cred, "ada", data, &again, how)
			if err != nil || string(Kept(&body)) != "kept" || (body.len() == 0) != empty {
				t.Errorf("protection %d, empty %t: kept %q, %d values, %v", how, empty, Kept(&body), body.len(), err)
			}
		}
	}
}

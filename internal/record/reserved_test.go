package record

import (
	"slices"
	"testing"

	"github.com/google/uuid"
)

// withReserved returns changes with a stored value "a", a new one "b", and the
// reserved value, stored or new.
func withReserved(t *testing.T, isStored bool) *Changes {
	t.Helper()
	c := &Changes{}
	c.Reset(Body{}, 1<<10)
	set(t, c, "a", 1)
	if isStored {
		if err := c.SetReserved([]byte("kept")); err != nil {
			t.Fatal(err)
		}
	}
	store(t, c)
	set(t, c, "b", 2)
	if !isStored {
		if err := c.SetReserved([]byte("kept")); err != nil {
			t.Fatal(err)
		}
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

// The reserved value is in no list, and no key leads to it.
func TestReservedIsHidden(t *testing.T) {
	for _, isStored := range []bool{true, false} {
		c := withReserved(t, isStored)
		if keys := c.Keys(); !slices.Equal(keys, []string{"a", "b"}) || c.Len() != 2 {
			t.Errorf("stored %t: keys %q, Len %d, want a and b, 2", isStored, keys, c.Len())
		}
		if got := c.Find(reserved); got != nil {
			t.Errorf("stored %t: Find(its key) = %q", isStored, got)
		}
		if err := c.Set(reserved, "mine", Text{}); err == nil {
			t.Errorf("stored %t: Set(its key) is no error", isStored)
		}
		c.Delete(reserved)
		if got := string(c.Reserved()); got != "kept" {
			t.Errorf("stored %t: after Set and Delete of its key Reserved = %q", isStored, got)
		}
	}
}

// Clear leaves the reserved value, and sizes and counts as if it were all
// that was ever set.
func TestReservedOutlivesClear(t *testing.T) {
	for _, isStored := range []bool{true, false} {
		for _, frozen := range []bool{true, false} {
			c := withReserved(t, isStored)
			if frozen {
				c.Freeze()
			}
			c.Clear()
			if got := string(c.Reserved()); got != "kept" || c.Len() != 0 || len(c.Keys()) != 0 {
				t.Errorf("stored %t, frozen %t: Reserved = %q, Len %d, Keys %q", isStored, frozen, got, c.Len(), c.Keys())
			}
			if count, size := mergedSize(&c.base, c.sorted()); count != c.count || size != c.size || count != 1 {
				t.Errorf("stored %t, frozen %t: counted %d entries of %d bytes, there are %d of %d", isStored, frozen, c.count, c.size, count, size)
			}
			if frozen {
				c.Thaw()
			}
			store(t, c)
			if got := string(c.Reserved()); got != "kept" || c.base.count != 1 {
				t.Errorf("stored %t, frozen %t: once stored: Reserved = %q of %d entries", isStored, frozen, got, c.base.count)
			}
		}
	}
}

// After Discard the reserved value is all that there is, to be stored in any case.
func TestReservedOutlivesDiscard(t *testing.T) {
	for _, isStored := range []bool{true, false} {
		c := withReserved(t, isStored)
		c.Discard()
		if got := string(c.Reserved()); got != "kept" || c.Len() != 0 || c.base.len() != 0 || !c.Changed() {
			t.Errorf("stored %t: Reserved = %q, Len %d, on %d stored, changed %t", isStored, got, c.Len(), c.base.len(), c.Changed())
		}
		if count, size := mergedSize(&c.base, c.sorted()); count != c.count || size != c.size || count != 1 {
			t.Errorf("stored %t: counted %d entries of %d bytes, there are %d of %d", isStored, c.count, c.size, count, size)
		}
	}
	c := &Changes{}
	c.Reset(Body{}, 1<<10)
	set(t, c, "a", 1)
	if c.Discard(); c.Changed() || c.count != 0 {
		t.Errorf("without one: changed %t, %d entries, want nothing", c.Changed(), c.count)
	}
}

// The reserved value is of one record: it does not go into another one.
func TestReservedStaysWithItsRecord(t *testing.T) {
	for _, isStored := range []bool{true, false} {
		c := withReserved(t, isStored)
		c.Detach(c.Base())
		if c.Reserved() != nil || c.Len() != 2 || c.count != 2 {
			t.Errorf("stored %t: after Detach: Reserved = %q, Len %d of %d", isStored, c.Reserved(), c.Len(), c.count)
		}
	}
}

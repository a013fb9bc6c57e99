package record

import (
	"fmt"
	"maps"
	"math"
	"math/rand/v2"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"
)

// set is Set with what it needs.
func set(t *testing.T, c *Changes, key string, value any) {
	t.Helper()
	text, err := Marshal(value)
	if err == nil {
		err = c.Set(key, value, text)
	}
	if err != nil {
		t.Fatal(err)
	}
}

// Changes that nobody could make by hand give what a map gives, whatever
// their number, before and while a commit is under way, and after it.
func TestChangesAreWhatAMapIs(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	for round := range 300 {
		v, want := &Changes{}, map[string]int{}
		v.Reset(Body{}, 1<<20)
		keys := 1 + random.IntN(300)
		if round%2 == 0 {
			keys = 1 + random.IntN(8)
		}
		change := func(v *Changes, want map[string]int) {
			key := fmt.Sprint(random.IntN(keys))
			switch n := random.IntN(100); {
			case n < 65:
				value := random.IntN(3)
				set(t, v, key, value)
				want[key] = value
			case n < 97:
				v.Delete(key)
				delete(want, key)
			case n < 98:
				v.Clear()
				clear(want)
			default:
				v.Keys() // sorts
			}
		}
		check := func(when string, v *Changes, want map[string]int) {
			t.Helper()
			if got := v.Keys(); !slices.Equal(got, slices.Sorted(maps.Keys(want))) || v.Len() != len(want) {
				t.Fatalf("round %d, %s: keys %v (Len %d), want %v", round, when, got, v.Len(), want)
			}
			for key, n := range want {
				if got, err := DecodeTo[int](v.Find(key)); err != nil || got != n {
					t.Fatalf("round %d, %s: %q is %d, %v, want %d", round, when, key, got, err, n)
				}
			}
			if count, size := mergedSize(&v.base, v.changes); count != v.count || size != v.size {
				t.Fatalf("round %d, %s: %d keys and %d bytes are counted, there are %d and %d", round, when, v.count, v.size, count, size)
			}
		}
		plain := func(v *Changes) Body {
			b, err := parseBody(appendBody(nil, &v.base, v.sorted()))
			if err != nil {
				t.Fatal(err)
			}
			return b
		}
		for range 5 {
			for range random.IntN(2 * keys) {
				change(v, want)
			}
			check("changed", v, want)
			switch kind := random.IntN(3); {
			case kind == 0: // a commit of v itself
				v.Freeze()
				stored := plain(v)
				for range random.IntN(keys) {
					change(v, want)
				}
				if random.IntN(4) > 0 { // else it fails
					v.settle(stored)
				}
				v.Thaw()
				check("stored", v, want)
			case kind == 1: // an Update, while others go on
				clone, its := &Changes{}, maps.Clone(want)
				v.Clone(clone)
				for range random.IntN(10) {
					change(clone, its)
				}
				check("a copy", clone, its)
				for range random.IntN(10) {
					change(v, want)
				}
				since := v.since(clone)
				v.Settle(clone, plain(clone))
				for _, c := range since { // what came later counts
					if n, ok := want[c.key]; ok {
						its[c.key] = n
					} else {
						delete(its, c.key)
					}
				}
				want = its
				check("updated", v, want)
			}
			for i := range v.changes { // nothing is left to do that is done
				stored := v.base.Find(v.changes[i].key)
				if (stored == nil) == (v.changes[i].value == nil) && string(stored) == string(v.changes[i].value) {
					t.Fatalf("round %d: the change of %q changes nothing", round, v.changes[i].key)
				}
			}
		}
	}
}

// The time that Set, Delete, Len and Update's copies take for a key does not
// grow with the number of keys, in whatever order they come.
func TestManyKeysTakeTimeInProportion(t *testing.T) {
	orders := map[string]func(n int) []int{
		"ascending":  func(n int) []int { return ascending(n) },
		"descending": func(n int) []int { all := ascending(n); slices.Reverse(all); return all },
		"at random":  func(n int) []int { return rand.Perm(n) },
	}
	for name, order := range orders {
		t.Run(name, func(t *testing.T) {
			work := func(n int) time.Duration {
				best := time.Hour
				for range 2 {
					v := &Changes{}
					v.Reset(Body{}, 16<<20)
					began := time.Now()
					for _, i := range order(n) {
						set(t, v, fmt.Sprintf("%06x", i), i)
						if v.Len() == 0 || v.Find("000000") == nil && i == 0 {
							t.Fatal("a key is not there")
						}
					}
					clone := &Changes{}
					v.Clone(clone)
					for _, i := range order(n)[:n/2] {
						clone.Delete(fmt.Sprintf("%06x", i))
					}
					v.Take(clone)
					v.Rebase(Body{}, false)
					for _, i := range order(n)[:n/4] {
						set(t, v, fmt.Sprintf("%06x", i), true)
					}
					best = min(best, time.Since(began))
				}
				return best
			}
			// 16 times as many keys; quadratic would be 256. The machine may be busy.
			const most = 150
			ratio := math.Inf(1)
			for try := 0; try < 5 && ratio > most; try++ {
				few, many := work(5_000), work(80_000)
				ratio = min(ratio, float64(many)/float64(few))
				t.Logf("5,000 keys: %v; 80,000: %v", few, many)
			}
			if ratio > most {
				t.Errorf("80,000 keys take %.1f times as long as 5,000 at best, want at most %v", ratio, most)
			}
		})
	}
}

func ascending(n int) []int {
	all := make([]int, n)
	for i := range all {
		all[i] = i
	}
	return all
}

// A request holds no more of the values that it replaced than of those that it
// has, however long it runs and however large they are.
func TestReplacedValuesAreGivenUp(t *testing.T) {
	for _, c := range []struct {
		name       string
		size, keys int
	}{{"large", 32 << 10, 1}, {"small", 100, 1}, {"small, many keys", 60, 500}, {"at the edge", ownMemory - 1, 3}} {
		t.Run(c.name, func(t *testing.T) {
			v := &Changes{}
			v.Reset(Body{}, 64<<10)
			before := heapInUse()
			total := 0
			for i := 0; total < 8<<20; i++ {
				set(t, v, fmt.Sprint(i%c.keys), strings.Repeat(string(rune('a'+i%26)), c.size))
				total += c.size
				if i%1000 == 999 { // a Save
					b, err := parseBody(appendBody(nil, &v.base, v.sorted()))
					if err != nil {
						t.Fatal(err)
					}
					if i%2000 == 999 {
						v.Reset(b, v.max)
					}
				}
			}
			grown := heapInUse() - before
			runtime.KeepAlive(v)
			if grown > 1<<19 {
				t.Errorf("%d bytes are held after 8 MiB of Sets within 64 KiB", grown)
			}
		})
	}
}

func heapInUse() int {
	runtime.GC()
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int(m.HeapAlloc)
}

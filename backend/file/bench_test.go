//go:build linux || darwin || freebsd || netbsd || openbsd || dragonfly

package file

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/chisession/session/backend"
)

// BenchmarkDuel lets the store and the plainest code for the same bytes take
// turns of a few operations, and reports the median of the ratios between
// neighbours ("x-raw"; below 1 the store is faster), so that a busy machine
// slows both alike. Set TMPDIR to the file system that matters.
//
//	go test -run - -bench Duel -benchtime 2000x ./backend/file
func BenchmarkDuel(b *testing.B) {
	for _, size := range []int{300, 2200, 100_000} {
		d := newDuel(b, size)
		name := func(op string) string { return fmt.Sprintf("%s/%d", op, size) }
		b.Run(name("load-readfile"), func(b *testing.B) { run(b, d.load, d.readFile) })
		b.Run(name("update-writefile"), func(b *testing.B) { run(b, d.update, d.overwrite) })
		b.Run(name("update-overwrite"), func(b *testing.B) { run(b, d.update, d.writeAt) })
		b.Run(name("touch-overwrite"), func(b *testing.B) { run(b, d.touch, d.writeAt) })
		b.Run(name("create-writefile"), func(b *testing.B) { run(b, d.create, d.writeNew) })
		b.Run(name("createuser-writefile"), func(b *testing.B) { run(b, d.createUser, d.writeNew) })
		b.Run(name("delete-remove"), func(b *testing.B) {
			fill(b, d)
			run(b, d.delete, d.remove)
		})
		b.Run(name("deleteversion-remove"), func(b *testing.B) {
			fill(b, d)
			run(b, d.deleteVersion, d.remove)
		})
	}
}

// BenchmarkSweep removes a hundred thousand expired files from among ten
// thousand live ones.
func BenchmarkSweep(b *testing.B) {
	const expired, live = 100_000, 10_000
	s := openAt(b, filepath.Join(b.TempDir(), "store"))
	for range b.N {
		b.StopTimer()
		for i := range expired + live {
			rec := backend.Record{ID: uuid.Must(uuid.NewV7()), Expires: time.Now().Add(time.Hour), Data: make([]byte, 300)}
			if i%11 != 0 {
				rec.Expires = time.Now().Add(-time.Hour)
			}
			if err := s.Create(b.Context(), rec); err != nil {
				b.Fatal(err)
			}
		}
		b.StartTimer()
		for removed := 0; removed < expired; {
			n, err := s.Sweep(b.Context(), 1000)
			if err != nil {
				b.Fatal(err)
			}
			removed += n
		}
	}
}

// turn is how many operations one side makes before the other has its turn.
const turn = 20

func run(b *testing.B, ours, raw func(i int) error) {
	b.ReportAllocs()
	side := func(fn func(int) error, from int) float64 {
		start := time.Now()
		for i := range turn {
			if err := fn(from + i); err != nil {
				b.Fatal(err)
			}
		}
		return float64(time.Since(start)) / turn
	}
	var ratios, ns, nsRaw []float64
	for i := 0; i < b.N; i += turn {
		var x, y float64
		if i/turn%2 == 0 {
			x = side(ours, i)
			y = side(raw, i)
		} else {
			y = side(raw, i)
			x = side(ours, i)
		}
		ratios, ns, nsRaw = append(ratios, x/y), append(ns, x), append(nsRaw, y)
	}
	b.ReportMetric(median(ratios), "x-raw")
	b.ReportMetric(median(ns), "ns/ours")
	b.ReportMetric(median(nsRaw), "ns/raw")
}

func median(v []float64) float64 {
	slices.Sort(v)
	return v[len(v)/2]
}

// fill makes the b.N records and files, and one turn more, that run removes.
func fill(b *testing.B, d *duel) {
	d.made, d.files = nil, nil
	for i := range b.N + turn {
		if err := d.create(i); err != nil {
			b.Fatal(err)
		}
		if err := d.writeNew(i); err != nil {
			b.Fatal(err)
		}
	}
	b.ResetTimer()
}

// A duel has both sides' operations, on records of one size.
type duel struct {
	ctx     context.Context
	s       *Store
	dir     string
	data    []byte
	ids     []uuid.UUID
	version []uint64
	later   time.Time
	made    []uuid.UUID
	files   []string
}

func newDuel(b *testing.B, size int) *duel {
	d := &duel{ctx: b.Context(), dir: b.TempDir(), data: make([]byte, size), later: time.Now().Add(time.Hour)}
	d.s = openAt(b, filepath.Join(d.dir, "store"))
	d.version = make([]uint64, 64)
	for i := range d.version {
		if err := d.create(i); err != nil {
			b.Fatal(err)
		}
		if err := os.WriteFile(d.path(i), d.data, 0o600); err != nil {
			b.Fatal(err)
		}
		d.version[i] = 1
	}
	d.ids, d.made = d.made, nil
	return d
}

func (d *duel) path(i int) string {
	return filepath.Join(d.dir, "store", fmt.Sprintf("%02x", i%64), "raw")
}

func (d *duel) record(id uuid.UUID) backend.Record {
	return backend.Record{ID: id, Expires: d.later, Data: d.data}
}

func (d *duel) load(i int) error {
	_, err := d.s.Load(d.ctx, d.ids[i%64])
	return err
}

func (d *duel) readFile(i int) error {
	_, err := os.ReadFile(d.path(i))
	return err
}

func (d *duel) update(i int) error {
	rec := d.record(d.ids[i%64])
	rec.Version = d.version[i%64]
	d.version[i%64]++
	return d.s.Update(d.ctx, rec)
}

// overwrite is how gorilla's FilesystemStore saves.
func (d *duel) overwrite(i int) error { return os.WriteFile(d.path(i), d.data, 0o600) }

func (d *duel) writeAt(i int) error {
	f, err := os.OpenFile(d.path(i), os.O_RDWR, 0o600)
	if err != nil {
		return err
	}
	defer f.Close()
	_, err = f.WriteAt(d.data, 0)
	return err
}

func (d *duel) touch(i int) error {
	d.later = d.later.Add(time.Second)
	return d.s.Touch(d.ctx, d.ids[i%64], d.later)
}

func (d *duel) create(int) error {
	id := uuid.Must(uuid.NewV7())
	d.made = append(d.made, id)
	return d.s.Create(d.ctx, d.record(id))
}

func (d *duel) createUser(i int) error {
	rec := d.record(uuid.Must(uuid.NewV7()))
	rec.User = fmt.Sprint("user", i)
	return d.s.Create(d.ctx, rec)
}

func (d *duel) writeNew(int) error {
	id := uuid.Must(uuid.NewV7())
	path := filepath.Join(d.dir, "store", fmt.Sprintf("%02x", id[15]), "raw"+id.String())
	d.files = append(d.files, path)
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	defer f.Close()
	_, err = f.Write(d.data)
	return err
}

func (d *duel) delete(i int) error { return d.s.Delete(d.ctx, d.made[i]) }

func (d *duel) deleteVersion(i int) error { return d.s.DeleteVersion(d.ctx, d.made[i], 1) }

func (d *duel) remove(i int) error { return os.Remove(d.files[i]) }

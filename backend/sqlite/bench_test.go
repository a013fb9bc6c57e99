package sqlite

import (
	"testing"
	"time"

	"github.com/chisession/session/backend"
	"github.com/chisession/session/backend/file"
)

// BenchmarkBesideFile sets this backend against the file backend, whose place
// it takes where the application has its data in SQLite anyway.
func BenchmarkBesideFile(b *testing.B) {
	places := map[string]func(b *testing.B) backend.Store{
		"sqlite-full":   func(b *testing.B) backend.Store { return open(b, fileOf(b)) },
		"sqlite-normal": func(b *testing.B) backend.Store { return open(b, fileOf(b)+"?synchronous=normal") },
		"file": func(b *testing.B) backend.Store {
			s, err := file.Open(b.TempDir())
			if err != nil {
				b.Fatal(err)
			}
			b.Cleanup(func() { s.Close() })
			return s
		},
	}
	for name, place := range places {
		b.Run(name, func(b *testing.B) {
			s := place(b)
			rec := record()
			rec.Data = make([]byte, 300)
			if err := s.Create(background, rec); err != nil {
				b.Fatal(err)
			}
			b.Run("load", func(b *testing.B) {
				for b.Loop() {
					if _, err := s.Load(background, rec.ID); err != nil {
						b.Fatal(err)
					}
				}
			})
			b.Run("update", func(b *testing.B) {
				for b.Loop() {
					rec.Expires = rec.Expires.Add(time.Millisecond)
					if err := s.Update(background, rec); err != nil {
						b.Fatal(err)
					}
					rec.Version++
				}
			})
			b.Run("create", func(b *testing.B) {
				for b.Loop() {
					next := record()
					next.Data = rec.Data
					if err := s.Create(background, next); err != nil {
						b.Fatal(err)
					}
				}
			})
		})
	}
}

//go:build servers

package mysql

import (
	"database/sql"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/chisession/session/backend"
)

// BenchmarkDuel sets each operation against a bare prepared statement by
// primary key that moves the same bytes through the same pool. The two take
// turns in random order. Use -benchtime=2000x or so.
func BenchmarkDuel(b *testing.B) {
	s := open(b)
	rec := record()
	rec.Data = make([]byte, 300)
	create(b, s, rec)
	rec.Expires = rec.Expires.Add(time.Hour)

	prepare := func(query string) *sql.Stmt {
		stmt, err := s.db.DB.Prepare(query)
		if err != nil {
			b.Fatal(err)
		}
		b.Cleanup(func() { stmt.Close() })
		return stmt
	}
	get := prepare("SELECT version, expires, user, data FROM sessions WHERE id = ?")
	set := prepare("UPDATE sessions SET expires = ?, user = ?, data = ? WHERE id = ?")
	prolong := prepare("UPDATE sessions SET expires = ? WHERE id = ?")
	insert := prepare("INSERT INTO sessions (id, version, expires, user, data) VALUES (?, ?, ?, ?, ?)")
	remove := prepare("DELETE FROM sessions WHERE id = ?")
	raw := backend.Record{}
	rawExpires := []byte("2100-01-01 00:00:00.000000")
	at, tick := rec.Expires, 0
	later := func() time.Time { tick++; return at.Add(time.Duration(tick) * time.Millisecond) }
	laterText := func() []byte { return later().AppendFormat(nil, "2006-01-02 15:04:05.000000") }
	version := uint64(1)

	for _, d := range []struct {
		name       string
		store, raw func() error
	}{
		{"load", func() error {
			_, err := s.Load(background, rec.ID)
			return err
		}, func() error {
			var user sql.NullString
			return get.QueryRowContext(background, rec.ID[:]).Scan(&raw.Version, &rawExpires, &user, &raw.Data)
		}},
		{"update", func() error {
			next := rec
			next.Version, next.Expires = version, later()
			version++
			return s.Update(background, next)
		}, func() error {
			_, err := set.ExecContext(background, laterText(), nil, rec.Data, rec.ID[:])
			return err
		}},
		{"touch", func() error {
			return s.Touch(background, rec.ID, later())
		}, func() error {
			_, err := prolong.ExecContext(background, laterText(), rec.ID[:])
			return err
		}},
		{"create+delete", func() error {
			next := record()
			next.Data = rec.Data
			if err := s.Create(background, next); err != nil {
				return err
			}
			return s.Delete(background, next.ID)
		}, func() error {
			next := record()
			if _, err := insert.ExecContext(background, next.ID[:], 1, laterText(), nil, rec.Data); err != nil {
				return err
			}
			_, err := remove.ExecContext(background, next.ID[:])
			return err
		}},
	} {
		b.Run(d.name, func(b *testing.B) { duel(b, d.store, d.raw) })
	}
}

// duel lets both sides take b.N turns of a few calls and reports the ratio of
// their times, store / raw, at three quantiles: p05 is what the code costs, the
// others have the machine's other business in them.
func duel(b *testing.B, store, raw func() error) {
	const turn = 5
	var took [2][]time.Duration
	for b.Loop() {
		first := rand.IntN(2)
		for _, side := range []int{first, 1 - first} {
			f := []func() error{store, raw}[side]
			for range turn {
				start := time.Now()
				if err := f(); err != nil {
					b.Fatal(err)
				}
				took[side] = append(took[side], time.Since(start))
			}
		}
	}
	for i := range took {
		slices.Sort(took[i])
	}
	for name, q := range map[string]float64{"p05-ratio": 0.05, "p25-ratio": 0.25, "p50-ratio": 0.5} {
		k := int(q * float64(len(took[0])-1))
		b.ReportMetric(float64(took[0][k])/float64(took[1][k]), name)
	}
	b.ReportMetric(float64(took[0][len(took[0])/2].Nanoseconds())/1e3, "µs/call")
	b.ReportMetric(0, "ns/op") // of both sides and a turn: says nothing
}

// BenchmarkSize measures what a million sessions take on disk: it stores
// 100,000 through the store's own statement, with data of 300 bytes, half of
// them with a user.
func BenchmarkSize(b *testing.B) {
	const n = 100_000
	for b.Loop() {
		db := database(b)
		s := openIn(b, db, "innodb_lock_wait_timeout=5")
		exec(b, "SET GLOBAL innodb_flush_log_at_trx_commit = 0") // quick to fill, same in size
		for i := range n {
			rec := record()
			rec.Data = make([]byte, 300)
			if i%2 == 0 {
				rec.User = "user" + time.Duration(i).String()
			}
			create(b, s, rec)
		}
		exec(b, "SET GLOBAL innodb_flush_log_at_trx_commit = 1")
		exec(b, "ANALYZE TABLE `"+db+"`.sessions")
		var data, index, file float64
		err := server.Admin().QueryRow("SELECT DATA_LENGTH, INDEX_LENGTH FROM information_schema.TABLES WHERE TABLE_SCHEMA = ?", db).Scan(&data, &index)
		if err != nil {
			b.Fatal(err)
		}
		if err := server.Admin().QueryRow("SELECT FILE_SIZE FROM information_schema.INNODB_SYS_TABLESPACES WHERE NAME = ?", db+"/sessions").Scan(&file); err != nil {
			b.Fatal(err)
		}
		const perMillion = 1e6 / n / (1 << 20)
		b.ReportMetric(data*perMillion, "MiB-data/1M")
		b.ReportMetric(index*perMillion, "MiB-index/1M")
		b.ReportMetric(file*perMillion, "MiB-file/1M")
	}
	b.ReportMetric(0, "ns/op")
}

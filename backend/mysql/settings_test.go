//go:build servers

package mysql

import (
	"bytes"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/chisession/session/backend"
)

// settings are those of a session that must not matter.
var settings = []string{
	"sql_mode=''", "sql_mode=NO_BACKSLASH_ESCAPES", "sql_mode=ANSI_QUOTES", "sql_mode=ANSI", "sql_mode=TRADITIONAL", "sql_mode=ORACLE",
	"sql_mode=PIPES_AS_CONCAT", "sql_mode=EMPTY_STRING_IS_NULL", "sql_mode=SIMULTANEOUS_ASSIGNMENT", "sql_mode=IGNORE_SPACE",
	"sql_mode=PAD_CHAR_TO_FULL_LENGTH", "sql_mode=TIME_ROUND_FRACTIONAL", "sql_mode=HIGH_NOT_PRECEDENCE",
	"time_zone=+13:00", "time_zone=-12:59", "time_zone=SYSTEM", "parseTime=true", "parseTime=false", "loc=America/Sao_Paulo",
	"charset=latin1", "charset=utf8mb3", "charset=gbk", "charset=sjis", "charset=binary", "collation=utf8mb4_bin", "collation=utf8mb4_turkish_ci",
	"clientFoundRows=true", "interpolateParams=true", "columnsWithAlias=true", "multiStatements=true", "maxAllowedPacket=4096",
	"tx_isolation=SERIALIZABLE", "tx_isolation=READ-UNCOMMITTED", "autocommit=0", "compress=true",
}

func TestSettingsDoNotMatter(t *testing.T) {
	t.Parallel()
	db := database(t)
	all := make([]byte, 256)
	for i := range all {
		all[i] = byte(i)
	}
	corpus := [][]byte{all, []byte(`'; DROP TABLE sessions; -- `), []byte(`\' OR 1=1 #`), []byte("\xbf\x27 \\\x00\x1a\""), []byte("ÿ 💥 \xf0\x28"), bytes.Repeat([]byte("?"), 9000)}
	for _, setting := range settings {
		t.Run(setting, func(t *testing.T) {
			name, value, _ := strings.Cut(setting, "=")
			if value != "''" && strings.ContainsAny(name, "_") {
				value = "'" + value + "'" // a system variable, written as SQL
			}
			s := openIn(t, db, name+"="+url.QueryEscape(value))
			for i, data := range corpus {
				rec := record()
				rec.Data, rec.User = data, setting+string(data[:min(len(data), 200)])
				rec.Expires = time.Now().Add(time.Hour).Truncate(time.Millisecond).UTC()
				rec = create(t, s, rec)
				checkRecord(t, load(t, s, rec.ID), rec)
				rec.Expires = rec.Expires.Add(1500 * time.Millisecond)
				if err := s.Touch(background, rec.ID, rec.Expires); err != nil {
					t.Errorf("Touch: %v", err)
				}
				rec.Data = append([]byte("new"), data...)
				if err := s.Update(background, rec); err != nil {
					t.Errorf("Update: %v", err)
				}
				rec.Version = 2
				got, err := s.ByUser(background, rec.User)
				if err != nil || len(got) != 1 {
					t.Fatalf("ByUser of corpus %d = %d records, %v; want 1", i, len(got), err)
				}
				listed := rec
				listed.Data = listed.Data[:min(len(listed.Data), backend.HeadSize)]
				checkRecord(t, got[0], listed)

				expired := record()
				expired.Expires = time.Now().Add(-100 * time.Millisecond)
				create(t, s, expired)
				if _, err := s.Load(background, expired.ID); err == nil {
					t.Error("a record that expired 100 ms ago is alive")
				}
				if n, err := s.Sweep(background, 10); err != nil || n != 1 {
					t.Errorf("Sweep = %d, %v; want 1", n, err)
				}
				if err := s.DeleteVersion(background, rec.ID, 2); err != nil {
					t.Errorf("DeleteVersion: %v", err)
				}
			}
		})
	}
}

// TestGlobalTimeZone changes the server's zone under a store: what was stored
// before is read the same after.
func TestGlobalTimeZone(t *testing.T) {
	db := database(t)
	t.Cleanup(func() { exec(t, "SET GLOBAL time_zone = 'SYSTEM'") })
	var recs []backend.Record
	for _, zone := range []string{"SYSTEM", "+13:00", "-12:00", "+05:45"} {
		exec(t, "SET GLOBAL time_zone = '"+zone+"'")
		s := openIn(t, db)
		rec := record()
		rec.Expires = time.Now().Add(time.Hour).Truncate(time.Millisecond).UTC()
		recs = append(recs, create(t, s, rec))
		for _, rec := range recs {
			checkRecord(t, load(t, s, rec.ID), rec)
		}
		if n, err := s.Sweep(background, 10); err != nil || n != 0 {
			t.Errorf("time_zone %s: Sweep = %d, %v; want 0", zone, n, err)
		}
	}
}

// TestConnectionsThatLose: a pool that would lose writes or change bytes is an
// error at start, not per request.
func TestConnectionsThatLose(t *testing.T) {
	db := database(t)
	for param, want := range map[string]string{
		"autocommit=0":                "autocommit=1",
		"character_set_client=latin1": "character_set",
	} {
		s, err := New(pool(t, db, param), Options{})
		if err == nil {
			s.Close()
		}
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("New on a pool with %s = %v, want an error with %q", param, err, want)
		}
	}
}

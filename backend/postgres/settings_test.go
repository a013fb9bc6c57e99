package postgres

import (
	"bytes"
	"net/url"
	"strings"
	"testing"
	"time"
)

// TestSettingsDoNotMatter: what a role, a database or a connection string may
// set.
func TestSettingsDoNotMatter(t *testing.T) {
	db := database(t)
	all := make([]byte, 256)
	for i := range all {
		all[i] = byte(i)
	}
	corpus := [][]byte{all, []byte(`'; DROP TABLE sessions; -- `), []byte(`\' OR 1=1 $1`), []byte("\xbf\x27 \\\x00\x1a\""), []byte("ÿ 💥 \xf0\x28"), bytes.Repeat([]byte("$1"), 9000)}
	for _, setting := range []string{
		"timezone=Asia/Kathmandu", "timezone=America/St_Johns", "datestyle=German", "datestyle=SQL, DMY", "intervalstyle=sql_standard", "bytea_output=escape",
		"extra_float_digits=-15", "client_encoding=LATIN1", "client_encoding=SJIS", "standard_conforming_strings=off", "search_path=nowhere, public",
		"default_transaction_isolation=serializable", "default_transaction_isolation=repeatable read", "default_transaction_deferrable=on",
		"synchronous_commit=off", "plan_cache_mode=force_generic_plan", "plan_cache_mode=force_custom_plan", "enable_indexscan=off",
		"statement_timeout=900", "lock_timeout=900", "idle_in_transaction_session_timeout=10", "application_name=it's",
		"default_query_exec_mode=exec", "default_query_exec_mode=simple_protocol", "statement_cache_capacity=1", "description_cache_capacity=1",
		"sslmode=prefer", "pool_min_conns=2",
	} {
		t.Run(setting, func(t *testing.T) {
			name, value, _ := strings.Cut(setting, "=")
			s := openIn(t, db, name+"="+url.PathEscape(value))
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
				checkRecord(t, load(t, s, rec.ID), rec)
				got, err := s.ByUser(background, rec.User)
				if err != nil || len(got) != 1 {
					t.Fatalf("ByUser of corpus %d = %d records, %v; want 1", i, len(got), err)
				}
				rec.Data = rec.Data[:min(len(rec.Data), 512)]
				checkRecord(t, got[0], rec)

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

// TestConnectionsThatChangeBytes: in the forms in which everything travels as
// text, some settings spoil it; that is an error at start, not per request.
func TestConnectionsThatChangeBytes(t *testing.T) {
	db := database(t)
	for _, mode := range []string{"exec", "simple_protocol"} {
		for param, want := range map[string]string{
			"bytea_output=escape": "bytea_output",
			"datestyle=German":    "datestyle",
			"datestyle=SQL":       "datestyle",
		} {
			err := openErr(server.DSN(db, param, "default_query_exec_mode="+mode))
			if err == nil || !strings.Contains(err.Error(), want) {
				t.Errorf("Open with %s and %s = %v, want an error that names it", param, mode, err)
			}
		}
	}
	for _, param := range []string{"client_encoding=LATIN1", "standard_conforming_strings=off"} {
		err := openErr(server.DSN(db, param, "default_query_exec_mode=simple_protocol"))
		name, _, _ := strings.Cut(param, "=")
		if err == nil || !strings.Contains(err.Error(), name) {
			t.Errorf("Open with %s = %v, want an error that names it", param, err)
		}
	}
}

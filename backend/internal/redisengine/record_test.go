package redisengine

import (
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/chisession/session/backend"
)

func FuzzDecode(f *testing.F) {
	f.Add(Encode(backend.Record{ID: uuid.New(), User: "bob", Data: []byte("data"), Expires: time.Now()}, 7))
	f.Add([]byte{})
	f.Add([]byte(strings.Repeat("\x01", 40)))
	f.Fuzz(func(t *testing.T, b []byte) {
		rec, ok := Decode(uuid.Nil, b)
		if !ok {
			return
		}
		if back := Encode(rec, rec.Version); milli(rec.Expires) == rec.Expires.UnixMilli() && string(back) != string(b) {
			t.Errorf("Encode(Decode(%q)) = %q", b, back)
		}
	})
}

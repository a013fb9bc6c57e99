package mysql

import (
	"testing"
	"time"
)

func TestDatetime(t *testing.T) {
	var before datetime
	for _, test := range []struct {
		text string
		want time.Time
	}{
		{"1970-01-01 00:00:00.000000", time.Unix(0, 0)},
		{"1999-12-31 23:59:59.999999", time.Date(1999, 12, 31, 23, 59, 59, 999999000, time.UTC)},
		{"2024-02-29 01:02:03.000004", time.Date(2024, 2, 29, 1, 2, 3, 4000, time.UTC)},
		{"9999-12-31 23:59:59.999999", instant(maxMicros)},
	} {
		var d datetime
		if err := d.Scan([]byte(test.text)); err != nil {
			t.Fatal(err)
		}
		if got := d.time(); !got.Equal(test.want) {
			t.Errorf("%s is %v, want %v", test.text, got, test.want)
		}
		if !d.after(&before) || before.after(&d) || d.after(&d) {
			t.Errorf("%s is not after %s", test.text, before)
		}
		before = d
	}
	for _, src := range []any{nil, time.Now(), int64(1), []byte("2024-02-29 01:02:03"), "2024-02-29 01:02:03.000004"} {
		if err := before.Scan(src); err != errDatetime {
			t.Errorf("Scan(%v): got %v, want errDatetime", src, err)
		}
	}
}

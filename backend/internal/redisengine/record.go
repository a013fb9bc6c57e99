package redisengine

import (
	"encoding/binary"
	"strconv"
	"time"

	"github.com/google/uuid"

	"github.com/chisession/session/backend"
)

// A record is one string:
//
//	 0  format, 1
//	 1  version, 8 bytes, big-endian
//	 9  expires, milliseconds since 1970, 13 decimal digits
//	22  length n of the user's name
//	23  user, n bytes
//	23+n  data
//
// The expiry is in it so that Load is a plain GET; the scripts move it
// together with the key's own.
const (
	format    = 1
	atVersion = 1
	atExpires = 9
	atUserLen = 22
	atUser    = 23

	// Thirteen digits reach from 2001, long expired, to 2286.
	minMilli = 1_000_000_000_000
	maxMilli = 9_999_999_999_999
)

// milli returns expires as the scripts and the record have it. Fractions of a
// millisecond are dropped.
func milli(expires time.Time) int64 {
	return min(max(expires.UnixMilli(), minMilli), maxMilli)
}

// Encode returns rec as stored, with the given version.
func Encode(rec backend.Record, version uint64) []byte {
	b := make([]byte, 0, atUser+len(rec.User)+len(rec.Data))
	b = append(b, stamp(version)...)
	b = strconv.AppendInt(b, milli(rec.Expires), 10)
	b = append(b, byte(len(rec.User)))
	b = append(b, rec.User...)
	return append(b, rec.Data...)
}

// stamp returns what a record of that version begins with.
func stamp(version uint64) []byte {
	return binary.BigEndian.AppendUint64([]byte{format}, version)
}

// Decode returns the record in b, which it keeps, or false if b is none.
func Decode(id uuid.UUID, b []byte) (backend.Record, bool) {
	if len(b) < atUser || b[0] != format {
		return backend.Record{}, false
	}
	var expires int64
	for _, digit := range b[atExpires:atUserLen] {
		if digit < '0' || digit > '9' {
			return backend.Record{}, false
		}
		expires = expires*10 + int64(digit-'0')
	}
	data := atUser + int(b[atUserLen])
	version := binary.BigEndian.Uint64(b[atVersion:])
	if len(b) < data || version == 0 {
		return backend.Record{}, false
	}
	return backend.Record{
		ID:      id,
		Version: version,
		Expires: time.UnixMilli(expires),
		User:    string(b[atUser:data]),
		Data:    b[data:len(b):len(b)],
	}, true
}

package postgres

import (
	"strings"
	"time"
)

// The statements. {table} is the quoted name.
//
// The condition that a record has not expired is against clock_timestamp(),
// not now(): a statement that waited for a row decides by the time at which it
// got it. Only what goes by the index on bucket needs a time that stands still,
// now(), which in a statement of its own is the time at which it began.
//
// No expiry is indexed, as PostgreSQL would then have to put every new version
// of a row, that is every touch, into every index. The bucket that is indexed
// in its place counts intervals of five minutes; it changes once in five
// minutes, and all versions between are heap-only (HOT): they take no place in
// any index, and whoever next reads the page makes room of the old ones. As an
// instant never is in a later bucket than a later instant, what has expired is
// in this bucket or one before.
const (
	sqlBucket = "(floor(extract(epoch FROM now()))::bigint / 300)::int"

	sqlLoad = "SELECT version, expires, username, data FROM {table} WHERE id = $1 AND expires > clock_timestamp()"

	// An ID that is taken is no error, as pgx would prepare a statement that
	// failed anew, and the server would log it.
	sqlCreate = "INSERT INTO {table} (id, version, expires, bucket, username, data) VALUES ($1, 1, $2, $3, $4, $5)" +
		" ON CONFLICT (id) DO NOTHING"

	sqlUpdate = "UPDATE {table} SET version = version + 1, expires = GREATEST(expires, $3), bucket = GREATEST(bucket, $4)," +
		" username = $5, data = $6 WHERE id = $1 AND version = $2 AND expires > clock_timestamp()"
	sqlShorten = "UPDATE {table} SET version = version + 1, expires = $3, bucket = $4," +
		" username = $5, data = $6 WHERE id = $1 AND version = $2 AND expires > clock_timestamp()"

	sqlTouch         = "UPDATE {table} SET expires = $2, bucket = $3 WHERE id = $1 AND expires > clock_timestamp() AND expires < $2"
	sqlDelete        = "DELETE FROM {table} WHERE id = $1"
	sqlDeleteVersion = "DELETE FROM {table} WHERE id = $1 AND version = $2 AND expires > clock_timestamp()"

	// Why did the statement before change nothing?
	sqlExists = "SELECT 1 FROM {table} WHERE id = $1 AND expires > clock_timestamp()"

	// Was it confirmed? A deletion that finds nothing writes nothing to the
	// log, and so does not wait for a synchronous standby. This does, for
	// all that was written before it.
	sqlConfirm = "SELECT 1 FROM pg_logical_emit_message(true, 'session', $1)"

	// Rows that somebody else has locked are passed over: a sweep beside it
	// removes them, or a touch keeps them. The inner limit is written out for
	// the planner, which takes a parameter for a tenth of the table.
	sqlSweep = "DELETE FROM {table} WHERE ctid = ANY (ARRAY(SELECT ctid FROM (SELECT ctid FROM {table}" +
		" WHERE bucket < {bucket} AND expires <= now() ORDER BY bucket LIMIT 50 FOR UPDATE SKIP LOCKED) batch LIMIT $1))"

	// The same for the bucket of now, in which most rows may still be alive:
	// of these it looks at some, and leaves the others to the time when the
	// bucket is over.
	sqlSweepNow = "DELETE FROM {table} WHERE ctid = ANY (ARRAY(SELECT ctid FROM (SELECT ctid FROM {table}" +
		" WHERE ctid = ANY (ARRAY(SELECT ctid FROM {table} WHERE bucket = {bucket} LIMIT 2000))" +
		" AND bucket = {bucket} AND expires <= now() LIMIT 50 FOR UPDATE SKIP LOCKED) batch LIMIT $1))"

	// Which of the records named are not there in that version? $1 has of each its
	// ID, 16 bytes, and the version, 8: a parameter of any other type costs more
	// than all the rest.
	sqlChanged = "SELECT i FROM generate_series(0, length($1::bytea) / 24 - 1) i WHERE NOT EXISTS (SELECT 1 FROM {table}" +
		" WHERE id = encode(substring($1::bytea, i * 24 + 1, 16), 'hex')::uuid AND version = ('x' || encode(substring($1::bytea, i * 24 + 17, 8), 'hex'))::bit(64)::bigint" +
		" AND expires > clock_timestamp())"

	sqlByUser = "SELECT id, version, expires, username, substring(data, 1, 512) FROM {table} WHERE username = $1 AND expires > clock_timestamp()"

	// The newest, by the primary key from its end; and the newest of a range of
	// users, sorted.
	sqlList = "SELECT id, version, expires, username, substring(data, 1, 512) FROM {table}" +
		" WHERE expires > clock_timestamp() ORDER BY id DESC LIMIT $1"
	sqlListPrefix = "SELECT id, version, expires, username, substring(data, 1, 512) FROM {table}" +
		" WHERE username >= $1 AND username < $2 AND expires > clock_timestamp() ORDER BY id DESC LIMIT $3"

	// Most are counted by the index alone; in the bucket of now each row
	// tells.
	sqlCount = "SELECT (SELECT count(*) FROM {table} WHERE bucket > {bucket})" +
		" + (SELECT count(*) FROM {table} WHERE bucket = {bucket} AND expires > now())"
)

// statements are the statements for one table.
type statements struct {
	load, create, update, shorten, touch string
	delete, deleteVersion, exists        string
	sweep, sweepNow, byUser, count       string
	list, listPrefix, changed            string
}

func statementsFor(t tableName) statements {
	fill := strings.NewReplacer("{table}", t.quoted(), "{bucket}", sqlBucket).Replace
	return statements{
		load: fill(sqlLoad), create: fill(sqlCreate), update: fill(sqlUpdate), shorten: fill(sqlShorten), touch: fill(sqlTouch),
		delete: fill(sqlDelete), deleteVersion: fill(sqlDeleteVersion), exists: fill(sqlExists),
		sweep: fill(sqlSweep), sweepNow: fill(sqlSweepNow), byUser: fill(sqlByUser), count: fill(sqlCount),
		list: fill(sqlList), listPrefix: fill(sqlListPrefix),
		changed: fill(sqlChanged),
	}
}

// bucketSeconds is the width of a bucket; it stands in sqlBucket too, and in
// tables that are in use, so it cannot change without a new schema version.
const bucketSeconds = 300

var (
	minInstant = time.Unix(0, 0).UTC()
	maxInstant = time.Date(9999, 12, 31, 23, 59, 59, 999999000, time.UTC)
)

// instant returns the parameters for an expiry: the instant, in whole
// microseconds as PostgreSQL keeps them, and its bucket. What is before 1970 or
// after the year 9999 becomes the nearest that is not.
func instant(t time.Time) (at time.Time, bucket int32) {
	switch year := t.Year(); { // comparing instants does not work for the last years of all
	case year < 1970:
		at = minInstant
	case year > 9998: // whatever t's zone
		at = maxInstant
	default:
		at = t.UTC().Truncate(time.Microsecond)
	}
	return at, int32(at.Unix() / bucketSeconds)
}

package main

// serverFaults are about the stores on a server.
var serverFaults = []fault{
	{
		what: `redis: the script checks no version`,
		file: "backend/internal/redisengine/session.lua",
		old: `  if string.sub(head, 1, 9) == ARGV[2] then
    local stored`,
		new: `  if head ~= '' then
    local stored`,
		pkg: "./backend/redis", test: `TestBackend/UpdateVersions`,
	},
	{
		what: `redis: an update is an upsert`,
		file: "backend/internal/redisengine/session.lua",
		old: `  if string.sub(head, 1, 9) == ARGV[2] then
    local stored`,
		new: `  if head == '' or string.sub(head, 1, 9) == ARGV[2] then
    local stored`,
		pkg: "./backend/redis", test: `TestBackend/Update`,
	},
	{
		what: `redis: DeleteVersion deletes any version`,
		file: "backend/internal/redisengine/session.lua",
		old:  `if op == 'remove' or #head > 22 and string.sub(head, 1, 9) == ARGV[2] then`,
		new:  `if op == 'remove' or #head > 22 then`,
		pkg:  "./backend/redis", test: `TestBackend/DeleteVersion`,
	},
	{
		what: `redis: an update takes the TTL away`,
		file: "backend/internal/redisengine/session.lua",
		old:  `redis.call('SET', key, record, 'PXAT', expires)`,
		new:  `redis.call('SET', key, record)`,
		pkg:  "./backend/redis", test: `TestBackend/UpdateIntoThePast`,
	},
	{
		what: `redis: SET without TTL`,
		file: "backend/internal/redisengine/store.go",
		old:  `[]any{"SET", key, value, "NX", "PXAT", milli(rec.Expires)}`,
		new:  `[]any{"SET", key, value, "NX"}`,
		pkg:  "./backend/redis", test: `TestBackend/Expired`,
	},
	{
		what: `redis: Create replaces what is there`,
		file: "backend/internal/redisengine/store.go",
		old:  `[]any{"SET", key, value, "NX", "PXAT", milli(rec.Expires)}`,
		new:  `[]any{"SET", key, value, "PXAT", milli(rec.Expires)}`,
		pkg:  "./backend/redis", test: `TestBackend/CreateExists`,
	},
	{
		what: `redis: Create with a user replaces what is there`,
		file: "backend/internal/redisengine/session.lua",
		old:  `redis.call('SET', key, ARGV[2], 'NX', 'PXAT',`,
		new:  `redis.call('SET', key, ARGV[2], 'PXAT',`,
		pkg:  "./backend/redis", test: `TestBackend/CreateExists`,
	},
	{
		what: `redis: a touch moves the expiry back`,
		file: "backend/internal/redisengine/session.lua",
		old: `  if tonumber(ARGV[2]) <= stored then return 1 end
`,
		new: ``,
		pkg: "./backend/redis", test: `TestBackend/Touch`,
	},
	{
		what: `redis: an update is sent again after a lost reply`,
		file: "backend/internal/redisengine/store.go",
		old: `		return s.indexed(ctx, rec, c)
	}
`,
		new: `		return s.indexed(ctx, rec, c)
	}
	c.again = true
`,
		pkg: "./backend/redis", test: `TestLostReply`,
	},
	{
		what: `redis: NOSCRIPT is an error`,
		file: "backend/internal/redisengine/script.go",
		old:  `	if Refused(err, "NOSCRIPT") {`,
		new:  `	if Refused(err, "NO SCRIPT") {`,
		pkg:  "./backend/redis", test: `TestNoScript`,
	},
	{
		what: `redis: no cap`,
		file: "backend/internal/redisengine/store.go",
		old:  `size > s.opts.MaxBytes {`,
		new:  `size < 0 {`,
		pkg:  "./backend/redis", test: `TestTooLarge`,
	},
	{
		what: `mysql: Open does not try what the account may do`,
		file: "backend/mysql/mysql.go",
		old:  `	if err := s.Check(ctx); err != nil {`,
		new:  `	if err := error(nil); err != nil {`,
		pkg:  "./backend/mysql", test: `TestProbeIsRemovedInEveryPath`,
	},
	{
		what: `mysql: parameters are put into text in any character set`,
		file: "backend/mysql/probe.go",
		old:  "		b = append(b, byte(c), '\\'', byte(c), '\\\\')",
		new:  `		_ = c`,
		pkg:  "./backend/mysql", test: `TestEastAsianCharacterSets`,
	},
	{
		what: `mysql: the statement checks no version`,
		file: "backend/mysql/statements.go",
		old: `expires = GREATEST(expires, {at}), user = ?, data = ?" +
		" WHERE id = ? AND version = ? AND {alive}"`,
		new: `expires = GREATEST(expires, {at}), user = ?, data = ?" +
		" WHERE id = ? AND version >= 0 * ? AND {alive}"`,
		pkg: "./backend/mysql", test: `TestConformance/UpdateVersions`,
	},
	{
		what: `mysql: an update is an upsert`,
		file: "backend/mysql/store.go",
		old:  `	return s.conflict(ctx, "update", rec.ID)`,
		new: `	if err := s.conflict(ctx, "update", rec.ID); err != backend.ErrNotFound {
		return err
	}
	return s.Create(ctx, rec)`,
		pkg: "./backend/mysql", test: `TestConformance`,
	},
	{
		what: `mysql: a touch moves the expiry back`,
		file: "backend/mysql/statements.go",
		old:  `WHERE id = ? AND {alive} AND {micros} < ?"`,
		new:  `WHERE id = ? AND {alive} AND {micros} <> ?"`,
		pkg:  "./backend/mysql", test: `TestConformance/Touch`,
	},
	{
		what: `mysql: DeleteVersion deletes any version`,
		file: "backend/mysql/statements.go",
		old:  `"DELETE FROM {table} WHERE id = ? AND version = ? AND {alive}"`,
		new:  `"DELETE FROM {table} WHERE id = ? AND version >= 0 * ? AND {alive}"`,
		pkg:  "./backend/mysql", test: `TestConformance/DeleteVersion`,
	},
	{
		what: `mysql: Create replaces what is there`,
		file: "backend/mysql/statements.go",
		old:  `"INSERT INTO {table} (id, version`,
		new:  `"REPLACE INTO {table} (id, version`,
		pkg:  "./backend/mysql", test: `TestConformance/CreateExists`,
	},
	{
		what: `mysql: expiry is left to the sweep`,
		file: "backend/mysql/load.go",
		old:  `if err != nil || !row.expires.after(&row.now) {`,
		new:  `if err != nil {`,
		pkg:  "./backend/mysql", test: `TestConformance/Expired`,
	},
	{
		what: `mysql: an update moves the expiry back`,
		file: "backend/mysql/statements.go",
		old:  `expires = GREATEST(expires, {at})`,
		new:  `expires = {at}`,
		pkg:  "./backend/mysql", test: `TestConformance/UpdateExpires`,
	},
	{
		what: `mysql: a sweep does not look again`,
		file: "backend/mysql/statements.go",
		old:  `"DELETE FROM {table} WHERE expires <= UTC_TIMESTAMP(6) ORDER BY`,
		new:  `"DELETE FROM {table} WHERE version > 0 ORDER BY`,
		pkg:  "./backend/mysql", test: `TestConformance/Sweep`,
	},
	{
		what: `mysql: an update is sent again after a lost reply`,
		file: "backend/mysql/store.go",
		old:  `s.exec(ctx, "update", once, stmt,`,
		new:  `s.exec(ctx, "update", again, stmt,`,
		pkg:  "./backend/mysql", test: `TestKilledInTheMiddle`,
	},
	{
		what: `mysql: what is too large is sent`,
		file: "backend/mysql/store.go",
		old:  `	if len(rec.Data) > s.maxData {`,
		new:  `	if len(rec.Data) < 0 {`,
		pkg:  "./backend/mysql", test: `TestTooLarge`,
	},
	{
		what: `mysql: users are text in a collation`,
		file: "backend/mysql/schema.go",
		old:  `VARBINARY(255)  NULL,`,
		new:  `VARCHAR(255) CHARACTER SET utf8mb4 COLLATE utf8mb4_general_ci NULL,`,
		pkg:  "./backend/mysql", test: `TestUsersAreBytes`,
	},
}

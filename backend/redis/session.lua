-- All that must be atomic, in one script: a server has either all of it
-- cached or nothing. Each call touches one key, KEYS[1]; ARGV[1] says what to
-- do. Records and their head are described in record.go, the index in index.go.
-- Arguments that are always the same are strings: the server prints a number
-- anew for each call, which made an update a tenth slower.

local op, key = ARGV[1], KEYS[1]
local HOUR, GRACE = 3600000, 60000

-- update (keeps a later expiry) and replace (does not): format and version,
-- record, and if the index was not entered, the last byte of the record's user
-- → 1, or the later expiry for which to try again, or -3: enter the index.
if op == 'update' or op == 'replace' then
  local head = redis.call('GETRANGE', key, '0', ARGV[4] or '21')
  if string.sub(head, 1, 9) == ARGV[2] then
    local stored, expires = string.sub(head, 10, 22), string.sub(ARGV[3], 10, 22)
    if stored > expires and op == 'update' then return tonumber(stored) or -2 end
    if ARGV[4] and (string.sub(head, 23) ~= string.sub(ARGV[3], 23, ARGV[4] + 1)
        or math.floor(expires / HOUR) > math.floor(stored / HOUR)) then
      return -3
    end
    redis.call('SET', key, ARGV[3], 'PXAT', expires)
    return 1
  end
end

-- delete: format and version → 1. What does not fit is looked at below.
if op == 'delete' then
  local head = redis.call('GETRANGE', key, '0', '22')
  if #head == 23 and string.sub(head, 1, 9) == ARGV[2] then
    redis.call('DEL', key)
    return 1
  end
end

local function now() -- in milliseconds
  local t = redis.call('TIME')
  return t[1] * 1000 + math.floor(t[2] / 1000)
end

if op == 'create' then -- record → OK or nil
  return redis.call('SET', key, ARGV[2], 'NX', 'PXAT', string.sub(ARGV[2], 10, 22))
end

if op == 'index' then -- id, expires: the entry stands at least until then
  local id, hour = ARGV[2], math.floor(ARGV[3] / HOUR) + 1
  local t, score = now(), redis.call('ZSCORE', key, id)
  local had = score and math.floor(score / HOUR) or 0
  redis.call('ZADD', key, math.max(hour, had) * HOUR + t % HOUR, id)
  if hour > had then
    redis.call('ZREMRANGEBYSCORE', key, '-inf', string.format('(%.0f', (math.floor(t / HOUR) + 1) * HOUR))
    if redis.call('PEXPIRETIME', key) < hour * HOUR then
      redis.call('PEXPIREAT', key, string.format('%.0f', hour * HOUR))
    end
  end
  return 1
end

if op == 'unindex' then -- id…: those that were not entered just now
  local t = now()
  for i = 2, #ARGV do
    local score = redis.call('ZSCORE', key, ARGV[i])
    if score and (t - score) % HOUR >= GRACE then
      redis.call('ZREM', key, ARGV[i])
    end
  end
  return 1
end

-- The rest is about a record that is there: 1 done, 0 another version,
-- -1 no record, -2 not a record.
local head = redis.call('GETRANGE', key, '0', '22')
if head == '' then return -1 end
if #head < 23 or string.byte(head) ~= 1 then return -2 end
local stored = tonumber(string.sub(head, 10, 22))
if not stored then return -2 end

if op == 'touch' then -- expires, user → 1, or the user if it is another one
  if tonumber(ARGV[2]) <= stored then return 1 end
  local n = string.byte(head, 23)
  if n > 0 and math.floor(ARGV[2] / HOUR) > math.floor(stored / HOUR) then
    local user = redis.call('GETRANGE', key, 23, 22 + n)
    if user ~= ARGV[3] then return user end
  end
  redis.call('SETRANGE', key, '9', ARGV[2])
  redis.call('PEXPIREAT', key, ARGV[2])
  return 1
end

return 0

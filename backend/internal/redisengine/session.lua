-- All that must be atomic, in one script: a server has either all of it
-- cached or nothing. Each call touches one key, KEYS[1], or where a record and
-- its user's index are on one server, both: KEYS[2] is the index then, and the
-- last of ARGV the record's ID. Only changed reads many records. ARGV[1] says what to do. Records and their head
-- are described in record.go, the index in index.go. Arguments that are always
-- the same are strings: the server prints a number anew for each call, which
-- made an update a tenth slower.

local op, key = ARGV[1], KEYS[1]
local HOUR, GRACE = 3600000, 60000

local function now() -- in milliseconds
  local t = redis.call('TIME')
  return t[1] * 1000 + math.floor(t[2] / 1000)
end

-- enter makes or renews the entry of id in an index: it stands at least until
-- expires. It returns an error if the key holds something else.
local function enter(index, id, expires)
  local hour, score = math.floor(expires / HOUR) + 1, redis.pcall('ZSCORE', index, id)
  if type(score) == 'table' then
    if string.find(score.err, 'WRONGTYPE', 1, true) then
      return redis.error_reply('INDEXTYPE the key of the index holds something else')
    end
    error(score)
  end
  local t, had = now(), score and math.floor(score / HOUR) or 0
  redis.call('ZADD', index, math.max(hour, had) * HOUR + t % HOUR, id)
  if hour > had then
    redis.call('ZREMRANGEBYSCORE', index, '-inf', string.format('(%.0f', (math.floor(t / HOUR) + 1) * HOUR))
    if redis.call('PEXPIRETIME', index) < hour * HOUR then
      redis.call('PEXPIREAT', index, string.format('%.0f', hour * HOUR))
    end
  end
end

-- changed: what records of the versions asked about begin with, nine bytes each, of
-- as many KEYS → the numbers of those that do not begin so.
if op == 'changed' then
  local changed = {}
  for i = 1, #KEYS do
    if redis.pcall('GETRANGE', KEYS[i], '0', '8') ~= string.sub(ARGV[2], 9 * i - 8, 9 * i) then
      changed[#changed + 1] = i
    end
  end
  return changed
end

-- update (keeps a later expiry) and replace (does not): format and version,
-- record, and if the index need not be entered, the last byte of the record's
-- user → 1, or -3: enter the index.
if op == 'update' or op == 'replace' then
  local index = KEYS[2]
  local last = not index and ARGV[4]
  local head = redis.call('GETRANGE', key, '0', last or '21')
  if string.sub(head, 1, 9) == ARGV[2] then
    local stored, record = string.sub(head, 10, 22), ARGV[3]
    local expires = string.sub(record, 10, 22)
    if stored > expires and op == 'update' then -- a touch has overtaken it
      if not tonumber(stored) then return -2 end
      record, expires = string.sub(record, 1, 9) .. stored .. string.sub(record, 23), stored
    end
    if last and (string.sub(head, 23) ~= string.sub(ARGV[3], 23, last + 1)
        or math.floor(expires / HOUR) > math.floor(stored / HOUR)) then
      return -3
    end
    local wrong = index and enter(index, ARGV[4], expires)
    if wrong then return wrong end
    redis.call('SET', key, record, 'PXAT', expires)
    return 1
  end
end

-- delete: format and version, and with an index also the user whose it is → 1,
-- or the user whose index has still to be told. What does not fit is looked at
-- below. remove deletes whatever is there.
if op == 'delete' or op == 'remove' then
  local head = redis.pcall('GETRANGE', key, '0', '277')
  if type(head) == 'table' then -- it holds something else
    if op == 'delete' then return head end
    head = ''
  end
  if op == 'remove' or #head > 22 and string.sub(head, 1, 9) == ARGV[2] then
    local user = #head > 22 and string.sub(head, 24, 23 + string.byte(head, 23)) or ''
    redis.call('DEL', key)
    if user == '' then return 1 end
    if user ~= ARGV[3] then return user end
    redis.pcall('ZREM', KEYS[2], ARGV[4]) -- if it fails, ByUser will find the entry stale
    return 1
  end
end

if op == 'create' then -- record → OK or nil
  local expires = string.sub(ARGV[2], 10, 22)
  local wrong = KEYS[2] and enter(KEYS[2], ARGV[3], expires)
  if wrong then return wrong end
  return redis.call('SET', key, ARGV[2], 'NX', 'PXAT', expires)
end

-- ready: a write that changes nothing, so that a WAIT has something to wait for.
-- A key without an expiry is none of ours.
if op == 'ready' then
  local at = redis.call('PEXPIRETIME', key)
  if at > 0 then
    redis.call('PEXPIREAT', key, string.format('%.0f', at))
  elseif at == -2 then
    redis.call('SET', key, '', 'PX', '1')
    redis.call('DEL', key)
  end
  return 1
end

if op == 'index' then return enter(key, ARGV[2], ARGV[3]) or 1 end -- id, expires

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

-- touch: expires, user → 1, or the user if it is another one. An index that is
-- none does not keep the session from living on.
if op == 'touch' then
  if tonumber(ARGV[2]) <= stored then return 1 end
  local n, wrong = string.byte(head, 23), nil
  if n > 0 and math.floor(ARGV[2] / HOUR) > math.floor(stored / HOUR) then
    local user = redis.call('GETRANGE', key, 23, 22 + n)
    if user ~= ARGV[3] then return user end
    wrong = KEYS[2] and enter(KEYS[2], ARGV[4], ARGV[2])
  end
  redis.call('SETRANGE', key, '9', ARGV[2])
  redis.call('PEXPIREAT', key, ARGV[2])
  return wrong or 1
end

return 0

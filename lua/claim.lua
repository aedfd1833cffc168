-- claim.lua (version 1)
-- Purpose: move payloads from the head of the queue into a claim, under a lease.
-- Guarantee: atomic. A payload is in the queue or in exactly one claim, never in
--   neither. An id is created once: asked "again" it says what its first
--   delivery still holds, or nothing, and never creates (a lost reply loses nothing).
--   Redis at its maxmemory refuses a script's first write when that may grow memory,
--   so LTRIM (or ZREM) comes first here and in the other scripts: a full Redis can
--   still be drained.
-- KEYS: queue claims deliveries claim
-- ARGV: claim_id max_payloads max_bytes lease_ms mode
--   max_bytes bounds what Redis says the claim takes in memory, which is a little more
--   than its payloads; one payload is always taken. mode is "new" or "again".
-- Reply: {payloads in the claim, payloads left in the queue}; the first is 0 when there
--   is nothing to hold. LRANGE claim 0 -1 then reads them: they never pass through Lua,
--   which takes three times as long (docs/decisions/0017-claims-by-sort.md).
local queue, claims, deliveries, claim = KEYS[1], KEYS[2], KEYS[3], KEYS[4]
local id = ARGV[1]
local max_payloads, max_bytes = tonumber(ARGV[2]), tonumber(ARGV[3])
local now = redis.call('TIME')
local deadline = now[1] * 1000 + math.floor(now[2] / 1000) + tonumber(ARGV[4])

-- These reads also raise WRONGTYPE before anything has been written.
local leased = redis.call('ZSCORE', claims, id)
local delivery = redis.call('HGET', deliveries, id)
local queued = redis.call('LLEN', queue)

if ARGV[5] == 'again' then
  if not leased or delivery ~= '1' then
    return {0, queued}
  end
  redis.call('ZREM', claims, id)
  redis.call('ZADD', claims, deadline, id)
  return {redis.call('LLEN', claim), queued}
end
if leased or redis.call('EXISTS', claim) == 1 then
  return redis.error_reply('PEPICLAIM id ' .. id .. ' exists already: claim ids are made once')
end
if queued == 0 then
  return {0, 0}
end

-- How many fit, by the size of those at the head: a list's nodes hold 8 KiB or one payload.
local nodes = math.ceil(max_bytes / 8192)
local bytes = redis.call('MEMORY', 'USAGE', queue, 'SAMPLES', nodes)
local count = math.max(1, math.min(max_payloads, math.floor(max_bytes * queued / bytes)))

redis.call('LTRIM', queue, 0, -1)
-- SORT ... BY a constant copies a part of the list as it is.
count = redis.call('SORT', queue, 'BY', 'nosort', 'LIMIT', 0, count, 'STORE', claim)
bytes = redis.call('MEMORY', 'USAGE', claim, 'SAMPLES', 0)
while bytes > max_bytes and count > 1 do
  count = math.max(1, math.floor(count * max_bytes / bytes))
  redis.call('LTRIM', claim, 0, count - 1)
  bytes = redis.call('MEMORY', 'USAGE', claim, 'SAMPLES', 0)
end
redis.call('LTRIM', queue, count, -1)
redis.call('ZADD', claims, deadline, id)
redis.call('HSET', deliveries, id, 1)
return {count, queued - count}

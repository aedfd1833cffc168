-- claim.lua (version 1)
-- Purpose: move payloads from the head of the queue into a claim, under a lease.
-- Guarantee: atomic. A payload is in the queue or in exactly one claim, never in
--   neither. An id is created once: asked "again" it returns what its first
--   delivery still holds, or nothing, and never creates (a lost reply loses nothing).
--   Redis at its maxmemory refuses a script's first write when that may grow memory,
--   so LTRIM (or ZREM) comes first here and in the other scripts: a full Redis can
--   still be drained.
-- KEYS: queue claims deliveries claim
-- ARGV: claim_id max_payloads max_bytes lease_ms mode
--   max_bytes bounds the sum of payload sizes, but one payload is always taken;
--   mode is "new" or "again".
-- Reply: array of payloads in queue order; empty when there is nothing to hold.
local queue, claims, deliveries, claim = KEYS[1], KEYS[2], KEYS[3], KEYS[4]
local id = ARGV[1]
local max_payloads, max_bytes = tonumber(ARGV[2]), tonumber(ARGV[3])
local now = redis.call('TIME')
local deadline = now[1] * 1000 + math.floor(now[2] / 1000) + tonumber(ARGV[4])

-- These reads also raise WRONGTYPE before anything has been written.
local leased = redis.call('ZSCORE', claims, id)
local delivery = redis.call('HGET', deliveries, id)

if ARGV[5] == 'again' then
  if not leased or delivery ~= '1' then
    return {}
  end
  redis.call('ZREM', claims, id)
  redis.call('ZADD', claims, deadline, id)
  return redis.call('LRANGE', claim, 0, -1)
end
if leased or redis.call('EXISTS', claim) == 1 then
  return redis.error_reply('PEPICLAIM id ' .. id .. ' exists already: claim ids are made once')
end

-- Read in growing steps, so that huge payloads are not all copied to find that few fit.
local taken, count, bytes, step, full = {}, 0, 0, 1, false
while count < max_payloads and not full do
  local last = math.min(count + step, max_payloads) - 1
  local chunk = redis.call('LRANGE', queue, count, last)
  if #chunk == 0 then
    break
  end
  for i = 1, #chunk do
    local size = #chunk[i]
    if count > 0 and bytes + size > max_bytes then
      full = true
      break
    end
    count = count + 1
    bytes = bytes + size
    taken[count] = chunk[i]
  end
  local fits = math.floor((max_bytes - bytes) * count / math.max(bytes, 1)) + 1
  step = math.max(1, math.min(step * 4, 1000, fits))
end
if count == 0 then
  return {}
end

redis.call('LTRIM', queue, count, -1)
for i = 1, count, 1000 do
  redis.call('RPUSH', claim, unpack(taken, i, math.min(i + 999, count)))
end
redis.call('ZADD', claims, deadline, id)
redis.call('HSET', deliveries, id, 1)
return taken

-- recover.lua (version 1)
-- Purpose: hand the first expired claim of the candidates to the caller.
-- Guarantee: the claim keeps its id, its payloads and their order; its delivery
--   count goes up by one, which takes it from the worker that held it before.
--   A claim whose lease still runs is not touched.
-- KEYS: claims deliveries claim...
-- ARGV: lease_ms claim_id...
-- Reply: array: claim id, delivery count, payloads...; empty when none has expired.
--   Without payloads after the count, the claim's list was removed by somebody else.
local claims, deliveries = KEYS[1], KEYS[2]
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
for i = 2, #ARGV do
  local id = ARGV[i]
  local deadline = redis.call('ZSCORE', claims, id)
  if deadline and tonumber(deadline) <= now then
    redis.call('ZREM', claims, id) -- first write: see claim.lua
    redis.call('ZADD', claims, now + tonumber(ARGV[1]), id)
    local delivery = redis.call('HINCRBY', deliveries, id, 1)
    local reply = redis.call('LRANGE', KEYS[i + 1], 0, -1)
    table.insert(reply, 1, delivery)
    table.insert(reply, 1, id)
    return reply
  end
end
return {}

-- release.lua (version 1)
-- Purpose: at shutdown, give claims back so that another worker takes them over at once.
-- Guarantee: the claim keeps its id and payloads; only its lease ends now. A claim
--   that another worker has recovered since is left alone. The delivery that is
--   given back does not count as one that crashed a worker.
-- KEYS: claims deliveries
-- ARGV: (claim_id delivery)...
-- Reply: how many claims it released.
local claims, deliveries = KEYS[1], KEYS[2]
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local released = 0
for i = 1, #ARGV, 2 do
  local id = ARGV[i]
  if redis.call('ZSCORE', claims, id) and redis.call('HGET', deliveries, id) == ARGV[i + 1] then
    redis.call('ZREM', claims, id) -- first write: see claim.lua
    redis.call('ZADD', claims, now, id)
    redis.call('HINCRBY', deliveries, id, -1)
    released = released + 1
  end
end
return released

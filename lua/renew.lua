-- renew.lua (version 1)
-- Purpose: extend the leases of the claims that a worker still holds.
-- Guarantee: a claim that was acked, or that another worker has recovered since
--   (its delivery count moved on), is left alone and reported as lost.
-- KEYS: claims deliveries
-- ARGV: lease_ms (claim_id delivery)...
-- Reply: array of the claim ids that the worker has lost.
local claims, deliveries = KEYS[1], KEYS[2]
local now = redis.call('TIME')
local deadline = now[1] * 1000 + math.floor(now[2] / 1000) + tonumber(ARGV[1])
local lost = {}
for i = 2, #ARGV, 2 do
  local id = ARGV[i]
  if redis.call('ZSCORE', claims, id) and redis.call('HGET', deliveries, id) == ARGV[i + 1] then
    redis.call('ZREM', claims, id) -- first write: see claim.lua
    redis.call('ZADD', claims, deadline, id)
  else
    lost[#lost + 1] = id
  end
end
return lost

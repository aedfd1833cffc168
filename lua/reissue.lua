-- reissue.lua (version 1)
-- Purpose: move a claim's payloads to a fresh claim id, for the one case where the
--   old id is already in the ledger with other payloads (somebody restored an old
--   Redis or MySQL, or made ids by hand). Never used in normal running.
-- Guarantee: atomic; the payloads and their order stay; the old id is forgotten.
-- KEYS: claims deliveries old_claim new_claim
-- ARGV: old_id new_id lease_ms
-- Reply: 1, or 0, and nothing changed, when the old claim is gone or the new id exists.
local claims, deliveries, old_claim, new_claim = KEYS[1], KEYS[2], KEYS[3], KEYS[4]
if not redis.call('ZSCORE', claims, ARGV[1]) or redis.call('ZSCORE', claims, ARGV[2]) then
  return 0
end
if redis.call('EXISTS', old_claim) == 0 or redis.call('EXISTS', new_claim) == 1 then
  return 0
end
local now = redis.call('TIME')
local deadline = now[1] * 1000 + math.floor(now[2] / 1000) + tonumber(ARGV[3])
redis.call('RENAME', old_claim, new_claim)
redis.call('ZREM', claims, ARGV[1])
redis.call('HDEL', deliveries, ARGV[1], ARGV[1] .. ':at')
redis.call('ZADD', claims, deadline, ARGV[2])
redis.call('HSET', deliveries, ARGV[2], 1)
return 1

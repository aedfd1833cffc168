-- suspect.lua (version 1)
-- Purpose: note which record of a claim a worker is about to try, so that if the worker
--   dies over it, the next one knows which it was.
-- Guarantee: a worker that does not hold the claim any more changes nothing: its note
--   would blame a record of another's walk, or outlive the claim.
-- KEYS: deliveries
-- ARGV: claim_id delivery positions
--   positions are indexes in the claim, separated by commas; one that is there twice was
--   tried twice by a worker that died.
-- Reply: 1, or 0, and nothing changed, when the claim is gone or another worker has it.
local deliveries, id = KEYS[1], ARGV[1]
if redis.call('HGET', deliveries, id) ~= ARGV[2] then
  return 0
end
redis.call('HDEL', deliveries, id .. ':at') -- first write: see claim.lua
redis.call('HSET', deliveries, id .. ':at', ARGV[3])
return 1

-- adopt.lua (version 1)
-- Purpose: give claims a lease that have lost it with the index, so that they are recovered.
-- Guarantee: the claim keeps its id and its payloads; a lease that is there stays as it is.
--   The lease that it gets has ended, so that the next worker takes the claim over; the
--   ledger tells whether it had taken effect. Without payloads there is nothing to adopt.
-- KEYS: claims claim...
-- ARGV: claim_id...
-- Reply: how many claims it adopted.
local claims = KEYS[1]
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local adopted = 0
for i = 1, #ARGV do
  if redis.call('EXISTS', KEYS[i + 1]) == 1 and not redis.call('ZSCORE', claims, ARGV[i]) then
    redis.call('ZADD', claims, now, ARGV[i])
    adopted = adopted + 1
  end
end
return adopted

-- ack.lua (version 1)
-- Purpose: drop claims whose effect is committed, and publish what they changed.
-- Guarantee: idempotent. The message is published only by the call that dropped
--   something, so a repeated ack does not publish twice.
-- KEYS: claims deliveries claim...
-- ARGV: channel message claim_id...
--   message is empty when there is nothing to publish.
-- Reply: how many of the claims it dropped.
local claims, deliveries = KEYS[1], KEYS[2]
local dropped = 0
for i = 3, #ARGV do
  local id = ARGV[i]
  redis.call('UNLINK', KEYS[i])
  redis.call('HDEL', deliveries, id, id .. ':at')
  dropped = dropped + redis.call('ZREM', claims, id)
end
if dropped > 0 and ARGV[2] ~= '' then
  redis.call('PUBLISH', ARGV[1], ARGV[2])
end
return dropped

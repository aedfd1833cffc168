-- push_once.lua (version 1)
-- Purpose: put a webhook's body in the queue whose token is good for one body alone.
-- Guarantee: all workers together push one body under a token until the token is
--   forgotten. The same body again is known, and any other is refused.
-- KEYS: queue token
-- ARGV: digest seconds body
-- Reply: 1 if it pushed the body, 0 if it had done so before, -1 if the token was used
--   for another body.
local queue, token = KEYS[1], KEYS[2]
local digest, seconds, body = ARGV[1], tonumber(ARGV[2]), ARGV[3]
local before = redis.call('GET', token)
if before then
  return before == digest and 0 or -1
end
redis.call('RPUSH', queue, body) -- first write: see claim.lua
redis.call('SET', token, digest, 'EX', seconds)
return 1

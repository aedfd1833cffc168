-- head.lua (version 1)
-- Purpose: look at the payload at the head of the queue, unless it is large.
-- Guarantee: changes nothing.
-- KEYS: queue
-- ARGV: max_bytes
-- Reply: the payload; its size in bytes when that is above max_bytes; nil when the
--   queue is empty.
local head = redis.call('LRANGE', KEYS[1], 0, 0)[1]
if head and #head > tonumber(ARGV[1]) then
  return #head
end
return head

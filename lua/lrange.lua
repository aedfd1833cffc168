-- lrange.lua (version 1)
-- Purpose: the article's own script: pop up to count payloads from a list.
--   redis-cli --eval lua/lrange.lua pepi_queue 100      (count as a key, as published)
--   redis-cli --eval lua/lrange.lua pepi_queue , 100    (count as an argument)
-- Guarantee: at most once. A consumer that dies after this call loses the payloads;
--   pepi_stream's worker uses claim.lua instead. Kept for the article's readers and
--   for the benchmark. Redis Cluster needs the second form.
-- KEYS: queue [count]
-- ARGV: [count]
-- Reply: array of payloads in queue order.
local count = tonumber(ARGV[1] or KEYS[2])
if not count or count < 1 then
  return redis.error_reply('lrange.lua needs a count of 1 or more: lrange.lua pepi_queue , 100')
end
local payloads = redis.call('LRANGE', KEYS[1], 0, count - 1)
redis.call('LTRIM', KEYS[1], #payloads, -1)
return payloads

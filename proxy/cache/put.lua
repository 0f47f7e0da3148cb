-- Stores an answer, and removes others until all of them fit.
-- KEYS: names by expiry (sorted set), sizes (hash), total (number), cuts (hash).
-- ARGV: prefix of answers, name, value, milliseconds until it expires, most bytes, overhead, moment, groups' prefix,
-- groups. Returns the number of answers that were evicted, -1 if a group was invalidated after the moment.
-- All keys have the prefix of KEYS, with its hash tag, so that they are on one node of a cluster.
local names, sizes, total, cuts = KEYS[1], KEYS[2], KEYS[3], KEYS[4]
local prefix, name, value, life = ARGV[1], ARGV[2], ARGV[3], tonumber(ARGV[4])
local most, overhead, moment = tonumber(ARGV[5]), tonumber(ARGV[6]), tonumber(ARGV[7])
for at = 9, #ARGV do
  local cut = redis.call('HGET', cuts, ARGV[at])
  if cut and tonumber(cut) > moment then return -1 end
end
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local function remove(gone)
  redis.call('UNLINK', prefix .. gone)
  redis.call('ZREM', names, gone)
  local size = redis.call('HGET', sizes, gone)
  if size then
    redis.call('HDEL', sizes, gone)
    redis.call('DECRBY', total, size)
  end
end
remove(name)
for _, gone in ipairs(redis.call('ZRANGEBYSCORE', names, '-inf', now, 'LIMIT', 0, 100)) do remove(gone) end
local size = #value + overhead
local sum = redis.call('INCRBY', total, size)
redis.call('SET', prefix .. name, value, 'PX', life)
redis.call('HSET', sizes, name, size)
redis.call('ZADD', names, now + life, name)
local evicted = 0
while sum > most do
  local first = redis.call('ZRANGE', names, 0, 0)[1]
  if not first then break end
  remove(first)
  evicted = evicted + 1
  sum = tonumber(redis.call('GET', total))
end
for at = 9, #ARGV do
  local group = ARGV[8] .. ARGV[at]
  redis.call('ZADD', group, now + life, name)
  redis.call('ZREMRANGEBYSCORE', group, '-inf', now)
  redis.call('PEXPIRE', group, math.max(life, redis.call('PTTL', group)))
end
return evicted

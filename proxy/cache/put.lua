-- Stores an answer, and removes others until all of them fit. Ends the lead of this process, also if it stores nothing.
-- KEYS: names by expiry (sorted set), sizes with groups (hash), total (number), cuts (hash), lead of the answer.
-- ARGV: prefix of answers, name, value, milliseconds until it expires, most bytes, overhead, moment, groups' prefix, most
-- answers that may be evicted, process, groups, the first of them that of all answers. Returns the number of answers that
-- were evicted, -1 if a group was invalidated after the moment. The answer is not stored if there is still no room for it.
-- All keys have the prefix of KEYS, with its hash tag, so that they are on one node of a cluster.
local names, sizes, total, cuts = KEYS[1], KEYS[2], KEYS[3], KEYS[4]
local prefix, name, value, life = ARGV[1], ARGV[2], ARGV[3], tonumber(ARGV[4])
local most, overhead, moment, groups = tonumber(ARGV[5]), tonumber(ARGV[6]), tonumber(ARGV[7]), ARGV[8]
local evictions, process, first_group = tonumber(ARGV[9]), ARGV[10], 11
if redis.call('GET', KEYS[5]) == process then redis.call('DEL', KEYS[5]) end
if life <= 0 then return 0 end
for at = first_group, #ARGV do
  local cut = redis.call('HGET', cuts, ARGV[at])
  if cut and tonumber(cut) > moment then return -1 end
end
local size = #value + overhead
if size > most then return 0 end
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local function remove(gone)
  redis.call('UNLINK', prefix .. gone)
  redis.call('ZREM', names, gone)
  local entry = redis.call('HGET', sizes, gone)
  if entry then
    redis.call('HDEL', sizes, gone)
    redis.call('DECRBY', total, string.match(entry, '^%d+'))
    for group in string.gmatch(entry, '%z([^%z]+)') do redis.call('ZREM', groups .. group, gone) end
  end
end
remove(name)
for _, gone in ipairs(redis.call('ZRANGEBYSCORE', names, '-inf', now, 'LIMIT', 0, 100)) do remove(gone) end
local evicted = 0
local sum = tonumber(redis.call('GET', total) or 0)
while sum + size > most do
  if evicted == evictions then return evicted end
  local first = redis.call('ZRANGE', names, 0, 0)[1]
  if not first then  -- the server has evicted some of these keys itself
    redis.call('SET', total, 0)
    break
  end
  remove(first)
  evicted = evicted + 1
  sum = tonumber(redis.call('GET', total) or 0)
end
local entry = tostring(size)
for at = first_group + 1, #ARGV do
  local group = groups .. ARGV[at]
  entry = entry .. '\0' .. ARGV[at]
  redis.call('ZADD', group, now + life, name)
  redis.call('PEXPIRE', group, math.max(life, redis.call('PTTL', group)))
end
redis.call('SET', prefix .. name, value, 'PX', life)
redis.call('HSET', sizes, name, entry)
redis.call('INCRBY', total, size)
redis.call('ZADD', names, now + life, name)
return evicted

-- Removes at most 1000 answers of a group.
-- KEYS: names by expiry, sizes, total, cuts, moment, names of the group (those by expiry for all answers).
-- ARGV: prefix of answers, group, 1 in the first call. Returns the number of those removed, and of those that remain.
local names, sizes, total, cuts, counter, members = KEYS[1], KEYS[2], KEYS[3], KEYS[4], KEYS[5], KEYS[6]
if ARGV[3] == '1' then
  redis.call('HSET', cuts, ARGV[2], redis.call('INCR', counter))
  redis.call('EXPIRE', cuts, 3600)  -- longer than any request runs that has to know
end
local removed = 0
for _, gone in ipairs(redis.call('ZRANGE', members, 0, 999)) do
  removed = removed + redis.call('UNLINK', ARGV[1] .. gone)
  redis.call('ZREM', names, gone)
  redis.call('ZREM', members, gone)
  local size = redis.call('HGET', sizes, gone)
  if size then
    redis.call('HDEL', sizes, gone)
    redis.call('DECRBY', total, size)
  end
end
return {removed, redis.call('ZCARD', members)}

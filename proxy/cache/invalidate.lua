-- Removes at most 1000 answers of a group.
-- KEYS: names by expiry, sizes with groups, total, cuts, moment, names of the group (those by expiry for all answers).
-- ARGV: prefix of answers, group, 1 in the first call, groups' prefix, most groups that are remembered, the group of all.
-- Returns the number of those removed, and of those that remain.
local names, sizes, total, cuts, counter, members = KEYS[1], KEYS[2], KEYS[3], KEYS[4], KEYS[5], KEYS[6]
if ARGV[3] == '1' then
  local moment = redis.call('INCR', counter)
  local group = ARGV[2]
  if redis.call('HLEN', cuts) >= tonumber(ARGV[5]) then  -- running requests store nothing, so no wrong answer
    redis.call('DEL', cuts)
    group = ARGV[6]
  end
  redis.call('HSET', cuts, group, moment)
  redis.call('EXPIRE', cuts, 3600)  -- longer than any request runs that has to know
end
local removed = 0
for _, gone in ipairs(redis.call('ZRANGE', members, 0, 999)) do
  removed = removed + redis.call('UNLINK', ARGV[1] .. gone)
  redis.call('ZREM', names, gone)
  redis.call('ZREM', members, gone)
  local entry = redis.call('HGET', sizes, gone)
  if entry then
    redis.call('HDEL', sizes, gone)
    redis.call('DECRBY', total, string.match(entry, '^%d+'))
    for group in string.gmatch(entry, '%z([^%z]+)') do redis.call('ZREM', ARGV[4] .. group, gone) end
  end
end
return {removed, redis.call('ZCARD', members)}

"""What Redis does by itself, as Lua for Redis 7 and Valkey: on the server's clock, so that no replica's counts.

One hash holds what stands: ``endpoint \\n deployment`` (no endpoint: the deployment as a whole) leads to
``since:until:news``, moments in milliseconds of the server's clock, ``until`` 0 for what stands until a reset.
Fields of a hash cannot expire by themselves before Redis 7.4; the hash goes with the last of them, all the same.
"""

from __future__ import annotations

from typing import Final

# KEYS: the hash. ARGV: channel, what, deployment, endpoint, age in ms, ms left to stand (0: until a reset), news.
WRITE: Final = """
local channel, what, deployment, endpoint = ARGV[1], ARGV[2], ARGV[3], ARGV[4]
local age, left, news = tonumber(ARGV[5]), tonumber(ARGV[6]), ARGV[7]

if what == 'closed' or what == 'reloaded' then
  for _, field in ipairs(redis.call('HKEYS', KEYS[1])) do
    local stop = string.find(field, '\\n', 1, true)
    if stop and string.sub(field, stop + 1) == deployment and (what == 'closed' or stop > 1) then
      redis.call('HDEL', KEYS[1], field)
    end
  end
else
  local field = endpoint .. '\\n' .. deployment
  local before = redis.call('HGET', KEYS[1], field)
  -- An operator's hold outlives the opening of a replica that has not heard of it.
  if what ~= 'open' or not before or not string.find(before, '^%d+:0:') then
    local time = redis.call('TIME')
    local now = time[1] * 1000 + math.floor(time[2] / 1000)
    local ends = redis.call('PTTL', KEYS[1])
    local until_ms = left == 0 and 0 or now + left
    redis.call('HSET', KEYS[1], field, string.format('%.0f:%.0f:%s', now - age, until_ms, news))
    if left == 0 then
      redis.call('PERSIST', KEYS[1])
    elseif ends ~= -1 and ends < left then
      redis.call('PEXPIRE', KEYS[1], left)
    end
  end
end
if what ~= 'reloaded' then
  redis.call('PUBLISH', channel, news)
end
"""

# KEYS: the hash. It answers the age in ms and the news of everything that stands, in turns.
READ: Final = """
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local all, found = redis.call('HGETALL', KEYS[1]), {}
for i = 1, #all, 2 do
  local since, until_ms, news = string.match(all[i + 1], '^(%d+):(%d+):(.*)$')
  if since and until_ms ~= '0' and tonumber(until_ms) <= now then
    redis.call('HDEL', KEYS[1], all[i])
  elseif since then
    found[#found + 1] = string.format('%.0f', math.max(0, now - since))
    found[#found + 1] = news
  end
end
return found
"""

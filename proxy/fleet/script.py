"""Lua scripts for Redis 7 and Valkey. They use the server's clock, since clocks of replicas differ.

One hash stores what is known of breakers. Fields are ``endpoint \\n deployment`` (no endpoint: the whole deployment),
values ``since:until:message``, in milliseconds of the server's clock; ``until`` 0: valid until a reset. Before Redis
7.4 single fields cannot expire, so the hash expires with the last of them.
"""

from __future__ import annotations

from typing import Final

# KEYS: the hash. ARGV: channel, event, deployment, endpoint, age in ms, ms left (0: until a reset), message.
WRITE: Final = """
local channel, event, deployment, endpoint = ARGV[1], ARGV[2], ARGV[3], ARGV[4]
local age, left, message = tonumber(ARGV[5]), tonumber(ARGV[6]), ARGV[7]

if event == 'closed' or event == 'reloaded' then
  for _, field in ipairs(redis.call('HKEYS', KEYS[1])) do
    local stop = string.find(field, '\\n', 1, true)
    if stop and string.sub(field, stop + 1) == deployment and (event == 'closed' or stop > 1) then
      redis.call('HDEL', KEYS[1], field)
    end
  end
else
  local field = endpoint .. '\\n' .. deployment
  local before = redis.call('HGET', KEYS[1], field)
  -- A replica that does not know of an operator's hold may open its breaker: the hold stays.
  if event ~= 'open' or not before or not string.find(before, '^%d+:0:') then
    local time = redis.call('TIME')
    local now = time[1] * 1000 + math.floor(time[2] / 1000)
    local ends = redis.call('PTTL', KEYS[1])
    local until_ms = left == 0 and 0 or now + left
    redis.call('HSET', KEYS[1], field, string.format('%.0f:%.0f:%s', now - age, until_ms, message))
    if left == 0 then
      redis.call('PERSIST', KEYS[1])
    elseif ends ~= -1 and ends < left then
      redis.call('PEXPIRE', KEYS[1], left)
    end
  end
end
if event ~= 'reloaded' then
  redis.call('PUBLISH', channel, message)
end
"""

# KEYS: the hash. Returns age in ms and message of everything that is valid, alternating.
READ: Final = """
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local all, found = redis.call('HGETALL', KEYS[1]), {}
for i = 1, #all, 2 do
  local since, until_ms, message = string.match(all[i + 1], '^(%d+):(%d+):(.*)$')
  if since and until_ms ~= '0' and tonumber(until_ms) <= now then
    redis.call('HDEL', KEYS[1], all[i])
  elseif since then
    found[#found + 1] = string.format('%.0f', math.max(0, now - since))
    found[#found + 1] = message
  end
end
return found
"""

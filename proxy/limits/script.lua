-- One call for everything that a process has to ask and to tell: what is given back and corrected first, then leases
-- that live on, then takes, each all or none. Redis 7 and Valkey; nothing else runs meanwhile, so no two takes, of
-- whatever process, ever see the same level.
--
-- KEYS     first the buckets, then the sets of slots, then what counters.lua uses. Below a bucket is a number from 1 up,
--          a set one from -1 down.
-- ARGV[1]  MessagePack:
--   now          microseconds, or false: this server's time
--   owner        of leases: the calling process
--   life         of a lease, microseconds
--   spare        milliseconds that a bucket's key outlives its being full
--   bound        the part of its room that a bucket may be used up to, see bucket.py
--   buckets      how many of the KEYS are buckets
--   corrections  {bucket, cost, room, ...}
--   released     {{set, lease, ...}, ...}
--   renewed      the same
--   takes        {{lease, number, cost, room, ...}, ...}
--   budgets      what counters.lua documents, or absent
-- What a take costs and what a bucket has room for are both the microseconds that refilling them takes, so that one
-- bucket may be asked with different limits; of slots it is 1 and how many there are.
--
-- Answers MessagePack, for each take two numbers: which of its wants is the tightest, counted from 1, or as a negative
-- number which of them refused; and how much of that one's room is taken. The wants of budgets are numbered after those,
-- and a take without others says 1 if it is granted. 0: it cannot be decided yet; then microseconds to wait.
--
-- A bucket's key holds "at wait": the moment of the last change, and how long after it the bucket is full. As one sum
-- they would be rounded to a quarter of a microsecond, always the same way for the same cost, and many small takes
-- would add up to something. Apart they also bear a clock that is set back, for which no time passes then.

local ask = cmsgpack.unpack(ARGV[1])
local now, owner, life, spare, bound, buckets = ask[1], ask[2], ask[3], ask[4], ask[5], ask[6]
local corrections, released, renewed, takes = ask[7], ask[8], ask[9], ask[10]

if not now then
  local time = redis.call('TIME')
  now = time[1] * 1000000 + time[2]
end

local used = {} -- by number: microseconds until a bucket is full, or how many slots are taken
local changed = {}

local function key_of(set)
  return KEYS[buckets - set]
end

local function member_of(lease)
  return owner .. ':' .. string.format('%.0f', lease)
end

if buckets > 0 then
  for number, state in ipairs(redis.call('MGET', unpack(KEYS, 1, buckets))) do
    local at, wait = string.match(state or '', '^(%S+) (%S+)$')
    used[number] = at and math.max(0, wait - math.max(0, now - at)) or 0
  end
end

local function used_of(number)
  if not used[number] then
    redis.call('ZREMRANGEBYSCORE', key_of(number), '-inf', now)
    used[number] = redis.call('ZCARD', key_of(number))
  end
  return used[number]
end

local function hold(set, members)
  local scored = {}
  for _, member in ipairs(members) do
    scored[#scored + 1] = now + life
    scored[#scored + 1] = member
  end
  redis.call('ZADD', key_of(set), unpack(scored))
  redis.call('PEXPIRE', key_of(set), math.ceil(life / 1000))
end

local function members_in(entry)
  local members = {}
  for place = 2, #entry do
    members[place - 1] = member_of(entry[place])
  end
  return members
end

for place = 1, #corrections, 3 do
  local number, cost, room = corrections[place], corrections[place + 1], corrections[place + 2]
  used[number] = math.min(math.max(used[number] + cost, 0), 2 * room)
  changed[number] = true
end

for _, entry in ipairs(released) do
  redis.call('ZREM', key_of(entry[1]), unpack(members_in(entry)))
end

for _, entry in ipairs(renewed) do
  hold(entry[1], members_in(entry))
end

-- How long a want has to wait: 0 if what it costs is there.
local function wait_of(number, cost, room, member)
  local after = used_of(number) + cost
  if number > 0 then
    return after > room * bound and after - room or 0
  end
  if after <= room or redis.call('ZSCORE', key_of(number), member) then
    return 0
  end
  return 1000000
end

local function refuser(take, member)
  local longest, which = 0, 0
  for place = 2, #take, 3 do
    local wait = wait_of(take[place], take[place + 1], take[place + 2], member)
    if wait > longest then
      longest, which = wait, (place + 1) / 3
    end
  end
  return which
end

local function commit(number, cost, member)
  if number > 0 then
    used[number] = used[number] + cost
    changed[number] = changed[number] or cost > 0
  else
    if not redis.call('ZSCORE', key_of(number), member) then
      used[number] = used[number] + 1
    end
    hold(number, { member })
  end
end

local function tightest(take)
  local most, which = -1, 0
  for place = 2, #take, 3 do
    local part = used[take[place]] / take[place + 2]
    if part > most then
      most, which = part, (place + 1) / 3
    end
  end
  return which
end

local budgets = ask[11] and open_budgets(ask[11], owner, now)

-- Two numbers for a take, see above.
local function answer_to(index, take)
  if budgets then
    local which, used = budgets.refuser(index)
    if which then
      return which > 0 and -which - (#take - 1) / 3 or 0, used
    end
  end
  local member = member_of(take[1])
  local which = -refuser(take, member)
  if which == 0 then
    for place = 2, #take, 3 do
      commit(take[place], take[place + 1], member)
    end
    if budgets then
      budgets.hold(index)
    end
    which = tightest(take)
  end
  if which == 0 then
    return 1, 0
  end
  return which, used[take[math.abs(which) * 3 - 1]]
end

local answers = {}
for index, take in ipairs(takes) do
  answers[#answers + 1], answers[#answers + 2] = answer_to(index, take)
end

for number in pairs(changed) do
  if used[number] > 0 then
    local state = string.format('%.17g %.17g', now, used[number])
    redis.call('SET', KEYS[number], state, 'PX', string.format('%.0f', math.ceil(used[number] / 1000) + spare))
  else
    redis.call('DEL', KEYS[number])
  end
end

return cmsgpack.pack(budgets and budgets.close(answers) or answers)

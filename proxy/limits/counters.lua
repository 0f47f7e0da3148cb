-- Budgets over all processes, in the same call as the other limits; it comes before script.lua in one text.
--
-- A counter is a hash. What a process sends of it are absolute sums, so a call that is lost, comes twice, or is sent
-- again to an empty Redis does no harm.
--   s:<process>  what it spent since it began. It only rises. That of '' is of processes that the ledger names no more
--   r:<process>  what it holds (reserves). It counts while the process lives
--   total        of all of them
--   version      of the processes when they were added up; another one: they are added up again
--   seeded       1: what processes spent that have ended was read from the ledger
-- Amounts are nano-USD or tokens, or thousands of them with "u" at the end: sums above 2^53 would not be exact.
--
-- The last of KEYS is the state of the processes, MessagePack:
--   epoch    a random text that a flush ends
--   began    when, microseconds
--   flushed  some process knew another epoch
--   ready    all processes that live have sent their sums to this epoch
--   version  changes when a process comes or goes
--   deaths   changes when one goes without saying so
--   live     {process: {expiry, turn, sent}}, sent: its sums of this epoch are here
--
-- The argument, ask[11]:
--   1 epoch     as the process knows it, "": it knows none
--   2 fresh     a random text, in case that a new epoch begins
--   3 turn      rises after each failed call. A call of an earlier turn comes late: its sums are out of date
--   4 complete  with this call, all sums of the process are sent
--   5 leaves    the process ends
--   6 life      of a process without a call, microseconds
--   7 graces    {first, flushed}: microseconds in which processes send their sums to a new epoch
--   8 sums      {spent, held, cap, ends, micro, ...}: held below 0: the process leaves this counter; cap false: it is
--               soft; ends: Unix seconds, or false; micro: amounts are thousands. In the order of their KEYS
--   9 wants     for each take {number, amount, ...}, or empty
--  10 seeds     {{number, deaths, process, spent, ...}, ...}: what the ledger knew at this number of deaths; false: at some time

local POLL = 20000 -- microseconds until a process asks again whether the others have sent their sums
local KEPT = 2 * 86400 -- seconds after the end of a window
local IDLE = 40 * 86400 -- seconds after the last use, if there is no end
local FIELDS = 5

local function amount_of(text, micro)
  if not text then
    return 0
  end
  local plain = tonumber(text)
  if plain then
    return micro and math.ceil(plain / 1000) or plain
  end
  local thousands = tonumber(string.sub(text, 1, -2)) or 0
  return micro and thousands or thousands * 1000
end

local function text_of(amount, micro)
  return string.format(micro and '%.0fu' or '%.0f', amount)
end

-- The processes: read the state, and note that this one lives.
local function open_processes(ask, owner, now)
  local epoch, fresh, turn, complete, leaves, life, graces = unpack(ask, 1, 7)
  local key = KEYS[#KEYS]
  local stored = redis.call('GET', key)
  local known, state = pcall(cmsgpack.unpack, stored or '')
  local changed = false
  local self = {}

  local function begin(live, flushed)
    local unique = math.floor(now)
    state = { epoch = fresh, began = now, flushed = flushed, ready = false, live = live }
    state.version, state.deaths, changed = unique, unique, true
  end

  if not (stored and known and type(state) == 'table' and state.live) then
    begin({}, epoch ~= '')
  end
  local live = state.live

  local mine = live[owner]
  self.late = mine and turn < mine[2] or false
  if not self.late then
    for process, each in pairs(live) do
      if each[1] < now and process ~= owner then
        live[process] = nil
        state.version, state.deaths, changed = state.version + 1, state.deaths + 1, true
      end
    end
    local joins = not mine or epoch ~= state.epoch
    if joins and epoch ~= '' and not leaves then
      self.resend = true
      state.flushed = state.flushed or epoch ~= state.epoch
    end
    if leaves then
      live[owner] = nil
      state.version, changed = state.version + 1, true
    else
      local sent = complete and not self.resend or (mine and mine[3] and not joins) or false
      if not mine then
        state.version = state.version + 1
      end
      if not mine or mine[1] < now + 0.9 * life or mine[2] ~= turn or mine[3] ~= sent then
        live[owner], changed = { now + life, turn, sent }, true
      end
      if not sent then
        state.ready = false
      end
    end
  end

  function self.alive(process)
    return live[process] ~= nil
  end

  function self.state()
    return state
  end

  -- Microseconds until takes can be decided, as all processes have sent their sums.
  function self.wait()
    if state.ready then
      return 0
    end
    local left = state.began + graces[state.flushed and 2 or 1] - now
    if left > 0 then
      return left
    end
    for _, each in pairs(live) do
      if not each[3] then
        return POLL
      end
    end
    state.ready, changed = true, true
    return 0
  end

  -- Sums of a process that lives were lost: Redis evicted a key. All send theirs again.
  function self.recall()
    if state.ready then
      for _, each in pairs(live) do
        each[3] = false
      end
      begin(live, true)
    end
  end

  function self.close()
    if changed then
      redis.call('SET', key, cmsgpack.pack(state), 'EX', IDLE)
    end
  end

  return self
end

-- Add up a counter. Returns the sum, and whether it is seeded still.
local function recount(key, micro, seeded, alive)
  local fields = redis.call('HGETALL', key)
  local total, ended = 0, {}
  for place = 1, #fields, 2 do
    local kind, process = string.sub(fields[place], 1, 2), string.sub(fields[place], 3)
    if kind == 's:' or (kind == 'r:' and alive(process)) then
      total = total + amount_of(fields[place + 1], micro)
    elseif kind == 'r:' then
      ended[#ended + 1] = fields[place]
    end
  end
  if #ended > 0 then
    -- It ended without a word, maybe after a bill that it did not send. The ledger has it.
    redis.call('HDEL', key, 'seeded', unpack(ended))
    seeded = false
  end
  return total, seeded
end

local function open_counters(ask, owner, processes, now)
  local sums, wants, seeds = ask[8], ask[9], ask[10]
  local first = #KEYS - 1 - #sums / FIELDS
  local version = processes.state().version
  local spent_field, held_field = 's:' .. owner, 'r:' .. owner
  local counters = {}
  local self = {}

  for place = 1, #sums, FIELDS do
    local number = (place - 1) / FIELDS + 1
    local spent, held, cap, ends, micro = unpack(sums, place, place + FIELDS - 1)
    local key = KEYS[first + number]
    local found = redis.call('HMGET', key, 'total', 'version', 'seeded', spent_field, held_field)
    local old_spent, old_held = amount_of(found[4], micro), amount_of(found[5], micro)
    local total, seeded = found[1], found[3] == '1'
    local counted = total and tonumber(found[2]) == version and (string.sub(total, -1) == 'u') == micro
    if counted then
      total = amount_of(total, micro)
    elseif total or found[4] or found[5] or seeded then
      total, seeded = recount(key, micro, seeded, function(process)
        return process == owner or processes.alive(process)
      end)
    else
      total = 0
    end
    local late = processes.late
    counters[number] = {
      key = key, cap = cap, ends = ends, micro = micro, seeded = seeded,
      others = total - old_spent - old_held,
      spent = math.max(spent, old_spent),
      held = late and old_held or math.max(held, 0),
      leaves = held < 0,
      changed = not late and (not counted or spent > old_spent or held ~= old_held or not found[5]),
      sent = spent,
    }
  end

  -- The ledger has added what some processes spent that ended long ago to the sum of '': theirs must not count twice.
  local function drop_merged(counter, listed)
    local fields = redis.call('HGETALL', counter.key)
    for place = 1, #fields, 2 do
      local kind, process = string.sub(fields[place], 1, 2), string.sub(fields[place], 3)
      if kind == 's:' and process ~= owner and not listed[process] and not processes.alive(process) then
        redis.call('HDEL', counter.key, fields[place])
        counter.others = counter.others - amount_of(fields[place + 1], counter.micro)
      end
    end
  end

  local function seed(entry)
    local counter, deaths = counters[entry[1]], entry[2]
    local listed, merged = {}, false
    for place = 3, #entry, 2 do
      listed[entry[place]] = true
      local process, spent = entry[place], entry[place + 1]
      local field = 's:' .. process
      if process == owner then
        counter.spent = math.max(counter.spent, spent)
      else
        local old = redis.call('HGET', counter.key, field)
        local lives = processes.alive(process)
        -- A process that lives knows better, if its sums are here.
        local lost = lives and not old and redis.call('HEXISTS', counter.key, 'r:' .. process) == 0
        local more = spent - amount_of(old, counter.micro)
        if more > 0 and (lost or not lives) then
          merged = merged or process == ''
          redis.call('HSET', counter.key, field, text_of(spent, counter.micro))
          counter.others = counter.others + more
        end
        if lost and spent > 0 then
          processes.recall()
        end
      end
    end
    if merged then
      drop_merged(counter, listed)
    end
    counter.seeded = counter.seeded or deaths == processes.state().deaths
    counter.changed = true
  end

  if not processes.late then
    for _, entry in ipairs(seeds) do
      seed(entry)
    end
  end

  -- Why a take is refused: the place of a want, from 1 up, and the counter's level. Or 0, and the microseconds to wait;
  -- 0 of them: until a counter is seeded. ``nil``: no want refuses it.
  function self.refuser(index)
    local mine = wants[index] or {}
    if #mine == 0 then
      return nil
    end
    if processes.late then
      return 0, 0
    end
    local unseeded = false
    for place = 1, #mine, 2 do
      local counter = counters[mine[place]]
      if counter.cap then
        local wait = processes.wait()
        if wait > 0 then
          return 0, wait
        end
        unseeded = unseeded or not counter.seeded
      end
    end
    if unseeded then
      return 0, 0
    end
    for place = 1, #mine, 2 do
      local counter = counters[mine[place]]
      local used = counter.others + counter.spent + counter.held
      if counter.cap and used + mine[place + 1] > counter.cap then
        return (place + 1) / 2, used
      end
    end
    return nil
  end

  function self.hold(index)
    local mine = wants[index] or {}
    for place = 1, #mine, 2 do
      local counter = counters[mine[place]]
      counter.held, counter.changed = counter.held + mine[place + 1], true
    end
  end

  -- Write what changed. Returns for each counter what others spent and hold, what this process spent beyond what it
  -- sent, and 1 if it is seeded.
  function self.close()
    local version_text = string.format('%.0f', processes.state().version)
    local answers = {}
    for number, counter in ipairs(counters) do
      local micro = counter.micro
      if counter.changed then
        local total = text_of(counter.others + counter.spent + counter.held, micro)
        local fields = { 'total', total, 'version', version_text, spent_field, text_of(counter.spent, micro) }
        if counter.leaves then
          redis.call('HDEL', counter.key, held_field)
        else
          fields[7], fields[8] = held_field, text_of(counter.held, micro)
        end
        if counter.seeded then
          fields[#fields + 1], fields[#fields + 2] = 'seeded', '1'
        end
        redis.call('HSET', counter.key, unpack(fields))
        local seconds = counter.ends and math.max(counter.ends - now / 1000000, 0) + KEPT or IDLE
        redis.call('EXPIRE', counter.key, string.format('%.0f', seconds))
      end
      local at = number * 3 - 2
      answers[at], answers[at + 1] = counter.others, counter.spent - counter.sent
      answers[at + 2] = counter.seeded and 1 or 0
    end
    return answers
  end

  return self
end

local function open_budgets(ask, owner, now)
  local processes = open_processes(ask, owner, now)
  local counters = open_counters(ask, owner, processes, now)
  local self = { refuser = counters.refuser, hold = counters.hold }

  -- The answer, around those to the takes.
  function self.close(answers)
    local found = counters.close()
    processes.close()
    local state = processes.state()
    return { answers, state.epoch, processes.resend and 1 or 0, state.deaths, found }
  end

  return self
end


-- Looks for an answer. Without one this process takes the lead, unless another process has it.
-- KEYS: answer, lead, moment. ARGV: process, milliseconds that it may lead. Returns the answer, the moment, and 1 if
-- this process has the lead: it took it, or had it before.
local answer, leads = redis.call('GET', KEYS[1]), 0
if not answer and (redis.call('SET', KEYS[2], ARGV[1], 'NX', 'PX', ARGV[2]) or redis.call('GET', KEYS[2]) == ARGV[1]) then
  leads = 1
end
return {answer, redis.call('GET', KEYS[3]), leads}

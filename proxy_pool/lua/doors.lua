-- reserve: KEYS participant; ARGV generation, now in ms, ticket, value, seconds, candidates …
-- The first candidate that is nobody's becomes reserved; answers {ticket, candidate or ''}.
local function reserve(keys, args)
  local refused = refusal(args[1])
  if refused then return refused end
  local now_ms = tonumber(args[2])
  local stand = redis.call('HMGET', keys[1], unpack(args, 6))
  for place, value in ipairs(stand) do
    if not value or passed(value, now_ms) then
      redis.call('HSET', keys[1], args[5 + place], args[4])
      expire(keys[1], args[5 + place], args[5])
      return {args[3], args[5 + place]}
    end
  end
  return {args[3], ''}
end

-- put: KEYS participant; ARGV generation, now in ms, field, value
-- Writes what the ledger said, unless something newer stands there; answers 1 if it wrote.
local function put(keys, args)
  if args[1] ~= trusted and args[1] ~= building then return redis.error_reply(STALE) end
  if args[1] ~= building and not all_heard(server_ms()) then return redis.error_reply(PAUSED) end
  local stands = redis.call('HGET', keys[1], args[3])
  if stands then
    if not supersedes(args[4], stands, tonumber(args[2])) then return 0 end
    -- A hash that has ever had a field's expiry keeps 34 bytes for it: a lone field is written afresh.
    if redis.call('HLEN', keys[1]) == 1 then redis.call('DEL', keys[1]) end
  end
  redis.call('HSET', keys[1], args[3], args[4])
  return 1
end

-- suspend: KEYS participant; ARGV generation, until (6 bytes), seconds, field
local function suspend(keys, args)
  if args[1] ~= trusted and args[1] ~= building then return redis.error_reply(STALE) end
  local stands = redis.call('HGET', keys[1], args[4])
  if not stands or #stands ~= SIZE then stands = string.rep('\0', SIZE) end
  local _, version = state_and_version(stands)
  local word = SUSPENDED * 16384 + version
  local value = string.sub(stands, 1, 16) .. args[2] .. string.sub(stands, 23, 23)
    .. string.char(math.floor(word / 256), word % 256)
  redis.call('HSET', keys[1], args[4], value)
  expire(keys[1], args[4], args[3])
  return 1
end

-- drop: KEYS participant; ARGV generation, field. What is being changed stays suspended.
local function drop(keys, args)
  if args[1] ~= trusted and args[1] ~= building then return redis.error_reply(STALE) end
  local stands = redis.call('HGET', keys[1], args[2])
  if not stands then return 0 end
  if #stands == SIZE and state_and_version(stands) == SUSPENDED then return 0 end
  return redis.call('HDEL', keys[1], args[2])
end

-- look_up: KEYS participant; ARGV generation, ticket, field. Answers {ticket, value or ''}.
local function look_up(keys, args)
  local refused = refusal(args[1])
  if refused then return refused end
  return {args[2], redis.call('HGET', keys[1], args[3]) or ''}
end

redis.register_function('patchbay_pool_v1_reserve', reserve)
redis.register_function('patchbay_pool_v1_put', put)
-- Where the memory is full, what is no longer so must still be taken back.
redis.register_function{
  function_name = 'patchbay_pool_v1_suspend', callback = suspend, flags = {'allow-oom'}
}
redis.register_function{
  function_name = 'patchbay_pool_v1_drop', callback = drop, flags = {'allow-oom'}
}
redis.register_function{
  function_name = 'patchbay_pool_v1_look_up', callback = look_up, flags = {'no-writes'}
}

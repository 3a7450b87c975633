-- The roll: KEYS one hash. "m:<member>" -> its incarnation, "next" -> the last generation given out,
-- "trusted" -> the trusted one as written, to see that the data are still those it was trusted with.

-- A generation is written "<number>.<server time in ms when it was claimed>": its keys have the number alone.

local function strike()
  trusted, building, builder = '', '', ''
end

-- Whether every member is heard of and writes to the building generation: those on the roll, and those whom
-- this server knows though the roll has lost them (FLUSHALL), who go on changing sessions.
local function all_follow(key, now)
  local fields = redis.call('HKEYS', key)
  for _, field in ipairs(fields) do
    if string.sub(field, 1, 2) == 'm:' then
      local member = string.sub(field, 3)
      if (leases[member] or 0) <= now or seen[member] ~= building then return 0 end
    end
  end
  for member, till in pairs(leases) do
    if till <= now or seen[member] ~= building then return 0 end
  end
  return 1
end

local function state_of_things(key, now)
  local members = 0
  for _ in pairs(leases) do members = members + 1 end
  return {now, trusted, building, builder, members, all_follow(key, now), edition}
end

-- beat: ARGV member, incarnation, stamp, lease in ms, generation followed, doubt ('1' or ''), edition read
-- The lease counts from ``stamp``, a time that this server told in an earlier answer. So a beat that was
-- held up on its way, or in a server that was stopped, gives no more time than its sender reckons with.
local function beat(keys, args)
  local member, now = args[1], server_ms()
  if trusted ~= '' and redis.call('HGET', keys[1], 'trusted') ~= trusted then strike() end
  if args[3] == '0' then return state_of_things(keys[1], now) end
  local known = redis.call('HGET', keys[1], 'm:' .. member)
  if known ~= args[2] then
    if known then
      if (leases[member] or 0) > now then return redis.error_reply('NAMED another process has this name') end
      strike()  -- it died: who knows what it could not say any more
    end
    redis.call('HSET', keys[1], 'm:' .. member, args[2])
  end
  if args[6] == '1' then strike() end
  if not leases[member] then edition = math.max(now, edition + 1) end
  read[member] = tonumber(args[7])
  leases[member] = tonumber(args[3]) + tonumber(args[4])
  seen[member] = args[5]
  if building ~= '' and (leases[builder] or 0) <= now then building, builder = '', '' end
  return state_of_things(keys[1], now)
end

-- claim: ARGV member, incarnation. A new generation to build, or '' while another member builds one.
local function claim(keys, args)
  if redis.call('HGET', keys[1], 'm:' .. args[1]) ~= args[2] then return '' end
  if building ~= '' and builder ~= args[1] and (leases[builder] or 0) > server_ms() then return '' end
  strike()
  claimed = server_ms()
  building = string.format('%d.%.0f', redis.call('HINCRBY', keys[1], 'next', 1), claimed)
  builder = args[1]
  return building
end

-- publish: ARGV member, generation, least age in ms. 1: it is trusted from now on. 0: not yet, it is too young
-- or some member does not follow. '': it is not to be any more.
-- The age lets members be heard of again whom the roll and the server have lost (a crash within a second).
local function publish(keys, args)
  if building ~= args[2] or builder ~= args[1] then return '' end
  local now = server_ms()
  if now < claimed + tonumber(args[3]) or all_follow(keys[1], now) == 0 then return 0 end
  redis.call('HSET', keys[1], 'trusted', building)
  trusted, building, builder = building, '', ''
  return 1
end

-- leave: ARGV member, incarnation, doubt. The last one out takes the trust along.
local function leave(keys, args)
  if redis.call('HGET', keys[1], 'm:' .. args[1]) ~= args[2] then return 0 end
  redis.call('HDEL', keys[1], 'm:' .. args[1])
  leases[args[1]], seen[args[1]] = nil, nil
  if args[3] == '1' or next(leases) == nil or builder == args[1] then strike() end
  return 1
end

-- retire: ARGV member. For one that died and will not come back under its name; 0 while it is heard of.
local function retire(keys, args)
  if (leases[args[1]] or 0) > server_ms() then return 0 end
  leases[args[1]], seen[args[1]] = nil, nil
  if redis.call('HDEL', keys[1], 'm:' .. args[1]) == 1 then strike() end
  return 1
end

redis.register_function{function_name = 'patchbay_pool_v1_beat', callback = beat, flags = {'allow-oom'}}
redis.register_function{function_name = 'patchbay_pool_v1_claim', callback = claim, flags = {'allow-oom'}}
redis.register_function{function_name = 'patchbay_pool_v1_publish', callback = publish, flags = {'allow-oom'}}
redis.register_function{function_name = 'patchbay_pool_v1_leave', callback = leave, flags = {'allow-oom'}}
redis.register_function{function_name = 'patchbay_pool_v1_retire', callback = retire, flags = {'allow-oom'}}

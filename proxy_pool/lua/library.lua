#!lua name=patchbay_pool_v1

-- The index of number masking. One hash a participant: field = a proxy number's index, value = 25 bytes as
-- in proxy_pool/core/packed.py. Every function touches one key. What a door's end is, is judged by the
-- caller's clock, which is an argument; the server's own is asked for leases alone.
--
-- The variables below live in the server's memory and nowhere else: they are empty after every restart, in
-- every replica that takes over and after FUNCTION FLUSH. So a server that may have lost writes is never
-- believed: no generation is the trusted one there until somebody has built a new one from the ledger.

local trusted = ''   -- the generation that look-ups may believe
local building = ''  -- the one that is being filled, and by whom
local builder = ''
local claimed = 0    -- since when, in server time
local leases = {}    -- member -> server time in ms until when it can be told of changes
local seen = {}      -- member -> the building generation that it writes to as well
local edition = 0    -- of the roll: when the last member joined, in server time
local read = {}      -- member -> the edition that it has read

local STALE = 'STALE the generation is not the trusted one'
local PAUSED = 'PAUSED a member has not been heard of'
local SIZE = 25
local NOBODY = '\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0'
local RESERVED, QUARANTINED, SUSPENDED = 0, 2, 3

local function server_ms()
  local time = redis.call('TIME')
  return tonumber(time[1]) * 1000 + math.floor(tonumber(time[2]) / 1000)
end

local function all_heard(now)
  for _, till in pairs(leases) do
    if till <= now then return false end
  end
  return true
end

-- A newcomer is answered when all others know that they are not alone: they wait for it from then on.
local function all_know()
  for member in pairs(leases) do
    if read[member] ~= edition then return false end
  end
  return true
end

-- nil where this generation may be believed, else the error to answer with
local function refusal(generation)
  if trusted == '' or generation ~= trusted then return redis.error_reply(STALE) end
  if not all_heard(server_ms()) or not all_know() then return redis.error_reply(PAUSED) end
  return nil
end

local function until_ms(value)
  local a, b, c, d, e, f = string.byte(value, 17, 22)
  return ((((a * 256 + b) * 256 + c) * 256 + d) * 256 + e) * 256 + f
end

local function state_and_version(value)
  local high, low = string.byte(value, 24, 25)
  return math.floor(high / 64), (high % 64) * 256 + low
end

local function passed(value, now_ms)
  return #value ~= SIZE or now_ms >= until_ms(value)
end

-- proxy_pool.core.packed.supersedes
local function supersedes(new, old, now_ms)
  if passed(old, now_ms) then return true end
  local old_state, old_version = state_and_version(old)
  if old_state == RESERVED then return true end
  local old_session, new_session = string.sub(old, 1, 16), string.sub(new, 1, 16)
  if old_session == new_session then
    local new_state, new_version = state_and_version(new)
    local ahead = (new_version - old_version) % 16384
    if ahead > 0 then return ahead < 8192 end
    return new_state >= old_state
  end
  if old_session == NOBODY then return false end
  return old_state == QUARANTINED or new_session > old_session
end

-- A passing state tidies itself away if its author dies. Servers without expiry of fields leave it lying: it
-- says itself when it has passed.
local expires = true
local function expire(key, field, seconds)
  if not expires then return end
  local answer = redis.pcall('HEXPIRE', key, seconds, 'FIELDS', 1, field)
  if type(answer) == 'table' and answer['err'] then expires = false end
end

--- Shows how the fleet does, once, or every so many seconds: `lua5.4 examples/fleet/watch.lua [SECONDS]`.
local fleet = dofile((arg[0]:match "^(.*/)" or "") .. "fleet.lua")
local cjson = require "cjson"

local redis, every = fleet.connect(5), tonumber(arg[1])
fleet.prepare(redis)

local FORM = "%-24s %9s %8s %8s %6s %9s %8s %10s  %s"

-- A number that went through JSON.
local function whole(number) return ("%.0f"):format(number) end

local function show()
  local state, owners = fleet.state(redis), fleet.owners(redis)
  print(("%d left, %d of them followed, %d results"):format(state.left, state.owned, state.results))
  print(FORM:format("follower", "following", "done", "failed", "lost", "requests", "retries", "memory KiB", "heard of"))
  local names = {}
  for name in pairs(state.followers) do names[#names + 1] = name end
  table.sort(names)
  for _, name in ipairs(names) do
    local note, owner = cjson.decode(state.followers[name]), owners[name] or { owned = 0 }
    local silent = os.time() - note.at
    print(FORM:format(name, whole(owner.owned), whole(note.done), whole(note.failed), whole(note.lost),
      whole(note.requests), whole(note.retries), whole(note.memory_kib), silent < 5 and "now" or ("%d s ago"):format(silent)))
    if silent > 600 and owner.owned == 0 then fleet.forget(redis, name) end
  end
end

show()
while every do
  os.execute("sleep " .. every)
  print ""
  show()
end

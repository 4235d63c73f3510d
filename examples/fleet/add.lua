--- Adds ids to follow: those of the command line, or one a line from standard input.
--
--     lua5.4 examples/fleet/add.lua 6877a1b2c3d4e5f601234567
--     seq -f 'life:5:10~%.0f' 1000 | lua5.4 examples/fleet/add.lua
local fleet = dofile((arg[0]:match "^(.*/)" or "") .. "fleet.lua")

local redis, count = fleet.connect(5), 0
fleet.prepare(redis)

local function add(id)
  id = id:match "^%s*(.-)%s*$"
  if id ~= "" then
    fleet.add(redis, id)
    count = count + 1
  end
end

if arg[1] then
  for _, id in ipairs(arg) do add(id) end
else
  for line in io.lines() do add(line) end
end
print(("%d added"):format(count))

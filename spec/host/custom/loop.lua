--- A loop of one's own and the host that joins it: what lua/aitoearn/host/README.md shows.
local aitoearn = require "aitoearn"
local loop = require "aitoearn.host.loop"
local socket = require "socket"

local readers = {} -- what LuaSocket's select takes: objects with getfd

local function run()
  while readers[1] do
    for _, reader in ipairs((socket.select(readers, nil, 1))) do
      reader.on_readable()
    end
  end
end

local function host(engine)
  return loop.new(engine, {
    watch = function(fd, step)
      readers[1] = { getfd = function() return fd end, on_readable = step }
    end,
    unwatch = function()
      readers[1] = nil
    end,
  })
end

local client = aitoearn.new { host = host }

return { client = client, run = run, host = host }

--- A script whose descriptors become another file's: the client must neither close nor trust what is not its own.
local aitoearn = require "aitoearn"
local core = require "aitoearn.core"
local inside = require "spec.host.inside"
local fcntl = require "posix.fcntl"
local posix = require "posix"

local say = inside.say

local function kind(record, err) return record and "record" or err and err.kind or "nothing" end
local function open(path) return assert(fcntl.open(path, fcntl.O_WRONLY + fcntl.O_CREAT + fcntl.O_TRUNC, 384)) end

local function size(path)
  local file = assert(io.open(path))
  local bytes = file:seek "end"
  file:close()
  return bytes
end

-- Runs `fn` in a child and waits for it.
local function in_child(name, fn)
  local pid = assert(posix.fork())
  if pid == 0 then
    local ok, message = pcall(fn)
    if not ok then say(name .. ".error", message) end
    posix._exit(ok and 0 or 1)
  end
  local _, _, code = posix.wait(pid)
  say(name .. ".exit", code)
end

-- After attempts to connect that timed out or were cancelled, libcurl has closed sockets without a word; the program's
-- own files get their numbers. A child that uses the client must leave them open.
local SILENT = assert(os.getenv "SILENT")
local client = aitoearn.new { connect_timeout = 0.2, timeout = 0.5, retry = false,
  sites = { silent = { server = SILENT, api_key = "key" }, live = { server = os.getenv "AITOEARN_SERVER",
    api_key = os.getenv "AITOEARN_API_KEY" } }, site = "live" }
for _ = 1, 3 do client:get_record("x", { site = "silent" }) end
local task = client:start("get_record", "x", { site = "silent" })
client:poll(0.05)
task:cancel()
local paths, files = {}, {}
for i = 1, 12 do
  paths[i] = os.tmpname()
  files[i] = open(paths[i])
end
in_child("stale", function()
  say("stale.call", kind(client:get_record "ok"))
  for i, file in ipairs(files) do assert(posix.write(file, "mine"), i) end
end)
local whole = true
for i = 1, #paths do whole = whole and size(paths[i]) == 4 end
say("stale.files", whole)
say("stale.parent", kind(client:get_record "ok"))
for i, file in ipairs(files) do
  posix.close(file)
  os.remove(paths[i])
end
client:close()

-- A daemon closes all that it finds, then opens its logs under these numbers.
in_child("daemon", function()
  local used = aitoearn.new()
  say("daemon.before", kind(used:get_record "ok"))
  for number = 3, 255 do posix.close(number) end
  local path = os.tmpname()
  local logs = {}
  for i = 1, 12 do logs[i] = open(path) end
  say("daemon.after", kind(used:get_record "ok"))
  say("daemon.again", kind(used:get_record "ok"))
  used:close()
  collectgarbage()
  local writable = true
  for _, log in ipairs(logs) do writable = writable and posix.write(log, "x") == 1 end
  say("daemon.logs", writable)
  os.remove(path)
end)

-- While a child lives that never touched the client, a connection of the parent's that closes must not wake it for ever.
local waiting = aitoearn.new()
say("spin.first", kind(waiting:get_record "ok"))
local child = assert(posix.fork())
if child == 0 then
  posix.sleep(30)
  posix._exit(0)
end
say("spin.closing", kind(waiting:get_record "closeafter"))
local cpu, began = os.clock(), core.monotonic()
say("spin.call", kind(waiting:get_record(inside.id "slow:1500:ok")))
say("spin.share", (os.clock() - cpu) / (core.monotonic() - began))
posix.kill(child, 9)
posix.wait(child)

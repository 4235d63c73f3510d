--- Where results arrive in Neovim, and what the example plugin does with them.
local aitoearn = require "aitoearn"
local inside = require "spec.host.inside"

local say = inside.say
local uv = vim.uv or vim.loop
local client = aitoearn.new { retry = { base = 0.01 } }

say("host", client.host.name)

local function allowed()
  local ok, err = pcall(vim.api.nvim_buf_set_lines, 0, 0, -1, false, { "written" })
  return ok and not vim.in_fast_event() and "yes" or tostring(err)
end

local pending = 0
local function start(name, method, id, options)
  pending = pending + 1
  client:start(method, id, options):on_done(function(record, err)
    say(name, record and allowed() or err)
    pending = pending - 1
  end)
end

start("on_done", "get_record", "slow:20:ok")
start("after_retry", "get_record", "http:503;ok~retry")
start("wait", "wait", "status:2;ok~wait", {
  pace = function() return 0.02 end,
  on_change = function() say("on_change", allowed()) end,
})

-- A callback of libuv's, where the API must not be called, starts a coroutine that may use it after its first call.
pending = pending + 1
local timer = uv.new_timer()
timer:start(10, 0, function()
  timer:close()
  coroutine.wrap(function()
    say("fast_before", vim.in_fast_event())
    local record = client:get_record "ok~fast"
    say("fast_after", record and allowed())
    pending = pending - 1
  end)()
end)
assert(vim.wait(10000, function() return pending == 0 end, 5))

-- Results that pile up while the editor is busy all come, and the editor is not polled for nothing meanwhile.
local got = 0
for i = 1, 20 do
  client:start("get_record", "ok~busy" .. i):on_done(function(record) got = got + (record and 1 or 0) end)
end
uv.sleep(300)
say("while_busy", got)
assert(vim.wait(10000, function() return got == 20 end, 5))
say("after_busy", got)

-- An error that nobody can catch is shown as a message.
local shown = {}
vim.notify = function(message) shown[#shown + 1] = message end -- luacheck: ignore 122
coroutine.wrap(function()
  client:get_record "ok~error"
  error "a mistake of the plugin's"
end)()
vim.wait(5000, function() return #shown > 0 end, 5)
say("notified", shown[1])
client:close()
say("finished", "yes")

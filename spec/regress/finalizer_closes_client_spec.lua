--- A finalizer may run wherever Lua allocates, in the middle of reading an answer too, and close the client whose answer
-- it is. What was read by then lay in memory that the close had freed.
local helper = require "spec.helper"

describe("a finalizer that closes the client", function()
  local p, methods, result
  setup(function()
    p = helper.start()
    local client = helper.client()
    client:get_record "ok"
    methods = debug.getmetatable(client.engine:timer(0)).__index
    result = methods.result
  end)
  after_each(function()
    methods.result = result
    collectgarbage "restart"
    helper.close()
  end)
  teardown(helper.stop)

  local function finalized(fn)
    if newproxy then -- Lua 5.1 finalizes userdata only
      debug.getmetatable(newproxy(true)).__gc = fn
    else
      setmetatable({}, { __gc = fn })
    end
  end

  -- Reads the answer with a finalizer pending that closes the client.
  local function read_meanwhile(client)
    methods.result = function(transfer)
      methods.result = result
      finalized(function() client:close() end)
      collectgarbage "restart"
      collectgarbage("setpause", 0)
      return result(transfer)
    end
    collectgarbage "stop"
  end

  for _, id in ipairs { "ok", "full", "big:200000", "truncate", "code:15000", "http:502:html" } do
    it("while the answer to " .. id .. " is read leaves the answer whole", function()
      for _ = 1, 5 do
        local client = helper.client { server = p.cn.http, retry = false }
        read_meanwhile(client)
        local record, err = client:get_record(id)
        assert.truthy(record or err)
        assert.truthy(not record or record.id == (id:find "^big" and record.id or id))
        assert.is_true(not err or err.kind ~= "closed")
        collectgarbage("setpause", 200)
        collectgarbage()
        assert.is_true(client.closed)
      end
    end)
  end

  it("while a request is made ends it as closed", function()
    for step = 0, 40 do -- wherever the collector comes by
      local client = helper.client()
      local filler = {} -- luacheck: ignore 241
      collectgarbage "stop"
      finalized(function() client:close() end)
      for i = 1, step do filler[i] = {} end
      collectgarbage "restart"
      local record, err = client:get_record "ok"
      assert.is_true(record ~= nil or err.kind == "closed", tostring(err))
    end
  end)
end)

--- Where a process has no descriptors left, calls raised instead of returning an error, and a batch never ended.
local helper = require "spec.helper"

describe("without a free descriptor", function()
  local p
  setup(function() p = helper.start() end)
  teardown(helper.stop)

  local function run(program)
    return assert(helper.script(([[
      local client = require("aitoearn").new { server = %q, api_key = %q, proxy = "", retry = { base = 0.001 } }
      local held = {}
      repeat
        local file = io.open "/dev/null"
        held[#held + 1] = file
      until not file
      local function give_back()
        for _, file in ipairs(held) do file:close() end
      end
    ]]):format(p.cn.http, p.cn.key) .. program, "sh -c 'ulimit -n 40; exec \"$0\" \"$@\"'"))
  end

  it("a call ends with an error after its retries, and works when there are some again", function()
    assert.equal("transport 3 true\nok", run [[
      local record, err = client:get_record "ok"
      print(err.kind, #err.attempts, tostring(err):find "descriptors" ~= nil)
      give_back()
      print(client:get_record("ok").id)
    ]]:gsub("\t", " "))
  end)

  it("a batch ends every id, and tasks end too", function()
    assert.equal("a transport\nb transport\ntransport", run [[
      local next_one = client:each_record({ "a", "b" }, { concurrency = 1 })
      for _ = 1, 2 do
        local id, record, err = next_one()
        print(id, err.kind)
      end
      assert(next_one() == nil)
      local task = client:start("get_record", "c")
      while client:poll(0.01) > 0 do end
      print(select(2, task:result()).kind)
    ]]:gsub("\t", " "))
  end)
end)

--- A poll of a frame loop does its work in portions. What it leaves for the next one must not starve: neither another site's
-- requests behind a busy one's, nor answers that lie in the kernel while results wait to be handed out.
local helper = require "spec.helper"
local socket = require "socket"

describe("in a frame loop", function()
  local p
  setup(function() p = helper.start() end)
  after_each(helper.close)
  teardown(helper.stop)

  for _, order in ipairs { { "cn", "intl" }, { "intl", "cn" } } do
    it("a busy " .. order[1] .. " leaves " .. order[2] .. " its turn", function()
      local function site(name) return { server = p[name].https, api_key = p[name].key } end
      local client = helper.client { sites = { cn = site "cn", intl = site "intl" }, site = order[1], ca_file = p.ca_file }
      helper.record(client:get_record "ok")
      local asked, other = 0, nil
      for frame = 1, 120 do
        for _ = client:stats().tasks + 1, 60 do
          asked = asked + 1
          client:start("get_record", "slow:20~" .. order[1] .. asked)
        end
        other = other or frame == 20 and client:start("get_record", "ok", { site = order[2] })
        client:poll()
        if other and other:done() then break end
        socket.sleep(0.016)
      end
      helper.record(other:result())
    end)
  end

  it("results that wait to be handed out let no answer come too late", function()
    local client = helper.client { max_connections = 40, timeout = 1, retry = false }
    local ended, kinds = 0, {}
    for i = 1, 60 do
      client:start("get_record", "slow:300~portion" .. i):on_done(function(_, err)
        ended = ended + 1
        kinds[err and err.kind or "record"] = true
        local slow = socket.gettime() + 0.002 -- more than a poll's share: one a frame
        while socket.gettime() < slow do end
      end)
    end
    while ended < 60 do
      client:poll()
      socket.sleep(0.03)
    end
    assert.same({ record = true }, kinds)
  end)
end)

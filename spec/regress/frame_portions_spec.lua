--- A poll of a frame loop does its work in portions. What it leaves for the next one must not starve: neither another site's
-- requests behind a busy one's, nor answers that lie in the kernel while results wait to be handed out.
local core = require "aitoearn.core"
local helper = require "spec.helper"
local socket = require "socket"

describe("in a frame loop", function()
  local p
  setup(function() p = helper.start() end)
  after_each(helper.close)
  teardown(helper.stop)

  -- Frames of an engine that has 60 requests of one origin in flight all the time: how many until the other's one is done.
  local function frames_for_other(busy, other)
    local engine = core.engine { origins = 2, max_connections = 8, max_response_bytes = 100000, user_agent = "spec",
      ca_file = p.ca_file }
    local asked, one, began = 0, nil, nil
    local function ask()
      asked = asked + 1
      engine:get(busy, p.cn.https .. helper.PATH, "ok~portions" .. busy .. asked, p.cn.key)
    end
    for _ = 1, 60 do ask() end
    for frame = 1, 400 do
      socket.sleep(0.016)
      engine:poll(0)
      local transfer = engine:next()
      while transfer do
        if transfer == one then
          engine:close()
          return frame - began
        end
        ask()
        transfer = engine:next()
      end
      if frame == 40 then
        one, began = engine:get(other, p.intl.https .. helper.PATH, "ok", p.intl.key), frame
      end
    end
    engine:close()
    return math.huge
  end

  it("a busy origin leaves another its turn", function()
    assert.is_true(frames_for_other(1, 2) < 30)
    assert.is_true(frames_for_other(2, 1) < 30)
  end)

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

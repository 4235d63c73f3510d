local heap = require "aitoearn.heap"

local function drain(h)
  local items = {}
  while h.count > 0 do items[#items + 1] = h:pop() end
  return items
end

describe("a heap", function()
  it("gives what is due first first", function()
    local h = heap.new()
    for _, due in ipairs { 5, 3, 8, 1, 9, 2, 7, 4, 6 } do h:push(due, "at " .. due) end
    assert.equal(1, h:first_due())
    assert.same({ "at 1", "at 2", "at 3", "at 4", "at 5", "at 6", "at 7", "at 8", "at 9" }, drain(h))
  end)

  it("is empty at first and when all is taken out, and can be filled again", function()
    local h = heap.new()
    assert.same({ 0, nil }, { h.count, h:first_due() })
    for round = 1, 3 do
      h:push(round, "one")
      h:push(round - 0.5, "other")
      assert.same({ "other", "one" }, drain(h))
      assert.same({ 0, nil }, { h.count, h:first_due() })
    end
  end)

  it("gives nothing when it is empty, and stays usable", function()
    local h = heap.new()
    assert.is_nil(h:pop())
    h:push(1, "one")
    assert.same({ 1, 1 }, { h.count, h:first_due() })
    assert.equal("one", h:pop())
    assert.is_nil(h:pop())
    assert.equal(0, h.count)
  end)

  it("keeps each of several items that are due at the same time", function()
    local h, seen = heap.new(), {}
    for i = 1, 50 do h:push(i % 3, i) end
    local last = -1
    while h.count > 0 do
      local due = h:first_due()
      assert.is_true(due >= last)
      last = due
      local item = h:pop()
      assert.equal(due, item % 3)
      assert.is_nil(seen[item])
      seen[item] = true
    end
    assert.equal(50, #seen)
  end)

  it("takes times that are negative, fractions, or infinite", function()
    local h = heap.new()
    for _, due in ipairs { math.huge, 0.25, -3, -math.huge, 0 } do h:push(due, due) end
    assert.same({ -math.huge, -3, 0, 0.25, math.huge }, drain(h))
  end)

  it("keeps the order while pushes and pops alternate, 10,000 of them", function()
    local h, seed, model = heap.new(), 7, {}
    for step = 1, 10000 do
      seed = (seed * 16807) % 2147483647
      if h.count == 0 or seed % 5 < 3 then
        local due = seed % 1000
        h:push(due, due)
        model[due] = (model[due] or 0) + 1
      else
        local due = h:first_due()
        for earlier = math.max(0, due - 20), due - 1 do assert.is_nil(model[earlier]) end
        assert.equal(due, h:pop())
        model[due] = model[due] > 1 and model[due] - 1 or nil
      end
      assert.is_true(h.count <= step)
    end
    local left, last = 0, -1
    for _, many in pairs(model) do left = left + many end
    assert.equal(left, h.count)
    while h.count > 0 do
      local due = h:pop()
      assert.is_true(due >= last)
      last = due
    end
  end)

  it("lets go of what was taken out", function()
    local h, weak = heap.new(), setmetatable({}, { __mode = "v" })
    for i = 1, 20 do
      weak[i] = {}
      h:push(i % 7, weak[i])
    end
    drain(h)
    collectgarbage()
    collectgarbage()
    assert.is_nil(next(weak))
  end)
end)

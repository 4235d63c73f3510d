--- Lists of records against the local platform: filters, what comes back, and what is over a limit.
local helper = require "spec.helper"
local socket = require "socket"

describe("list_records", function()
  local p, client
  local now = math.floor(socket.gettime())

  setup(function() p = helper.start() end)
  before_each(function()
    p:reset()
    p:forget()
    client = helper.client()
  end)
  after_each(helper.close)
  teardown(helper.stop)

  it("returns an array of records, newest first, and an empty one where there are none", function()
    assert.same({}, assert(client:list_records()))
    local ids = p:seed { { status = 1, createdAt = now - 20 }, { status = 6, createdAt = now - 10 }, { status = 9,
      createdAt = now - 30 } }
    local records = assert(client:list_records())
    assert.same({ ids[2], ids[1], ids[3] }, helper.column(records, "id"))
    assert.same({ "QUEUED", true }, { records[1]:status_name(), records[2]:is_live() })
    assert.equal("integer", math.type and math.type(records[1].status) or "integer")
    assert.equal(1, select("#", client:list_records()))
  end)

  it("knows the other two lists, and every filter", function()
    local ids = p:seed {
      { status = 0, publishTime = now + 200000, accountId = "a b&c", accountType = "xhs" },
      { status = 6, publishTime = now + 60 },
      { status = 1, publishTime = now - 60 },
      { status = -1, publishTime = now - 7200 },
    }
    local function listed(filter)
      local set = {}
      for _, record in ipairs(assert(client:list_records(filter))) do set[record.id] = true end
      local found = {}
      for i, id in ipairs(ids) do found[#found + 1] = set[id] and i or nil end
      return table.concat(found)
    end
    assert.equal("1234", listed {})
    assert.equal("1234", listed { list = "history" })
    assert.equal("12", listed { list = "queued" })
    assert.equal("3", listed { list = "published" })
    assert.equal("1", listed { accountId = "a b&c" })
    assert.equal("1", listed { accountType = "xhs", list = "queued" })
    assert.equal("4", listed { status = -1 })
    assert.equal("23", listed { from = now - 60, to = os.date("!%Y-%m-%dT%H:%M:%S+00:00", now + 60) })
    assert.equal("", listed { from = now + 300000, to = now + 300001 })
  end)

  it("takes the array out of an object that holds it", function()
    p:seed { { status = 1 } }
    for _, name in ipairs { "records", "list", "items", "rows" } do
      p:settings { list_key = name }
      local records = assert(client:list_records())
      assert.same({ 1, "PUBLISHED" }, { #records, records[1]:status_name() })
    end
  end)

  it("names the record that does not fit", function()
    p:seed { { status = 1, createdAt = now }, { status = 1, createdAt = now - 1 }, { status = "soon", createdAt = now - 2 } }
    local err = helper.failure("protocol", client:list_records())
    assert.truthy(err.message:find("data[3].status: ", 1, true), err.message)
  end)

  it("says how to get less where a list is over the size limit, in both languages", function()
    p:seed { { status = 1 }, { status = 1 } }
    client = helper.client { max_response_bytes = 200 }
    local err = helper.failure("protocol", client:list_records())
    assert.equal("narrow from and to: a list has no pages", err.hint)
    client = helper.client { max_response_bytes = 200, accept_language = "zh-CN" }
    err = helper.failure("protocol", client:list_records())
    assert.truthy(err.hint:find("from 与 to", 1, true), err.hint)
    err = helper.failure("protocol", client:get_record "full")
    assert.is_nil(err.hint)
  end)

  it("takes lists of more than a record's size limit", function()
    local seeds = {}
    for i = 1, 3000 do seeds[i] = { status = 1 } end
    p:seed(seeds)
    assert.equal(3000, #assert(client:list_records()))
  end)

  it("is repeated like any read, and ends like any", function()
    p:fault { route = "GET /records", how = "502" }
    assert(client:list_records({}, { retry = { base = 0.01 } }))
    p:seed { { status = 1, odd = true } }
    local err = helper.failure("api", client:list_records({}, { retry = { base = 0.01 } }))
    assert.same({ 500, 2 }, { err.code, #err.attempts })
    local response = {}
    p:reset()
    assert(client:list_records({}, { response = response }))
    assert.equal(200, response.http_status)
    err = helper.failure("api", helper.client({ api_key = "wrong" }):list_records())
    assert.equal(401, err.code)
  end)

  it("raises with the caller's position on a filter or an option that is none", function()
    local message = helper.raised(function() client:list_records { status = "1" } end)
    assert.truthy(message:find("lists_spec.lua:%d+: filter.status: "), message)
    message = helper.raised(function() client:list_records({}, { concurrency = 1 }) end)
    assert.truthy(message:find("lists_spec.lua:%d+: concurrency"), message)
  end)

  it("runs as a task, and its records are what wait_all takes", function()
    p:seed { { life = "life:0:0.2" }, { life = "life:0:0.3" } }
    local task = client:start("list_records", { status = 2 })
    while not task:done() do client:poll(1) end
    local records, count = assert(task:result()), 0
    for _, record, err in client:wait_all(records, { pace = function() return 0.1 end, goal = "published" }) do
      assert(record, err)
      count = count + 1
    end
    assert.equal(2, count)
  end)
end)

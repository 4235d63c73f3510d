--- Holds what an editor is told (LuaCATS) against what the code knows and does. (Options of `new`, methods, records and
-- errors against the README: docs_spec.)
local aitoearn = require "aitoearn"
local core = require "aitoearn.core"
local methods = require "aitoearn.methods"
local options = require "aitoearn.options"
local posts = require "aitoearn.post"
local read = require "spec.docs.read"
local shell = require "spec.platform.shell"
local testing = require "aitoearn.testing"

local TYPES = "lua/aitoearn/types.lua"

local function sorted(set)
  local list = {}
  for name in pairs(set) do list[#list + 1] = name end
  table.sort(list)
  return list
end

-- Classes and aliases of a file by their names.
local function items_of(path)
  local _, items = read.lua(assert(shell.read(path)))
  local by_name = {}
  for _, item in ipairs(items) do by_name[item.name] = item end
  return by_name
end

local types = items_of(TYPES)

-- The types of a class's fields by their names.
local function fields(class, items)
  local set = {}
  for _, field in ipairs(assert((items or types)["aitoearn." .. class], class).fields) do set[field.name] = field.type end
  return set
end

-- The names in all of these tables, whatever stands behind them.
local function names(...)
  local set = {}
  for _, values in ipairs { ... } do
    for name in pairs(values) do set[name] = true end
  end
  return sorted(set)
end

local POST = { items = { { platform = "xhs", accountId = "me" } }, content = { title = "hello" }, flowId = "flow" }

describe("the types", function()
  for name, class in pairs {
    status = "StatusConstants", code = "CodeConstants", account_type = "AccountTypeConstants",
    record_type = "RecordTypeConstants", link_status = "LinkStatusConstants", source = "SourceConstants",
  } do
    it("have each constant of " .. name .. " with its value", function()
      local expected = {}
      for constant, value in pairs(core[name]) do
        expected[constant] = type(value) == "string" and ("%q"):format(value) or tostring(value)
      end
      assert.same(expected, fields(class))
      assert.equal("aitoearn." .. class, items_of("lua/aitoearn/init.lua")[name].type)
    end)
  end

  it("name each status with its number", function()
    local statuses, expected = {}, {}
    for _, value in ipairs(types["aitoearn.Status"].values) do
      local number, name = value:match "^(%-?%d+) +# ([A-Z_]+):"
      statuses[name or value] = tonumber(number)
    end
    for name, number in pairs(core.status) do expected[name] = number end
    assert.same(expected, statuses)
  end)

  for name, constants in pairs {
    AccountType = core.account_type, RecordType = core.record_type, LinkStatus = core.link_status, Source = core.source,
  } do
    it("have each value of " .. name, function()
      local values, expected = {}, {}
      for value in table.concat(types["aitoearn." .. name].values, "|"):gmatch '"([%w_]+)"' do values[value] = true end
      for _, value in pairs(constants) do expected[value] = true end
      assert.same(sorted(expected), sorted(values))
    end)
  end

  it("list the values of an alias on lines of their own, since an editor reads the first of a line alone", function()
    for _, path in ipairs { TYPES, "lua/aitoearn/testing/init.lua", "lua/aitoearn/share/init.lua" } do
      for line in assert(shell.read(path)):gmatch "\n%-%-%-| ([^\n]*)" do
        assert.falsy(line:gsub("#.*", ""):gsub("%b()", ""):find("|", 1, true), line)
      end
    end
  end)

  it("know the options of a site, of retry, and of each kind of call", function()
    local rules, response = methods.RULES, { response = true }
    assert.same(names(options.RULES.site), names(fields "SiteOptions"))
    assert.same(names(options.RULES.retry), names(fields "RetryOptions"))
    assert.same(names(options.RULES.call, response), names(fields "CallOptions"))
    assert.same(names(options.RULES.call, rules.each_record, rules.get_records), names(fields "BatchOptions"))
    assert.same(names(options.RULES.call, rules.wait, rules.wait_all), names(fields "WaitOptions"))
  end)

  it("say of every option that it may be left out", function()
    local classes = { "Options", "SiteOptions", "RetryOptions", "CallOptions", "BatchOptions", "WaitOptions", "Filter" }
    for _, class in ipairs(classes) do
      for name, kind in pairs(fields(class)) do
        -- "fun(): string|nil" is a function that may return nil, and no field that may be nil.
        local outer = kind:gsub("%b()", "")
        assert.truthy(not outer:find "^fun:" and (outer:find "|nil$" or outer:find "%?$"), class .. "." .. name .. ": " .. kind)
      end
    end
  end)

  it("know the fields of a filter", function()
    assert.same(names(posts.FILTER), names(fields "Filter"))
  end)

  it("know the fields of a post that are looked at, and those that are sent in any case", function()
    local function field_of(post)
      local ok, message = pcall(posts.encode, post, function() return "new" end, 0)
      return not ok and message:match "^post%.([%w.%[%]]+)"
    end
    local known = fields "Post"
    for name in pairs { items = true, content = true, publishAt = true, flowId = true } do
      local post = { items = POST.items, content = POST.content }
      post[name] = true
      assert.equal(name, field_of(post))
      assert.truthy(known[name], name)
    end
    for name in pairs(fields "PostItem") do
      local item = { platform = "xhs", accountId = "me" }
      item[name] = 1
      local is_checked = name == "platform" or name == "accountId"
      assert.equal(is_checked and "items[1]." .. name or false, field_of { items = { item }, content = {} })
    end
    -- The rest is the server's to judge: these are the fields of its API.
    assert.same({ "content", "context", "flowId", "items", "publishAt" }, names(known))
    assert.same({ "accountId", "option", "overrides", "platform" }, names(fields "PostItem"))
    assert.same({ "body", "cover", "media", "title" }, names(fields "PostContent"))
    assert.same({ "options", "url" }, names(fields "PostMedia"))
    assert.same({ "materialGroupId", "materialId", "source", "taskId" }, names(fields "PostContext"))
  end)

  it("know a flow's task, and what a person has to do", function()
    local task = fields "FlowTask"
    local of_post = { accountId = task.accountId, platform = task.platform }
    assert.same({ accountId = "string", platform = "aitoearn.AccountType" }, of_post)
    local expected = { accountId = true, platform = true }
    for _, name in ipairs(core.task_fields) do expected[name] = true end
    assert.same(names(expected), names(task))
    local client = testing.client { records = { a = { status = 8 } } }
    assert.same(names(client:user_action "a", { expiresAt = true }), names(fields "UserAction"))
    assert.same({ "flowId", "incomplete", "tasks" }, names(client:publish(POST), { incomplete = true }))
    assert.same({ "flowId", "incomplete", "tasks" }, names(fields "Flow"))
  end)

  it("know an error's kinds and fields", function()
    local filled, kinds = {}, {}
    for name in pairs(fields "Error") do filled[name] = "x" end
    for _, value in ipairs(types["aitoearn.ErrorKind"].values) do
      local kind = value:match '^"(%l+)"'
      kinds[kind] = true
      filled.kind, filled.attempts = kind, {}
      assert.equal(kind, testing.error(filled).kind) -- raises on a field, or a kind, that no error has
    end
    assert.equal(12, #sorted(kinds))
    local client = testing.client { answers = { a = { { code = 500, data = { ttl = 1 } } },
      ["GET /flows/f"] = { { code = 500 } },
      ["POST /flows"] = { { code = 15051, data = { issues = {} } }, { kind = "timeout" } },
      w = { { record = { status = 2 } }, { code = 401 } }, h = { { http_status = 404 } } } }
    local seen, attempts = {}, {}
    for _, err in ipairs {
      select(2, client:get_record "a"), select(2, client:publish(POST)), select(2, client:publish(POST)),
      select(2, client:wait("w")), select(2, client:wait_flow("f", { timeout = 5 })), select(2, client:get_record "h"),
      select(2, client:get_record("a", { deadline = 0.1 })),
    } do
      for name in pairs(err) do seen[name] = true end
      for _, attempt in ipairs(err.attempts) do
        for name in pairs(attempt) do attempts[name] = true end
      end
    end
    assert.same(names(fields "Attempt"), names(attempts))
    local own = { not_json = true, proxy = true, handshake = true } -- what the library tells itself
    for name in pairs(seen) do assert.truthy(own[name] or fields("Error")[name], name) end
  end)

  it("know what a response says", function()
    local response = {}
    assert(testing.client({ records = { a = {} } }):get_record("a", { response = response }))
    assert.same(names(response), names(fields "Response"))
  end)

  it("know the counters", function()
    local client = testing.client { answers = { a = { { code = 429, data = { ttl = 100 } } } } }
    client:get_record "a"
    local stats = client:stats()
    assert.same(names(stats), names(fields "Stats"))
    for name in pairs(stats.sites.cn) do assert.truthy(fields("Stats").sites:find(name .. "%??:"), name) end
  end)

  it("know every event with its fields", function()
    local seen = {}
    local function note(event)
      local set = seen[event.type] or {}
      for name in pairs(event) do set[name] = true end
      seen[event.type] = set
    end
    local function failing() return nil, "the store is away" end
    local client = testing.client {
      server = { "https://a.example", "https://b.example" }, on_event = note,
      share = { acquire = failing, give_back = failing, report = failing },
      records = { r = {} },
      answers = {
        up = { function(request) return request.server:find "a.example" and { http_status = 502 } or { record = {} } end },
        w = { { record = { status = 2 } }, { http_status = 503 }, { code = 500 }, { record = {} } },
        down = { { code = 503, http_status = 503 } },
      },
    }
    for _ = 1, 4 do client:get_record "up" end
    testing.advance(client, 120)
    client:get_record "r" -- the probe
    client:wait("w", { pace = function() return 10 end })
    client:wait("w", { retry = false, pace = function() return 10 end })
    client:get_record("down", { retry = { base = 0 } })
    client.answers["GET /flows/flow"] = { {}, { http_status = 503, code = 503 }, {} }
    client:wait_flow(client:publish(POST).flowId, { retry = false })
    client.answers.looks = { { record = { status = 2 } }, { code = 503, http_status = 503 }, { record = {} } }
    client:wait("looks", { retry = false, pace = function() return 1 end })
    local classes = {}
    for name, item in pairs(types) do
      local kinds = item.kind == "class" and name:find "Event$" and fields(name:match "[%w]+$").type
      for kind in (kinds or ""):gmatch '"(%l+)"' do classes[kind] = name:match "%w+$" end
    end
    assert.same(names(classes), names(seen))
    local of_class = {}
    for kind, class in pairs(classes) do
      of_class[class] = of_class[class] or {}
      for name in pairs(seen[kind]) do of_class[class][name] = true end
    end
    for class, set in pairs(of_class) do assert.same({ class, names(fields(class)) }, { class, sorted(set) }) end
    local listed = table.concat(types["aitoearn.Event"].values, " ")
    for class in pairs(of_class) do assert.truthy(listed:find("aitoearn." .. class, 1, true), class) end
  end)

  it("know the functions of a store", function()
    local items = items_of "lua/aitoearn/share/init.lua"
    local store, checks = fields("Store", items), require("aitoearn.share").check
    local whole = { acquire = print, give_back = print, report = print }
    assert.truthy(checks(whole))
    for name in pairs(whole) do
      local part = { acquire = print, give_back = print, report = print }
      part[name] = nil
      assert.falsy(checks(part))
      assert.truthy(store[name], name)
    end
  end)

  it("know what the testing kit takes and shows", function()
    local kit, answer = items_of "lua/aitoearn/testing/init.lua", items_of "lua/aitoearn/testing/answer.lua"
    local platform = items_of "lua/aitoearn/testing/platform.lua"
    assert.same({ "answers", "now", "records" }, names(fields("testing.Options", kit)))
    local client = testing.client { records = { a = { status = 6, publishTime = "2036-01-01T00:00:00Z" } } }
    for name in pairs(fields("testing.Client", kit)) do assert.equal("table", type(client[name]), name) end
    client:publish(POST)
    client:reschedule("a", 4e9)
    client:list_records { status = 1 }
    local request = fields("testing.Request", platform)
    request["package"] = nil -- how the comment of `parts`, which is the kit's own, is read
    local seen = { parts = true }
    for _, sent in ipairs(client.requests) do
      for name in pairs(sent) do seen[name] = true end
    end
    assert.same(names(request, { parts = true }), sorted(seen))
    local values = { string = "x", number = 1, integer = 1, boolean = true, table = {} }
    for name, kind in pairs(fields("testing.Answer", answer)) do -- a field that no answer has raises
      local value = kind:find "^\"dns\"" and "dns" or values[kind:match "^%l+"] or true
      assert(testing.client { answers = { a = { { [name] = value } } } }, name)
    end
    for line in assert(shell.read "lua/aitoearn/testing/answer.lua"):match("local FIELDS = (%b{})"):gmatch "([%w_]+) =" do
      assert.truthy(fields("testing.Answer", answer)[line], line)
    end
    assert.is_function(aitoearn.is_error)
  end)
end)

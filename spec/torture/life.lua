--- The scenes that the torture driver plays: what a client goes through from `require` to its end.
--
-- `setup` runs once for all runs of a scene; then, in a process for each run, `prepare` makes what `run` gets, an
-- allocation fails somewhere in `run`, and `after` says what has to hold in spite of it. Addresses come from run.lua.
-- @module spec.torture.life
local http, https = os.getenv "TORTURE_HTTP", os.getenv "TORTURE_HTTPS"
local PATIENCE = 5 -- seconds

local aitoearn

local function load_library()
  aitoearn = require "aitoearn"
  require "aitoearn.host.blocking"
end

local function new(given)
  local options = {
    server = http, api_key = os.getenv "TORTURE_KEY", proxy = "", timeout = 2, deadline = 4,
    retry = { base = 0.001, max_delay = 0.002 },
  }
  for name, value in pairs(given or {}) do options[name] = value end
  return aitoearn.new(options)
end

-- Every process has its own ids, so that the platform begins with their first step.
local function fresh(steps) return ("%s~%s"):format(steps, tostring {}:match "0x%x+" .. os.time() .. os.clock()) end

local function check_memory_error(message)
  message = tostring(message)
  if not message:find "memory" then error("raised, but not for want of memory: " .. message, 0) end
end

local function check_result(record, err)
  if record == nil and err == nil then return end
  if type(record) == "table" and type(record.status) == "number" then return end
  if record ~= nil or not aitoearn.is_error(err) or type(err.message) ~= "string" or err.message == "" then
    error(("neither a record nor an error: %s, %s"):format(tostring(record), tostring(err)), 0)
  end
end

-- Lets everything that still runs come to its end. Where twenty allocations in a row fail, a coroutine can die before
-- it could say so: then its task stays as it is, and the client has to close all the same.
local function settle(client)
  local core = require "aitoearn.core"
  local limit = core.monotonic() + PATIENCE
  while client:poll(0.02) > 0 do
    if _G.in_burst and core.monotonic() > limit - PATIENCE + 1 then return end
    if core.monotonic() > limit then error(client.tasks_running .. " tasks never end", 0) end
  end
end

-- The client has to work, and then to close. What an interrupted call left behind ends when it is collected.
local function check_client(client)
  collectgarbage()
  collectgarbage()
  settle(client)
  local record, err = client:get_record "ok"
  if not record then error("the client does not work any more: " .. tostring(err), 0) end
  client:close()
  record, err = client:get_record "ok"
  if record or err.kind ~= "closed" then error("the client is not closed", 0) end
end

local function after(ok, client, ...)
  if not ok then
    check_memory_error(client)
    client = _G.the_client
  else
    check_result(...)
  end
  check_client(client)
end

-- What a task or a batch hands out.
local function after_many(ok, client, records, failures)
  if ok then
    for _, record in pairs(records or {}) do check_result(record) end
    for _, err in pairs(failures or {}) do check_result(nil, err) end
  end
  after(ok, client)
end

local function prepare(given)
  return function()
    _G.the_client = new(given)
    return _G.the_client
  end
end

local function unload()
  for name in pairs(package.loaded) do
    if name:find "^aitoearn" then package.loaded[name] = nil end
  end
end

local function calling(name, options, id)
  return {
    name = name, setup = load_library, prepare = prepare(options), after = after,
    run = function(client) return client, client:get_record(type(id) == "function" and id() or id) end,
  }
end

local function each_of(batch)
  local records, failures = {}, {}
  for id, record, err in batch do records[id], failures[id] = record, err end
  return records, failures
end

-- A task that ended for want of memory raises that again.
local function check_task(task)
  if not task:done() then return _G.in_burst or error("the task is not done", 0) end
  local results = table.pack(pcall(task.result, task))
  if results[1] then check_result(results[2], results[3]) else check_memory_error(results[2]) end
end

local function start_tasks(client, ids)
  local tasks = {}
  _G.the_tasks = tasks
  for i, id in ipairs(ids) do tasks[i] = client:start("get_record", id) end
  return tasks
end

local function after_tasks(ok, client)
  settle(_G.the_client)
  for _, task in ipairs(_G.the_tasks or {}) do check_task(task) end
  after(ok, client)
end

local function impatient() return 0.005 end

local function turns()
  return { fresh "status:2;ok", fresh "status:0;status:2;ok", fresh "http:502;ok", "code:15000" }
end

return {
  {
    name = "core",
    setup = function()
      require "cjson" -- not ours: it ends the program where memory runs out
    end,
    run = function() return require "aitoearn.core" end,
    after = function(ok, message)
      if not ok then check_memory_error(message) end
      if type(require("aitoearn.core").engine) ~= "function" then error("no core", 0) end
    end,
  },
  {
    name = "require",
    run = function() return require "aitoearn" end,
    after = function(ok, message)
      if not ok then check_memory_error(message) end
      load_library()
      check_client(new())
      unload()
    end,
  },
  {
    name = "new",
    setup = load_library,
    run = function()
      local client = new { server = { http, https }, ca_file = os.getenv "TORTURE_CA", accept_language = "zh-CN" }
      client:close()
    end,
    after = function(ok, message)
      if not ok then check_memory_error(message) end
      check_client(new())
    end,
  },
  calling("http", nil, "ok"),
  calling("https", { server = https, ca_file = os.getenv "TORTURE_CA" }, "ok"),
  calling("localhost", { server = http:gsub("127%.0%.0%.1", "localhost") .. "" }, "ok"),
  calling("full", nil, "full"),
  calling("compressed", nil, "bomb:20000"),
  calling("refused", { server = { os.getenv "TORTURE_CLOSED", http } }, "ok"),
  calling("retries", nil, function() return fresh "http:502;html;ok" end),
  calling("api_error", nil, "code:15000"),
  calling("page", nil, "html"),
  calling("reset", { retry = false }, "reset"),
  {
    name = "batch", setup = load_library, prepare = prepare(), after = after_many,
    run = function(client)
      return client, client:get_records({ "ok", "full", "min", "code:15000", fresh "close;ok" }, { concurrency = 2 })
    end,
  },
  {
    name = "batch2", setup = load_library, prepare = prepare { server = https, ca_file = os.getenv "TORTURE_CA" },
    after = after_many,
    run = function(client) return client, each_of(client:each_record({ "ok", "full", "min" }, { concurrency = 3 })) end,
  },
  {
    name = "left_batch", setup = load_library, prepare = prepare { max_connections = 1 }, after = after,
    run = function(client)
      local batch <close> = client:each_record({ "ok", "silent", "min", "stall", "full" }, { concurrency = 4 })
      local _, record, err = batch()
      return client, record, err
    end,
  },
  {
    name = "wait", setup = load_library, prepare = prepare(), after = after,
    run = function(client)
      return client, client:wait(fresh "status:0;http:502;status:2;ok", { pace = impatient, timeout = 3,
        on_change = function(record) return record.status end })
    end,
  },
  {
    name = "wait_all", setup = load_library, prepare = prepare { retry = { base = 0.001 } }, after = after_many,
    run = function(client) return client, each_of(client:wait_all(turns(), { pace = impatient, timeout = 3 })) end,
  },
  {
    name = "tasks", setup = load_library, prepare = prepare(), after = after_tasks,
    run = function(client)
      local tasks = start_tasks(client, { "ok", "full", fresh "http:503;ok" })
      tasks[1]:on_done(function() end)
      settle(client)
      return client
    end,
  },
  {
    name = "cancel", setup = load_library, prepare = prepare { max_connections = 1 }, after = after_tasks,
    run = function(client)
      local tasks = start_tasks(client, { "silent", "stall", "silent" })
      for i = 3, 1, -1 do
        client:poll(0)
        tasks[i]:cancel()
      end
      settle(client)
      return client
    end,
  },
  {
    name = "close", setup = load_library, prepare = prepare { max_connections = 2 },
    run = function(client)
      start_tasks(client, { "silent", "stall", "silent" })
      client:poll(0.01)
      client:stats()
      client:close()
      return client
    end,
    after = function(ok, message)
      if not ok then check_memory_error(message) end
      local client = _G.the_client
      client:close()
      settle(client)
      for _, task in ipairs(_G.the_tasks or {}) do check_task(task) end
      local record, err = client:get_record "ok"
      if record or err.kind ~= "closed" then error("the client is not closed", 0) end
    end,
  },
  {
    name = "dropped", setup = load_library, prepare = prepare(), -- no close: the collector ends it
    run = function(client)
      start_tasks(client, { "silent", "ok" })
      client:poll(0.005)
    end,
    after = function(ok, message)
      if not ok then check_memory_error(message) end
      _G.the_client, _G.the_tasks = nil, nil
    end,
  },
}

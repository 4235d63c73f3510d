--- What runs in the nginx of the specs: their code, with a client that was made in init_by_lua.
-- @module spec.host.nginx.app
local aitoearn = require "aitoearn"
local cjson = require "cjson"
local settings = require "settings"

local M = {}

--- Makes a client for the local platform.
function M.client(given)
  local options = { connect_timeout = 5, timeout = 10, deadline = 20, proxy = "" }
  for _, more in ipairs { settings.client, given or {} } do
    for name, value in pairs(more) do options[name] = value end
  end
  return aitoearn.new(options)
end

-- Each worker's own, or with lua_code_cache off each request's.
local client = M.client()

--- Makes a call in a phase and notes how it ended.
function M.try(phase)
  local record, err = client:get_record("ok~phase-" .. phase)
  local outcome = record and "record" or tostring(err)
  ngx.shared.notes:set(phase, outcome)
  return outcome
end

--- Answers with how a call ended.
function M.record()
  local record, err = client:get_record(ngx.unescape_uri(ngx.var.arg_id))
  ngx.print(record and "record" or tostring(err))
end

local clients = {}

--- Answers with a record's title, fetched over http or https: what the benchmark measures.
function M.serve(scheme, http2)
  local name = scheme .. tostring(http2)
  clients[name] = clients[name]
    or M.client { server = settings.platform[scheme], max_connections = 64, http2 = http2 }
  local record, err = clients[name]:get_record(ngx.var.arg_id)
  if not record then
    ngx.log(ngx.ERR, tostring(err))
    return ngx.exit(502)
  end
  ngx.print(record.title)
end

function M.balance()
  M.try "balancer"
  assert(require("ngx.balancer").set_current_peer("127.0.0.1", settings.port))
end

--- What the specs look at beside their own results.
local tools = {
  client = client,
  new = M.client,
  aitoearn = aitoearn,
  settings = settings,
}

function tools.note(name, value) ngx.shared.notes:set(name, cjson.encode(value)) end

--- How many descriptors this worker has open.
function tools.descriptors()
  local pipe = io.popen("ls /proc/" .. ngx.worker.pid() .. "/fd | wc -l")
  local count = tonumber(pipe:read "*a")
  pipe:close()
  return count
end

--- This worker's resident memory in bytes.
function tools.memory()
  local file = assert(io.open("/proc/" .. ngx.worker.pid() .. "/statm"))
  local pages = file:read("*a"):match "%d+ (%d+)"
  file:close()
  return tonumber(pages) * 4096
end

function tools.collect()
  collectgarbage()
  collectgarbage()
  return collectgarbage "count"
end

--- What an error is, for JSON.
function tools.kind(record, err)
  return record and "record" or type(err) == "table" and err.kind or tostring(err)
end

--- Runs `fn` in a timer, and notes what it returns, or its error.
function tools.in_timer(name, fn)
  assert(ngx.timer.at(0, function()
    local ok, value = pcall(fn)
    tools.note(name, ok and { value = value } or { failure = tostring(value) })
  end))
end

setmetatable(tools, { __index = _G })

--- All calls in a phase that cannot wait; notes how they ended.
function M.refused()
  local kind, each, all = tools.kind, {}, {}
  for id, record, err in client:each_record { "a~1", "b~1", "c~1" } do each[id] = kind(record, err) end
  for id, record, err in client:wait_all { "a~3", "b~3" } do all[id] = kind(record, err) end
  local records, errors = client:get_records { "a~2", "b~2" }
  local task = client:start("get_record", "a~4")
  tools.note("refused", {
    each = each, all = all, wait = kind(client:wait "a~5"), locate = kind(client:locate "a~6"),
    get = { next(records) == nil, errors["a~2"].kind, errors["b~2"].kind }, task = { task:done(), kind(task:result()) },
  })
end

--- Runs the chunk that came as the request's body and answers what it returns.
function M.run()
  ngx.req.read_body()
  local chunk, problem = load(ngx.req.get_body_data() or "", "=spec", "t", tools)
  local ok, value = false, problem
  if chunk then ok, value = pcall(chunk) end
  ngx.status = ok and 200 or 500
  ngx.print(cjson.encode(ok and { value = value } or { failure = tostring(value) }))
end

return M

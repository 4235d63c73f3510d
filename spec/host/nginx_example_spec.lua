--- The example examples/nginx, asked as a user would.
local cjson = require "cjson"
local platform = require "spec.platform"
local shell = require "spec.platform.shell"
local socket = require "socket"

describe("the nginx example", function()
  local p, port, leader

  local function get(path)
    local connection = assert(socket.connect("127.0.0.1", port))
    connection:send("GET " .. path .. " HTTP/1.0\r\n\r\n")
    local answer = assert(connection:receive "*a")
    connection:close()
    local head, body = answer:match "^(.-)\r\n\r\n(.*)$"
    local is_json = head:find("application/json", 1, true)
    return tonumber(head:match "^%S+ (%d+)"), is_json and cjson.decode(body) or body, head:find "X%-Cache: hit" ~= nil
  end

  setup(function()
    p = assert(platform.start())
    port = shell.free_ports({ "example" }).example
    leader = assert(shell.run(("AITOEARN_SERVER=%s AITOEARN_API_KEY=%s LUA_PATH='./?.lua;./?/init.lua;;' "
      .. "setsid luajit examples/nginx/run.lua %d >/dev/null 2>&1 </dev/null & echo $!"):format(p.cn.http, p.cn.key, port)))
    assert(shell.wait_until(10, function() return shell.listens(port) end), "the example does not listen")
  end)
  teardown(function()
    shell.run("kill -s TERM $(pgrep -x -g " .. leader .. " nginx)") -- the program around it tidies up then
    assert(shell.wait_until(5, function() return not shell.run("kill -s 0 " .. leader) end))
    p:stop()
  end)

  it("tells a record's state, and caches a final one", function()
    local status, record, cached = get "/records/status:1~example"
    assert.same({ 200, "PUBLISHED", true, false }, { status, record.state, record.final, cached })
    status, record, cached = get "/records/status:1~example"
    assert.same({ 200, "PUBLISHED", true }, { status, record.state, cached })
    local _, health = get "/health"
    assert.truthy(health.requests.sites.default.endpoints[1].server)
  end)

  it("tells errors as HTTP statuses", function()
    local status, err = get "/records/code:15000"
    assert.same({ 404, "api", 15000 }, { status, err.error, err.code })
    assert.equal(400, (get "/records/queued"))
    assert.equal(502, (get "/records/code:401"))
  end)

  it("tells Prometheus what all workers have done", function()
    for i = 1, 20 do get("/records/status:1~metrics" .. i) end
    assert.is_true(shell.wait_until(5, function()
      local _, text = get "/metrics"
      local attempts = 0
      for worker, count in text:gmatch 'aitoearn_attempts_total{worker="(%d)"} (%d+)\n' do
        assert.truthy(worker == "0" or worker == "1")
        attempts = attempts + tonumber(count)
      end
      return attempts >= 20
    end))
    local status, text = get "/metrics"
    assert.equal(200, status)
    for line in text:gmatch "[^\n]+" do
      assert.truthy(line:find "^# HELP aitoearn_[%l_]+ %u" or line:find "^# TYPE aitoearn_[%l_]+ %l+$"
        or line:find '^aitoearn_[%l_]+{[%l_]+="[^"]*"[^}]*} [%d.e+-]+$', line)
    end
    for _, name in ipairs { "calls_total", "retries_total", "hold_seconds", "retry_budget", "endpoint_ejected" } do
      assert.truthy(text:find("\n# TYPE aitoearn_" .. name .. " ", 1, true), name)
      assert.truthy(text:find("\naitoearn_" .. name .. "{", 1, true), name)
    end
  end)

  it("follows a record until it is final", function()
    assert.equal("PUBLISHING", (select(2, get "/records/status:2;status:2;status:1~example")).state)
    assert.is_true(shell.wait_until(30, function()
      socket.sleep(0.3)
      local _, record, cached = get "/records/status:1~example"
      local _, health = get "/health"
      return cached and record.final and health.cached >= 2 and health.followed == 0
    end))
  end)
end)

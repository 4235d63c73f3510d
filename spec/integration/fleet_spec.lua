--- The example examples/fleet: followers in processes of their own, one of which is killed.
local cjson = require "cjson"
local platform = require "spec.platform"
local redis_server = require "spec.redis_server"
local shell = require "spec.platform.shell"
local socket = require "socket"

local missing = redis_server.missing()
if missing then
  describe("the fleet", function()
    pending(missing)
  end)
  return
end

local lua = arg and arg[-1] or "lua"

describe("the fleet", function()
  local p, r, environment, pids

  --- Runs one of its programs to its end.
  local function run(words)
    return assert(shell.run(("%s %s examples/fleet/%s"):format(environment, lua, words)))
  end

  local function follow(name, options)
    local command = "%s %s examples/fleet/follower.lua --name %s --idle 3 --every 0.3 %s >%s/%s.log 2>&1 </dev/null & echo $!"
    pids[name] = shell.run(command:format(environment, lua, name, options or "", r.dir, name))
  end

  local function is_running(name)
    local stat = shell.read("/proc/" .. pids[name] .. "/stat")
    return stat ~= nil and not stat:find "%) Z "
  end

  --- What became of each id: its results.
  local function results()
    local by_id, fleet = {}, dofile "examples/fleet/fleet.lua"
    local redis, after = r:connect(5), nil
    local list
    repeat
      list, after = fleet.results(redis, after, 1000)
      for _, row in ipairs(list) do
        by_id[row.id] = by_id[row.id] or {}
        table.insert(by_id[row.id], row)
      end
    until #list == 0
    return by_id, fleet.state(redis)
  end

  setup(function() p = assert(platform.start { log = false }) end)
  teardown(function() p:stop() end)
  before_each(function()
    r, pids = redis_server.start(), {}
    environment = ("FLEET_REDIS=127.0.0.1:%d AITOEARN_SERVER=%s AITOEARN_API_KEY=%s"):format(r.port, p.cn.http, p.cn.key)
  end)
  after_each(function()
    for name, pid in pairs(pids) do
      if is_running(name) then shell.run("kill -s KILL " .. pid) end
    end
    r:stop()
  end)

  it("has a result for every id, though one follower is killed in the middle and ids come all the time", function()
    local nonce, count = tostring(socket.gettime()), 0
    local function add(n, form)
      local ids = {}
      for i = 1, n do
        count = count + 1
        ids[i] = "'" .. form:format(nonce .. "-" .. count) .. "'"
      end
      run("add.lua " .. table.concat(ids, " "))
    end
    local fleet = dofile "examples/fleet/fleet.lua"
    follow("b", "--capacity 25 --max-rate 400") -- the one that is killed
    assert(shell.wait_until(20, function() return r:connect(5):hexists("fleet:followers", "b") end), "b does not start")
    add(60, "life:1:2~%s")
    for _, name in ipairs { "a", "c" } do follow(name, "--capacity 25 --max-rate 400 --until-empty") end
    socket.sleep(0.5)
    add(30, "life:0.5:3:-1~%s")
    assert(shell.wait_until(10, function() return fleet.owners(r:connect(5)).b.owned > 0 end), "b follows nothing")
    assert(shell.run("kill -s KILL " .. pids.b))
    add(30, "life:1:1~%s")
    add(1, "code:15000~%s")
    assert(shell.wait_until(60, function() return not (is_running "a" or is_running "c") end), "they do not come to an end")

    local by_id, state = results()
    local ids = 0
    for id, rows in pairs(by_id) do
      ids = ids + 1
      assert.equal(1, #rows, id)
      local expected = id:find "^life:0.5" and -1 or 1
      if id:find "^code" then
        assert.equal(15000, cjson.decode(rows[1].error).code)
      else
        assert.equal(expected, cjson.decode(rows[1].record).status)
      end
    end
    assert.equal(count, ids)
    assert.same({ 0, 0 }, { state.left, state.owned })
    local done = 0
    for _, name in ipairs { "a", "c" } do
      local note = cjson.decode(state.followers[name])
      assert.equal(0, note.following)
      done = done + note.done + note.failed
      assert.equal("", shell.read(r.dir .. "/" .. name .. ".log"))
    end
    assert.is_true(done <= count and done >= count - 60, tostring(done))
    assert.truthy(run("watch.lua"):find("0 left, 0 of them followed, 121 results", 1, true))
  end)

  it("leaves what another took over while it hung", function()
    run "add.lua life:0:6~1 life:0:6~2 life:0:6~3"
    follow "a"
    assert(shell.wait_until(10, function()
      local fleet = dofile "examples/fleet/fleet.lua"
      return (fleet.owners(r:connect(5)).a or { owned = 0 }).owned == 3
    end))
    shell.run("kill -s STOP " .. pids.a)
    follow("b", "--until-empty")
    assert(shell.wait_until(10, function()
      local fleet = dofile "examples/fleet/fleet.lua"
      return (fleet.owners(r:connect(5)).b or { owned = 0 }).owned == 3
    end))
    shell.run("kill -s CONT " .. pids.a)
    assert(shell.wait_until(30, function() return not is_running "b" end))
    local by_id, state = results()
    for i = 1, 3 do
      assert.equal(1, #by_id["life:0:6~" .. i])
      assert.equal("b", by_id["life:0:6~" .. i][1].follower)
    end
    assert(shell.wait_until(5, function()
      local note = cjson.decode(select(2, results()).followers.a)
      return note.following == 0 and note.lost == 3
    end), state.followers.a)
  end)
end)

--- Shows what the library does, against the local platform: no key and no internet needed. `make demo` runs it.
local support = dofile((arg[0]:match "^(.*/)" or "") .. "support.lua")
local aitoearn = support.aitoearn
local socket = support.require("socket", "lua-socket")

local paint = support.colours(1)
local line = support.status_line(1)
local t = support.translator "demo.zh-CN.lua"
local platform

local function say(text)
  line.clear()
  print(text)
  io.stdout:flush()
end

local function title(text, code)
  say("")
  say(("%s  %s"):format(paint.bold(t(text)), paint.dim(code or "")))
end

--- 20000 as "20,000".
local function thousands(count)
  local text = ("%.0f"):format(count)
  return (text:reverse():gsub("(%d%d%d)", "%1,"):reverse():gsub("^,", ""))
end

local function plural(count, word)
  local text = t(word)
  if text ~= word then return text:format(thousands(count)) end
  return ("%s %s%s"):format(thousands(count), word, count == 1 and "" or "s")
end

--- What a client has cost since `before`.
local function cost(client, before, seconds)
  local stats = client:stats()
  return paint.dim(t("%s, %.0f ms, %s", plural(stats.attempts - before.attempts, "attempt"), seconds * 1000,
    plural(stats.connections - before.connections, "new connection")))
end

local function new_client(options)
  options.api_key = options.api_key or platform.cn.key
  options.server = options.server or platform.cn.https
  options.ca_file, options.accept_language = platform.ca_file, support.is_chinese and "zh-CN" or "en-US"
  return aitoearn.new(options)
end

--- Makes a call as a task, so that something moves on the screen while it waits.
local function call(client, label, method, ...)
  local task, began = client:start(method, ...), socket.gettime()
  while client:poll(0.08) > 0 do
    line.show(("  %s %s %s"):format(paint.cyan(line.spinner()), t(label),
      paint.dim(("%.1f s"):format(socket.gettime() - began))))
  end
  return task:result()
end

-- ---- One record in each state --------------------------------------------------------------------
local function yes(value)
  return value and paint.green(t "yes  ") or paint.dim "·    "
end

local MEANING = {
  [2] = "under way", [3] = "an edit is queued", [4] = "an edit is under way", [9] = "by the user",
}

--- What a person would want to know about a record.
local function remark(record)
  if record:needs_action() then
    return t "a person must confirm it"
  elseif (record.errorMsg or "") ~= "" then
    return record.errorMsg
  elseif record:is_live() and record:is_final() then
    return t "its link is there to share"
  end
  local left = record:published_at() - socket.gettime()
  return left > 0 and t("due in %.0f min", left / 60) or t(MEANING[record.status] or "")
end

local function show_states()
  title("One record in each state", 'client:get_record(id)')
  say(paint.dim(t "  status                        final live link  attempts     ms  connections"))
  local client = new_client {}
  for status = -1, 9 do
    local before, began = client:stats(), socket.gettime()
    local record = assert(client:get_record("status:" .. status))
    local elapsed, after = socket.gettime() - began, client:stats()
    say(("  %s %s%s%s%s%s"):format(
      paint.state(record, ("%2d %-25s"):format(record.status, record:status_name())),
      yes(record:is_final()), yes(record:is_live()), yes(record:has_link()),
      paint.dim(("%9d %6.1f %14s"):format(after.attempts - before.attempts, elapsed * 1000,
        t(after.connections > before.connections and "1 new  " or "kept  "))),
      paint.dim(remark(record))))
  end
  client:close()
end

-- ---- What can go wrong ---------------------------------------------------------------------------
--- Tells of each attempt that failed and of each pause, as the client does it.
local function narrate(event)
  if event.type == "retry" then
    local who = t(event.server == platform.closed and "the first endpoint" or "the server")
    local what = event.kind == "connect" and t "refuses connections" or t("says %s", event.code or event.http_status)
    say(paint.dim(t("  ↻ %s %s: again in %.2f s", who, what, event.delay)))
  end
end

local function show_call(label, options, id)
  options.on_event = narrate
  local client = new_client(options)
  local before, began = client:stats(), socket.gettime()
  local record, err = call(client, label, "get_record", id)
  local spent = cost(client, before, socket.gettime() - began)
  if record then
    say(t("  %s %s: %s", paint.green "✓", t(label), paint.state(record, record:status_name())))
  else
    say(t("  %s %s: %s %s", paint.red "✗", t(label), paint.red(err.code or err.kind), paint.red(err.name or "")))
    say(("    %s %s"):format(paint.yellow(t "hint:"), (err.hint or "none"):gsub(": ", ":\n          ", 1)))
  end
  say("    " .. spent)
  client:close()
end

local function show_trouble()
  title("When something is wrong", "local record, err = client:get_record(id)")
  show_call("a record that is not there", {}, "c0ffee")
  show_call("a key of the other site", { api_key = platform.intl.key }, "ok")
  show_call("a rate limit, waited out", {}, "code:429:ttl=2;ok")
  show_call("a failover to the backup", { server = { platform.closed, platform.cn.backup } }, "ok")
end

-- ---- A batch -------------------------------------------------------------------------------------
local COUNT, WIDTH = 20000, 32

--- Ids of which some fail for good, and some at first only.
local function ids()
  local count = 0
  return function()
    count = count + 1
    if count > COUNT then return nil end
    local step = count % 1000 == 0 and "code:15000" or count % 500 == 7 and "http:503;ok" or "ok"
    return ("%s~%d"):format(step, count)
  end
end

local function show_batch()
  title(plural(COUNT, "record"), "for id, record, err in client:each_record(ids) do")
  local client = new_client {}
  local done, failed, began, drawn = 0, 0, socket.gettime(), 0
  local records = client:each_record(ids())
  for _, _, err in records do
    done, failed = done + 1, failed + (err and 1 or 0)
    if socket.gettime() - drawn > 0.03 then
      drawn = socket.gettime()
      local full = math.floor(WIDTH * done / COUNT)
      line.show(("  %s%s %s  %s"):format(paint.cyan(("█"):rep(full)), paint.dim(("░"):rep(WIDTH - full)), thousands(done),
        paint.dim(t("%s a second", thousands(done / (drawn - began))))))
    end
  end
  local seconds, stats = socket.gettime() - began, client:stats()
  say(t("  %s %s, %s   %s", paint.green "✓", paint.green(plural(done - failed, "record")),
    paint.red(t("%d not found", failed)), paint.dim(t("%.1f s: %s a second", seconds, thousands(done / seconds)))))
  say(paint.dim(t("    %s, %d of them since a gateway had failed, over %s", plural(stats.attempts, "request"),
    stats.retries, plural(stats.connections, "connection"))))
  client:close()
end

-- ---- A wait --------------------------------------------------------------------------------------
local function show_wait()
  title("From scheduled to live", 'client:wait(id, { goal = "published" })')
  local began = socket.gettime()
  local client = new_client {}
  local record = assert(call(client, "waiting for it to go live", "wait", "life:1.2:1.8", {
    goal = "published",
    pace = function() return 0.2 end, -- this life takes seconds; by itself the library asks every 5 to 30
    on_change = function(now, previous)
      say(("  %s %4.1f s  %s"):format(previous and "→" or " ", socket.gettime() - began,
        paint.state(now, now:status_name())))
    end,
  }))
  say(("  %s %s"):format(paint.green "✓", paint.bold(record.workLink)))
  say("    " .. cost(client, { attempts = 0, connections = 0 }, socket.gettime() - began))
  client:close()
end

-- ---- A post --------------------------------------------------------------------------------------
-- The local platform reads from an account's id how the publishing goes: well, failing once, waiting for a person.
local POST = {
  items = {
    { platform = "xhs", accountId = "life:0.4:0.8" },
    { platform = "bilibili", accountId = "life:0.4:1.2:-1:error=network;life:0:0.8" },
    { platform = "douyin", accountId = "life:0.4:0.4:8" },
  },
  content = { title = "Three spring looks in three minutes", media = { { url = "https://assets.example/video/spring.mp4" } } },
}

--- Follows a flow until each of its tasks has reached the goal, a line for each new status. `seen` has the last ones.
local function follow(client, flow, goal, began, seen)
  return assert(call(client, "following the flow", "wait_flow", flow.flowId, {
    goal = goal,
    pace = function() return 0.15 end,
    on_change = function(task)
      if seen[task.id] == task.status then return end
      say(("  %s %4.1f s  %-9s %s"):format(seen[task.id] and "→" or " ", socket.gettime() - began, task.platform,
        paint.state(task, task:status_name())))
      seen[task.id] = task.status
    end,
  }))
end

--- Does what the state of a task asks for: what a person has to, the demo does in their place.
local function act(client, task)
  if task:needs_action() then
    local action = assert(call(client, "asking what a person has to do", "user_action", task))
    say(t("  %s %s: a person confirms it at %s", paint.yellow "☞", task.platform, paint.bold(action.shortLink)))
    platform:confirm(task.id)
  elseif not task:is_live() then
    assert(call(client, "retrying", "retry", task))
    say(t("  ↻ %s: failed, so it is retried", task.platform))
  end
end

local function show_post()
  title("From a post to its links", "client:publish(post)   client:wait_flow(flow.flowId)")
  local client, began, seen = new_client {}, socket.gettime(), {}
  platform:fault { route = "POST /flows", when = "after", how = "504" }
  local flow = assert(call(client, "publishing", "publish", POST))
  say(t("  %s published to %d accounts %s", paint.green "✓", #flow.tasks, paint.dim(
    t("(the first answer was lost on the way, so it was sent again: %d flow all the same)", platform:count "publish"))))
  flow = follow(client, flow, "settled", began, seen)
  for _, task in ipairs(flow.tasks) do
    act(client, task)
  end
  flow = follow(client, flow, "link", began, seen)
  for _, task in ipairs(flow.tasks) do
    say(("  %s %-9s %s"):format(paint.green "✓", task.platform, paint.bold(task.workLink)))
  end
  say("    " .. cost(client, { attempts = 0, connections = 0 }, socket.gettime() - began))
  client:close()
end

support.run(function()
  line.show(paint.dim(t "starting the local platform …"))
  platform = support.start_platform()
  say(paint.dim(t("aitoearn %s, %s, the local platform at %s", aitoearn.version, jit and jit.version or _VERSION,
    platform.cn.https)))
  show_states()
  show_trouble()
  show_batch()
  show_wait()
  show_post()
  say ""
  say(t("Publish a post here with %s; or, after %s", paint.bold "lua5.4 examples/publish.lua --local",
    paint.bold "sudo make install"))
  say(t("and with AITOEARN_API_KEY set, follow a record of your own with %s.", paint.bold "aitoearn watch ID"))
  say(t("Or watch %s, an animation at 60 frames a second", paint.bold "lua5.4 examples/frame_loop.lua --local"))
  say(t "that does not stutter while a hundred records are in flight.")
  return 0
end)

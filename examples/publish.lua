--- Publishes a post once, follows what becomes of it, and acts on that.
--
--     lua5.4 examples/publish.lua post.json    with AITOEARN_API_KEY set
--     lua5.4 examples/publish.lua --local      without a key: a post of which one part fails and one waits for a person
local support = dofile((arg[0]:match "^(.*/)" or "") .. "support.lua")
local cjson = support.require("cjson", "lua-cjson")
local aitoearn = support.aitoearn

local parser = support.parser("Publishes a post, follows it until it is live everywhere, retries what failed.", [[
The key comes from AITOEARN_API_KEY. The post is JSON, the body of POST /flows:

  {"items": [{"platform": "xhs", "accountId": "6877a1b2c3d4e5f601234567"}],
   "content": {"title": "Spring", "media": [{"url": "https://example.com/spring.mp4"}]}}

A flow id is published once, however often it is sent. Where a run was cut off, start another with the --flow-id
that it printed: it goes on from there.

Exit codes: 0 live everywhere, 1 not, 2 the command line or the set-up is wrong, 130 Ctrl-C.]])
parser:argument("post", "a file with the post; - for standard input"):args "?"
parser:option("--flow-id", "the id of this post's flow (default: the post's, else a new one)")
parser:option("--retries", "how often to retry each part that failed"):convert(support.whole):default "2"
parser:option("--timeout", "seconds to follow it"):convert(support.positive):default "3600"
parser:option("--every", "look this often, in seconds, rather than as the states suggest"):convert(support.positive)
local args = parser:parse()

local paint = support.colours(1)

-- The local platform reads from an account's id how the publishing goes.
local SAMPLE = {
  items = {
    { platform = "xhs", accountId = "life:1:2" },
    { platform = "bilibili", accountId = "life:1:1:-1:error=network;life:0:2" },
    { platform = "douyin", accountId = "life:1:1:8:confirm=3" },
  },
  content = { title = "Three spring looks", media = { { url = "https://assets.example/video/spring.mp4" } } },
}

local function read_post()
  if not args.post then return SAMPLE end
  local file, problem = io.stdin, nil
  if args.post ~= "-" then file, problem = io.open(args.post) end
  if not file then support.die(2, problem) end
  local is_json, post = pcall(cjson.decode, file:read "*a")
  if not is_json then support.die(2, ("%s is no JSON: %s"):format(args.post, post)) end
  return post
end

local function say(mark, who, text)
  print(("%s %-15s %s"):format(mark, who, text))
  io.stdout:flush()
end

--- Publishes, or finds what an earlier run has published under the same flow id.
local function publish(client, post)
  local is_post, flow, err = pcall(client.publish, client, post)
  if not is_post then support.die(2, tostring(flow)) end
  if err and err.code == aitoearn.code.CHANNEL_PUBLISH_TASK_ALREADY_EXISTS then
    return client:get_flow(post.flowId)
  end
  return flow, err
end

local retries, asked, seen = {}, {}, {} -- by the task's id; `seen` is its last status

--- Does what a state asks for. Returns whether the task goes on after that.
local function act(client, task)
  if task:needs_action() then
    asked[task.id] = true
    local action, err = client:user_action(task)
    say(paint.yellow "☞", task.platform, action and "confirm it here: " .. paint.bold(action.shortLink) or tostring(err))
    return true
  elseif task.status == aitoearn.status.FAILED and (retries[task.id] or 0) < args.retries then
    retries[task.id] = (retries[task.id] or 0) + 1
    local record, err = client:retry(task)
    say("↻", task.platform, record and "retried" or paint.red(tostring(err)))
    return record ~= nil
  end
  return false
end

local function is_settled(task)
  return task:is_final() or (task:needs_action() and not asked[task.id])
end

local function on_change(task)
  if seen[task.id] ~= task.status then
    seen[task.id] = task.status
    local reason = (task.errorMsg or "") ~= "" and "  " .. paint.dim(task.errorMsg) or ""
    say(" ", task.platform, paint.state(task, task:status_name()) .. reason)
  end
end

--- Follows the flow until nothing is left to do. Returns it as it is then.
local function follow(client, flow_id)
  local every, goes_on = args.every, true
  local flow, err
  while goes_on do
    flow, err = client:wait_flow(flow_id, {
      goal = is_settled,
      timeout = args.timeout,
      pace = every and function() return every end,
      on_change = on_change,
    })
    goes_on = false
    for _, task in ipairs(flow and flow.tasks or {}) do
      goes_on = (not task:is_live() and act(client, task)) or goes_on
    end
  end
  return flow, err
end

local function fail(err)
  say(paint.red "✗", "", paint.red(tostring(err)))
  if err.may_have_happened then say(" ", "", "it may have been published all the same: go on with --flow-id " .. err.flowId) end
  return 1
end

support.run(function()
  if not args.post and not args["local"] then support.die(2, "a file with a post expected, or --local; --help tells more") end
  if args["local"] then args.every = args.every or 0.3 end
  local client = support.client(args)
  local post = read_post()
  if type(post) == "table" then
    post.flowId = args.flow_id or post.flowId or ("%s-%s"):format(os.date "!%Y%m%dT%H%M%SZ", tostring(post):match "%x+$")
    say(" ", "flow", post.flowId)
  end
  local flow, err = publish(client, post)
  if flow then
    flow, err = follow(client, flow.flowId)
  end
  if not flow then return fail(err) end
  local live = 0
  for _, task in ipairs(flow.tasks) do
    live = live + (task:is_live() and 1 or 0)
    say(task:is_live() and paint.green "✓" or paint.red "✗", task.platform,
      task:has_link() and paint.bold(task.workLink) or paint.state(task, task:status_name()))
  end
  return live == #flow.tasks and 0 or 1
end)

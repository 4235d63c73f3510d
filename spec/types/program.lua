--- A user's program as an editor sees it; nobody runs it. A line that ends in "-- wrong" must be warned of, no other one may.
local aitoearn = require "aitoearn"
local store = require "aitoearn.share.redis"
local testing = require "aitoearn.testing"

local client = aitoearn.new {
  sites = { cn = { api_key = function() return "key" end, headers = { ["X-Team"] = "blue" } } },
  retry = { max_attempts = 2 },
  timeout = false,
  share = store.new(function() return {} end, { prefix = "mine:" }),
  log = "info",
  host = "blocking",
  on_event = function(event)
    if event.type == "retry" then
      print(event.delay)
      print(event.dely) -- wrong
    elseif event.type == "share" then
      print(event.message)
    end
  end,
}
aitoearn.new { timeout = "soon" } -- wrong

local response = {}
local record, err = client:get_record("a", { response = response, deadline = false })
if record then
  print(record.workLink, record:status_name(), record:published_at())
  print(record.worklink) -- wrong
elseif err and err.code == aitoearn.code.PUBLISH_RECORD_NOT_FOUND then
  print(err.kind, err.issues, err.may_have_happened, "why: " .. err)
end
print(record.id) -- wrong
print(aitoearn.status.PUBLISHED, aitoearn.account_type.DOUYIN, aitoearn.record_type.VIDEO, aitoearn.link_status.READY)
print(aitoearn.status.PUBLISHD) -- wrong
print(aitoearn.source.API, aitoearn.status_name(1), aitoearn.version, aitoearn.is_error(err))
client:get_record(12) -- wrong
client:get_recrod "a" -- wrong

for id, each, failure in client:each_record(assert(aitoearn.ids "ids.txt"), { ordered = true }) do
  print(id, each and each.title, failure and failure.message)
end
local live = client:wait("a", {
  goal = "published",
  timeout = 3600,
  response = response,
  on_change = function(is, was, id) print(is.status, was and was.status, id) end,
})
print(live and aitoearn.verdicts.is_final(live))
client:wait("a", { goal = "glory" }) -- wrong

local flow = client:publish {
  items = { { platform = "xhs", accountId = "me" } },
  content = { title = "Spring", media = { { url = "https://example.com/spring.mp4" } } },
  publishAt = "2036-01-01T00:00:00Z",
}
client:publish { items = { { platform = "xhs" } }, content = {} } -- wrong
if flow then
  local ended, problem = client:wait_flow(flow.flowId, { goal = function(task) return task.status == 1 end })
  print(ended and ended.tasks[1]:is_live(), problem and problem.flow)
  client:cancel(flow.tasks[1])
end
local list = client:list_records { list = "queued", accountType = "douyin", from = 1, to = "2036-01-01T00:00:00Z" }
client:list_records { list = "all" } -- wrong
for id, each in client:wait_all(list or {}, { survey = false, concurrency = 4 }) do
  print(id, each and each:to_json())
  client:publish_now(id)
  client:reschedule(id, 4e9)
  client:retry(id)
  client:delete_record(id)
end

local task = client:start("get_records", { "a" }, { on_record = print }):on_done(print)
print(task:done(), task:result(), task:cancel(), client:poll(1))
print(client:stats().sites.cn.endpoints[1].state, client:stats().latency.sum)
print(client:stats().outcome) -- wrong
client:release()
client:close()

local kit = testing.client {
  records = { a = { status = 2 } },
  answers = { b = { { http_status = 503 }, function(request) return { code = request.id == "b" and 15000 or 500 } end } },
  now = 1767225600,
  max_rate = 10,
}
testing.advance(kit, testing.now(kit))
print(kit:get_record "a", kit.requests[1].path)
print(kit.requests[1].pth) -- wrong
print(testing.record({ status = 1 }).status, testing.error({ code = 15000 }).kind)
kit.answers.c = { { kind = "timeout" }, { delay = 3 } }
kit.records.d = { title = "x" }

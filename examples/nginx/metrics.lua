--- What the workers' clients have done, in Prometheus's text form. Each worker keeps its own numbers in a dict, once a
-- second; whichever is asked tells those of all, by the label `worker`.
local cjson = require "cjson"

local metrics = {}

local dict = ngx.shared.metrics

--- Keeps this worker's numbers.
function metrics.keep(client)
  dict:set(ngx.worker.id(), cjson.encode(client:stats()))
end

-- Label values escape what the form demands.
local function labels(given)
  local list = {}
  for name, value in pairs(given) do
    list[#list + 1] = ('%s="%s"'):format(name, tostring(value):gsub('[\\"]', "\\%0"):gsub("\n", "\\n"))
  end
  table.sort(list)
  return "{" .. table.concat(list, ",") .. "}"
end

-- The numbers by name, since the form wants each name's rows together.
local Page = {}
Page.__index = Page

function Page:add(name, given, value)
  if value ~= nil then
    local rows = self[name] or {}
    self[name], rows[#rows + 1] = rows, { labels(given), value }
  end
end

local NAMES = {
  { "calls_total", "counter", "Calls that ended, by outcome: ok or the error's kind" },
  { "attempts_total", "counter", "Requests sent" },
  { "retries_total", "counter", "Requests sent again" },
  { "received_bytes_total", "counter", "Bytes of answers" },
  { "connections_total", "counter", "Connections opened" },
  { "in_flight", "gauge", "Requests under way" },
  { "hold_seconds", "gauge", "Until the site may be asked again" },
  { "retry_budget", "gauge", "Tokens left for retries" },
  { "endpoint_ejected", "gauge", "Whether a base URL is left alone for now" },
  { "call_seconds", "histogram", "How long calls took" },
}

-- A row's name is the metric's, but for the three parts of a histogram.
local PARTS = { call_seconds = { "call_seconds_bucket", "call_seconds_sum", "call_seconds_count" } }

local function add_latency(page, worker, latency)
  local sum = 0
  for i, count in ipairs(latency.counts) do
    sum = sum + count
    page:add("call_seconds_bucket", { worker = worker, le = latency.bounds[i] or "+Inf" }, sum)
  end
  page:add("call_seconds_sum", { worker = worker }, latency.sum)
  page:add("call_seconds_count", { worker = worker }, latency.count)
end

local function add_site(page, worker, name, site)
  local given = { worker = worker, site = name }
  page:add("hold_seconds", given, site.held_for or 0)
  page:add("retry_budget", given, site.retry_budget)
  for _, row in ipairs(site.endpoints) do
    page:add("endpoint_ejected", { worker = worker, site = name, server = row.server }, row.state == "ok" and 0 or 1)
  end
end

local function add_worker(page, worker, stats)
  local given = { worker = worker }
  if stats.outcomes then
    for outcome, count in pairs(stats.outcomes) do
      page:add("calls_total", { worker = worker, outcome = outcome }, count)
    end
  else
    page:add("calls_total", given, stats.calls)
  end
  page:add("attempts_total", given, stats.attempts)
  page:add("retries_total", given, stats.retries)
  page:add("received_bytes_total", given, stats.bytes)
  page:add("connections_total", given, stats.connections)
  page:add("in_flight", given, stats.in_flight)
  if stats.latency then add_latency(page, worker, stats.latency) end
  for name, site in pairs(stats.sites) do add_site(page, worker, name, site) end
end

--- GET /metrics
function metrics.serve(client)
  metrics.keep(client)
  local page = setmetatable({}, Page)
  for id = 0, ngx.worker.count() - 1 do
    local text = dict:get(id)
    if text then add_worker(page, id, cjson.decode(text)) end
  end
  local lines = {}
  for _, row in ipairs(NAMES) do
    local name, kind, help = row[1], row[2], row[3]
    local first = PARTS[name] and PARTS[name][1] or name
    if page[first] then
      lines[#lines + 1] = ("# HELP aitoearn_%s %s\n# TYPE aitoearn_%s %s"):format(name, help, name, kind)
      for _, part in ipairs(PARTS[name] or { name }) do
        for _, pair in ipairs(page[part]) do
          lines[#lines + 1] = ("aitoearn_%s%s %.14g"):format(part, pair[1], pair[2])
        end
      end
    end
  end
  ngx.print(table.concat(lines, "\n"), "\n")
end

return metrics

--- What nginx.conf calls: a record's state as JSON, final ones from a cache, the others followed until they are final.
local aitoearn = require "aitoearn"
local cjson = require "cjson"
local metrics = require "metrics"

local records = {}

-- A failed record can be revived and a published one get a new link, so even final ones are forgotten some time.
local KEEP_FINAL = 600
local FOLLOW = 3600

local final, followed = ngx.shared.final, ngx.shared.followed

-- Made in init_by_lua, used by every worker, each with its own connections. The key comes from AITOEARN_API_KEY.
-- What they share stands in a dict: a 429 in one worker holds all, a server that one finds broken is asked by none.
local options = { ca_file = os.getenv "AITOEARN_CA_FILE", share = "common" }
local client = aitoearn.new(options)
local follower = aitoearn.new(options) -- one of its own, so that it can be closed when the worker leaves

local function to_json(record)
  return cjson.encode {
    id = record.id, state = record:status_name(), final = record:is_final(), live = record:is_live(),
    title = record.title, link = record.workLink, problem = record.errorMsg, publish_time = record.publishTime,
  }
end

local function keep(id, record)
  final:set(id, to_json(record), KEEP_FINAL)
end

--- Waits in a timer until a record is final. When to look again is the client's own business.
local function follow(premature, id)
  if not premature then
    local record, err = follower:wait(id, { timeout = FOLLOW })
    if record and record:is_final() then
      keep(id, record)
      ngx.log(ngx.NOTICE, id, " is ", record:status_name())
    elseif err and err.kind ~= "closed" then
      ngx.log(ngx.WARN, "following: ", tostring(err))
    end
  end
  followed:delete(id)
end

local HTTP_STATUS = { argument = 400, timeout = 504 }

local function answer_error(err)
  local unknown = err.code == aitoearn.code.PUBLISH_RECORD_NOT_FOUND
  ngx.status = unknown and 404 or HTTP_STATUS[err.kind] or 502
  ngx.print(cjson.encode { error = err.kind, code = err.code, message = tostring(err) })
end

--- GET /records/ID
function records.serve(id)
  local cached = final:get(id)
  if cached then
    ngx.header["X-Cache"] = "hit"
    return ngx.print(cached)
  end
  local record, err = client:get_record(id)
  if not record then
    return answer_error(err)
  end
  if record:is_final() then
    keep(id, record)
  elseif followed:add(id, true, FOLLOW) then
    ngx.timer.at(0, follow, id)
  end
  ngx.print(to_json(record))
end

--- GET /health: what this worker's clients have done, and how they see their servers.
function records.health()
  ngx.print(cjson.encode {
    worker = ngx.worker.pid(),
    requests = client:stats(),
    following = follower:stats(),
    followed = #followed:get_keys(0),
    cached = #final:get_keys(0),
  })
end

--- GET /metrics: what the clients of all workers have done.
function records.metrics()
  metrics.serve(client)
end

--- In each worker at its start. A timer that is run before its time says that the worker leaves, after a reload for
-- one: waits of an hour must not hold it. Calls of requests still get their answers.
function records.start()
  ngx.timer.every(1, function() metrics.keep(client) end)
  ngx.timer.at(10 * 365 * 86400, function()
    follower:close()
  end)
end

return records

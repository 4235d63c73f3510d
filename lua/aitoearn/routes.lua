--- The routes beside the record's own: lists, flows, publishing, and what acts on a post.
---
--- `prepare.NAME(client, …)` is as in aitoearn.methods.
---@module "aitoearn.routes"

local check = require "aitoearn.check"
local core = require "aitoearn.core"
local fetch = require "aitoearn.fetch"
local methods = require "aitoearn.methods"
local posts = require "aitoearn.post"
local records = require "aitoearn.record"
local wait_flow = require "aitoearn.wait_flow"
local writes = require "aitoearn.write"

local M = { prepare = {} }
local prepare = M.prepare

-- What `prepare` returns: a function that sends, with its `done` event, and what a cancelled task returns.
local function prepared(client, method, given, facts, send)
  local started
  return function(call)
    started = client.now()
    client.calls = client.calls + 1
    local value, err = send(call)
    return methods.answer(call, method, started, facts.id, given, value, err, facts.flow_id)
  end, function(call)
    local _, err = methods.cancel_single(call, method, started, facts.id, given, nil, facts.flow_id)
    err.flowId = facts.flow_id
    return nil, err
  end
end

local function prepare_read(client, method, request, opts)
  local given, site = methods.read(client, opts)
  return prepared(client, method, given, request, function(call)
    return fetch.request(call, site, request, given)
  end)
end

local function flow_problem(id)
  local problem = posts.flow_id_problem(id)
  return problem and "flow id: " .. problem
end

-- A request on what `id` names; one with a bad id is never sent.
local function request_on(id, problem, request, path)
  request.problem = problem
  request.path = not problem and path:format(core.encode_segment(id))
  return request
end

local function flow_request(id)
  return request_on(id, flow_problem(id), { method = "GET", kind = "flow", flow_id = id }, "/flows/%s")
end

function prepare.list_records(client, filter, opts)
  return prepare_read(client, "list_records", posts.list_request(filter, client.max_list_bytes), opts)
end

function prepare.get_flow(client, id, opts)
  return prepare_read(client, "get_flow", flow_request(id), opts)
end

function prepare.user_action(client, id, opts)
  id = methods.id_of(id)
  return prepare_read(client, "user_action", request_on(id, check.id_problem(id), { method = "GET", kind = "action", id = id },
    "/records/%s/user-action"), opts)
end

function prepare.wait_flow(client, id, opts)
  local given, site = methods.read_wait(client, opts, methods.RULES.wait)
  local request, watch = flow_request(id), nil
  local run, cancelled = prepared(client, "wait_flow", given, request, function(call)
    watch = wait_flow.watch(client, site, id, given)
    return methods.wait(call, watch, function(look)
      return fetch.request(call, site, request, look)
    end)
  end)
  return run, function(call)
    local _, err = cancelled(call)
    err.flow = watch and watch.record
    return nil, err
  end
end

function prepare.publish(client, post, opts)
  local body, flow_id = posts.encode(post, function()
    return posts.new_flow_id(client.random)
  end, client.time())
  local given, site = methods.read(client, opts)
  local is_new_id = post.flowId == nil
  local request = { method = "POST", path = "/flows", body = body, kind = "flow", is_write = true, flow_id = flow_id }
  return prepared(client, "publish", given, request, function(call)
    return writes.publish { call = call, site = site, opts = given, request = request, flow_id = flow_id,
      is_new_id = is_new_id }
  end)
end

-- What each action on a record sends.
local ACTIONS = {
  publish_now = { method = "POST", path = "/tasks/%s/publish-now", kind = "task" },
  retry = { method = "POST", path = "/tasks/%s/retry", kind = "task" },
  reschedule = { method = "PATCH", path = "/tasks/%s/publish-at", kind = "task" },
  cancel = { method = "DELETE", path = "/tasks/%s", kind = "task" },
  delete_record = { method = "DELETE", path = "/records/%s", kind = "nothing" },
}

local function prepare_action(client, name, value, opts, body, wanted)
  local given, site = methods.read(client, opts)
  local action = ACTIONS[name]
  local id, before = methods.id_of(value)
  local request = request_on(id, check.id_problem(id), { method = action.method, kind = action.kind, body = body, id = id,
    is_write = true }, action.path)
  return prepared(client, name, given, request, function(call)
    return writes.act { call = call, site = site, opts = given, request = request, name = name, id = id, before = before,
      wanted = wanted }
  end)
end

for _, name in ipairs { "publish_now", "retry", "cancel", "delete_record" } do
  prepare[name] = function(client, id, opts)
    return prepare_action(client, name, id, opts)
  end
end

function prepare.reschedule(client, id, time, opts)
  local at = posts.time(time, "time")
  local body = ('{"publishAt":"%s"}'):format(at)
  return prepare_action(client, "reschedule", id, opts, body, records.verdicts.published_at { publishTime = at })
end

return M

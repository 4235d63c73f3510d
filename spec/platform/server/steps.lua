--- From an id to the behaviour written in it: `STEP[;STEP…][~NONCE]`, words of a step joined by ":".
-- The first request for an id gets the first step, the second the second; the last one stays.
-- @module spec.platform.server.steps
local answers = require "spec.platform.server.answers"
local envelope = require "spec.platform.server.envelope"
local faults = require "spec.platform.server.faults"
local record = require "spec.platform.server.record"

local M = {}

-- Runs one step; false where there is none of that name, or its words make no sense.
local function run_step(site, id, step)
  local name, words = step:match "^([^:]*):?(.*)$"
  if name == "slow" then
    local ms, rest = words:match "^(%d+):?(.*)$"
    if not ms then return false end
    ngx.sleep(tonumber(ms) / 1000)
    return run_step(site, id, rest ~= "" and rest or "ok")
  end
  local kind = answers[name] or faults[name]
  if not kind then return false end
  return kind(site, id, words)
end

-- The step whose turn it is. Ids with one step are not counted.
local function step_of(site, id)
  local script = id:match "^(.*)~[^~]*$" or id
  if not script:find(";", 1, true) then return script end
  local turn = ngx.shared.steps:incr(site .. "/turn/" .. id, 1, 0) or 1
  local step
  for text in script:gmatch "[^;]+" do
    step, turn = text, turn - 1
    if turn == 0 then break end
  end
  return step or ""
end

--- Answers with the step whose turn it is for this id.
---@param site "cn"|"intl"
---@param id string percent-decoded
function M.run(site, id)
  if id == "ok" then return envelope.send(envelope.success(record.plain(site, id))) end
  if run_step(site, id, step_of(site, id)) == false then envelope.send(envelope.failure(15000)) end
end

return M

--- A program's own code, to be tested: publishes a post everywhere and says in one line what became of it.
local M = {}

local function link_of(task)
  return ("%s %s"):format(task.platform, task.workLink)
end

--- Publishes a post and waits until it can be seen.
---@param client aitoearn.Client
---@param post aitoearn.Post
---@return boolean ok
---@return string line
function M.publish(client, post)
  local flow, err = client:publish(post)
  if not flow and err.may_have_happened then
    return false, "nobody knows whether it was published: look at flow " .. err.flowId
  elseif not flow then
    return false, "not published: " .. err.message
  end
  local live, problem = client:wait_flow(flow.flowId, { goal = "link", timeout = 3600 })
  if not live then
    return false, "published, but " .. problem.message
  end
  local links = {}
  for i, task in ipairs(live.tasks) do
    links[i] = link_of(task)
  end
  return true, "live: " .. table.concat(links, ", ")
end

--- The text of a game's sign, redrawn each frame: what a record's task has found so far.
---@param task aitoearn.Task of `client:start("wait", …)`
---@return string
function M.sign(task)
  if not task:done() then
    return "waiting"
  end
  local record, err = task:result()
  return record and record:status_name() or "trouble: " .. err.kind
end

return M

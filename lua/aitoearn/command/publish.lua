--- `publish`: a post from a JSON file, and what becomes of it.
---@module "aitoearn.command.publish"

local json = require "aitoearn.command.json"
local status = require "aitoearn.command.status"
local stop = require "aitoearn.command.stop"
local t = require "aitoearn.command.language"
local waiting = require "aitoearn.command.wait"

local M = {}

local function read_post(path)
  local file, problem = io.stdin, nil
  if path ~= "-" then
    file, problem = io.open(path, "rb")
  end
  if not file then
    stop.now(status.USAGE, problem) -- it names the file
  end
  local source
  source, problem = file:read "*a"
  if not source then
    stop.now(status.USAGE, path .. ": " .. tostring(problem))
  end
  local ok, post = pcall(json.decode, source)
  if not ok or type(post) ~= "table" then
    stop.now(status.USAGE, t("%s: no JSON object: %s", path, ok and type(post) or tostring(post)))
  end
  return post
end

---@param app aitoearn.command.App
function M.publish(app)
  local args = app.args
  local post = read_post(args.file)
  if args.flow_id then
    post.flowId = args.flow_id
  end
  local flow, err = app:call("publish", post)
  if not flow then
    return app:fail(err)
  elseif args.wait then
    return waiting.flow(app, flow)
  end
  app.output:flow(flow)
end

return M

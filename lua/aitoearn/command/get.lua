--- `get`, `locate`: reads records.
---@module "aitoearn.command.get"

local display = require "aitoearn.command.display"
local input = require "aitoearn.command.input"
local json = require "aitoearn.command.json"

local M = {}

-- In the order of the input.
local OPTIONS = { ordered = true }

--- Whether a record is written at length.
local function is_alone(app)
  local output = app.output
  return output.is_terminal and not output.json and not output.fields
end

--- Prints records: one at length, many as a table.
---@param app aitoearn.command.App
function M.get(app)
  local output, args = app.output, app.args
  app:client() -- what is wrong with it is said before anybody types an id
  local ids = input.open(args.ids)
  local at_length = is_alone(app) and ids.total == 1
  output.display = display.new(output)
  local done, failed = 0, 0
  for portion in ids.portion, ids do
    local records = app:call("each_record", portion, OPTIONS)
    for _, record, err in records do
      done = done + 1
      if err then
        failed = failed + 1
        app:fail(err)
      elseif at_length then
        output:card(record)
      else
        output:record(record)
      end
      if output.display then
        output.display:bar(done, failed, ids.total, ids.fraction)
      end
    end
  end
end

--- Prints a record and the site that it lives on.
---@param app aitoearn.command.App
function M.locate(app)
  local output = app.output
  local record, site = app:call("locate", app.args.id)
  if not record then
    app:fail(site)
  elseif output.json and not output.fields then
    output:write(('{"site":%s,"record":%s}\n'):format(json.encode(site), json.record(record)))
  elseif is_alone(app) then
    output:card(record, site)
  else
    local values = setmetatable({ site = site }, { __index = record })
    output:values(values, { "site", "id", "status", "accountType", "publishTime", "workLink", "title" })
  end
end

return M

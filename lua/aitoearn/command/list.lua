--- `list`, `flow`: reads many records at once.
---@module "aitoearn.command.list"

local M = {}

-- What stands for the end of a range that is not given: the API wants both.
local FIRST, LAST = 0, 4102444800 -- 1970 and 2100

--- Prints the records that fit.
---@param app aitoearn.command.App
function M.list(app)
  local args = app.args
  local is_bounded = args.from or args.to
  local records, err = app:call("list_records", {
    list = args.list,
    accountId = args.account,
    accountType = args.type,
    status = args.status,
    from = is_bounded and (args.from or FIRST) or nil,
    to = is_bounded and (args.to or LAST) or nil,
  })
  if not records then
    return app:fail(err)
  end
  for _, record in ipairs(records) do
    app.output:record(record)
  end
end

--- Prints the posts of a flow.
---@param app aitoearn.command.App
function M.flow(app)
  local flow, err = app:call("get_flow", app.args.id)
  if not flow then
    return app:fail(err)
  end
  app.output:flow(flow)
end

return M

--- `now`, `reschedule`, `retry`, `cancel`, `delete`, `action`: what can be done with a record.
---@module "aitoearn.command.actions"

local core = require "aitoearn.core"
local status = require "aitoearn.command.status"
local t = require "aitoearn.command.language"

local M = {}

local STDIN = 0

--- Asks before what cannot be undone, if there is a terminal to answer on.
---@return boolean
local function is_wanted(app, question)
  if app.args.yes or not core.is_terminal(STDIN) then
    return true
  end
  io.stderr:write(question, t " [y/N] ")
  io.stderr:flush()
  local answer
  repeat -- a signal ends the waiting; what it raises comes after it
    answer = core.read_available(STDIN, -1)
  until answer ~= false
  if answer and answer:lower():find "^%s*[y是]" then
    return true
  end
  app:end_with(status.REFUSED)
  app.output:note(t "nothing was done")
  return false
end

--- Does one thing to each record, and prints it as it is afterwards.
local function act(app, method, question)
  for _, id in ipairs(app.args.ids) do
    if not question or is_wanted(app, t(question, id)) then
      local record, err = app:call(method, id)
      if record then
        app.output:record(record)
      else
        app:fail(err)
      end
    end
  end
end

--- Publishes records now.
---@param app aitoearn.command.App
function M.now(app)
  act(app, "publish_now")
end

--- Publishes failed records again.
---@param app aitoearn.command.App
function M.retry(app)
  act(app, "retry")
end

--- Cancels records.
---@param app aitoearn.command.App
function M.cancel(app)
  act(app, "cancel", "Cancel %s?")
end

--- Moves a record's publish time.
---@param app aitoearn.command.App
function M.reschedule(app)
  local record, err = app:call("reschedule", app.args.id, app.args.time)
  if not record then
    return app:fail(err)
  end
  app.output:record(record)
end

--- Deletes records.
---@param app aitoearn.command.App
function M.delete(app)
  for _, id in ipairs(app.args.ids) do
    if is_wanted(app, t("Delete the record %s?", id)) then
      local deleted, err = app:call("delete_record", id)
      if deleted then
        app.output:values({ id = id, deleted = true }, { "id", "deleted" })
      else
        app:fail(err)
      end
    end
  end
end

local function succeeds(command)
  local result = os.execute(command)
  return result == true or result == 0
end

--- Draws a link as a QR code. It goes through a pipe: a server's text is no word for a shell.
local function draw_code(app, link)
  if not (app.output.is_terminal and succeeds "command -v qrencode >/dev/null 2>&1") then
    return
  end
  io.stdout:flush()
  local pipe = io.popen("qrencode -t ANSIUTF8 -m 1", "w")
  pipe:write(link)
  pipe:close()
end

local FIELDS = { "recordId", "platform", "shareId", "schemeUrl", "shortLink", "expiresAt" }

--- Prints what a person must do for a record.
---@param app aitoearn.command.App
function M.action(app)
  local action, err = app:call("user_action", app.args.id)
  if not action then
    return app:fail(err)
  end
  app.output:values(action, FIELDS)
  if not app.output.json and not app.output.fields and (action.shortLink or "") ~= "" then
    draw_code(app, action.shortLink)
  end
end

return M

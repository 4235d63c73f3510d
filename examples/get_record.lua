--- Fetches one record and says what it means.
--
--     lua5.4 examples/get_record.lua 6877a1b2c3d4e5f601234567      with AITOEARN_API_KEY set
--     lua5.4 examples/get_record.lua --local status:2              without a key
local support = dofile((arg[0]:match "^(.*/)" or "") .. "support.lua")

local parser = support.parser("Fetches one publish record and says what it means.", [[
The key comes from AITOEARN_API_KEY.

With --local an id says what it does: ok, status:-1 to status:9, stalled, retrying, link:pending,
code:15000, slow:500; "http:503;ok" fails once. spec/platform/README.md has them all.

Exit codes: 0 here it is, 1 it could not be had, 2 the command line or the set-up is wrong.]])
parser:argument("id", "the record's id, as the publish call returned it")
parser:flag("--json", "print the record as one line of JSON")
local args = parser:parse()

local paint = support.colours(1)

local function verdict(record)
  local words = { record:is_final() and "final" or "not final", record:is_live() and "live" or "not live" }
  if record:needs_action() then words[#words + 1] = "a person must confirm it" end
  if record:is_stalled() then words[#words + 1] = "seems to hang" end
  if record:will_retry() then words[#words + 1] = "the server will try again" end
  return table.concat(words, ", ")
end

local function ago(seconds)
  if not seconds then return nil end
  local age = os.time() - seconds
  for _, unit in ipairs { { 86400, "days" }, { 3600, "h" }, { 60, "min" }, { 1, "s" } } do
    local count = math.abs(age) / unit[1]
    if count >= 2 or unit[1] == 1 then
      return ((age < 0 and "in " or "") .. "%.0f " .. unit[2] .. (age < 0 and "" or " ago")):format(count)
    end
  end
end

local function show(record)
  local function row(name, value, more)
    if (value or "") ~= "" then
      value = value:gsub("%c", " ") -- a title may hold anything
      print(("  %s %s%s"):format(paint.dim(("%-8s"):format(name)), value, more and paint.dim("  " .. more) or ""))
    end
  end
  print(("%s %s"):format(paint.state(record, record:status_name()), paint.dim("· " .. verdict(record))))
  row("title", record.title)
  row("account", record.accountType, record.type)
  row("link", record:has_link() and record.workLink or record:is_live() and "none yet" or nil, record.linkStatus)
  row("error", record.errorMsg, record.errorData and record.errorData.type)
  row("publish", record.publishTime, ago(record:published_at()))
  row("updated", record.updatedAt, ago(record:updated_at()))
  row("id", record.id)
end

support.run(function()
  local elapsed = 0
  local client = support.client(args, {
    on_event = function(event)
      if event.type == "done" then elapsed = event.elapsed end
    end,
  })
  local record, err = client:get_record(args.id)
  if not record then
    io.stderr:write(support.colours(2).red "error: ", tostring(err), "\n")
    return 1
  elseif args.json then
    print((require("cjson").encode(record):gsub("\\/", "/")))
    return 0
  end
  show(record)
  local attempts = client:stats().attempts
  print(paint.dim(("  %d attempt%s, %.0f ms"):format(attempts, attempts == 1 and "" or "s", elapsed * 1000)))
  return 0
end)

--- Fetches any number of records: ids on standard input, one JSON object a line on standard output, as they arrive.
--
--     lua5.4 examples/batch.lua <ids.txt >records.ndjson            with AITOEARN_API_KEY set
--     seq -f 'ok~%.0f' 10000 | lua5.4 examples/batch.lua --local    without a key
local support = dofile((arg[0]:match "^(.*/)" or "") .. "support.lua")

local parser = support.parser("Fetches publish records: ids on standard input, one a line; JSON on standard output.", [[
The key comes from AITOEARN_API_KEY. Each id makes one line, in the order of arrival:
  {"id":"…","record":{…}}
  {"id":"…","error":{"kind":"api","code":15000,"message":"…","retryable":false}}
Any number of ids goes through in the same memory. What could not be had for now, to feed it in again:
  jq -r 'select(.error.retryable).id' records.ndjson

With --local an id says what it does: ok, status:2, code:15000, "http:503;ok"; add ~1, ~2, … to tell them apart.

Exit codes: 0 all are there, 1 some could not be had, 2 the command line or the set-up is wrong, 130 Ctrl-C.]])
parser:option("--concurrency", "how many requests are under way at once"):convert(support.whole):default "32"
local args = parser:parse()

local cjson = require "cjson"

--- JSON text; cjson escapes slashes, which makes links hard to read.
local function json(value)
  return (cjson.encode(value):gsub("\\/", "/"))
end

local function encode(id, record, err)
  if record then
    return ('{"id":%s,"record":%s}\n'):format(json(id), json(record))
  end
  return ('{"id":%s,"error":%s}\n'):format(json(id), json {
    kind = err.kind, code = err.code, message = err.message, retryable = err.retryable,
  })
end

--- The ids: the lines without the white space around them, blank ones left out.
local function next_id()
  local id
  repeat
    local text = io.read()
    id = text and text:match "^%s*(.-)%s*$"
  until id ~= ""
  return id
end

--- Counts the ways in which records could not be had.
local failures = { count = 0, by_name = {} }
function failures.add(err)
  local name = err.name or (err.http_status and err.kind .. " " .. err.http_status) or err.kind
  failures.count = failures.count + 1
  failures.by_name[name] = (failures.by_name[name] or 0) + 1
end

function failures.describe()
  local parts = {}
  for name, count in pairs(failures.by_name) do
    parts[#parts + 1] = ("%d %s"):format(count, name)
  end
  table.sort(parts)
  return #parts > 0 and (" (%s)"):format(table.concat(parts, ", ")) or ""
end

local paint = support.colours(2)
local line = support.status_line(2)
local count = 0

local function summary(client, seconds)
  local stats = client:stats()
  local text = ("%d records, %d failed%s"):format(count - failures.count, failures.count, failures.describe())
  line.clear()
  io.stderr:write(failures.count > 0 and paint.yellow(text) or paint.green(text), paint.dim(
    ("; %d requests, %d of them again, over %d connection%s in %d s\n"):format(stats.attempts, stats.retries,
      stats.connections, stats.connections == 1 and "" or "s", seconds)))
end

support.run(function()
  local shows_progress = not support.is_terminal(1)
  local client = support.client(args)
  local started, shown = os.time(), os.time()
  local results = client:each_record(next_id, { concurrency = args.concurrency })
  for id, record, err in results do
    count = count + 1
    if err then failures.add(err) end
    if not (io.write(encode(id, record, err)) and io.stdout:flush()) then -- nobody reads any more
      results:close()
      return 1
    end
    if shows_progress and os.time() > shown then
      shown = os.time()
      line.show(paint.dim(("%d records, %d failed, %d s"):format(count - failures.count, failures.count, shown - started)))
    end
  end
  summary(client, os.time() - started)
  return failures.count > 0 and 1 or 0
end)

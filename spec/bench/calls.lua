--- One call at a time: get_record, decode, require.
-- @module spec.bench.calls
local measure = require "spec.bench.measure"
local shell = require "spec.platform.shell"

local M = {}

local PATH = "/api/v2/channels/publish/records/"
-- The first id that the baseline asks for.
local ID = "6877a1b20000000000000000"
local CALLS = tonumber(os.getenv "BENCH_CALLS") or 2000
local DECODES = 20000

--- The body that the platform answers for an id.
---@return string
function M.body(p, id)
  return assert(shell.run("curl -sS -H 'X-Api-Key: " .. p.cn.key .. "' " .. p.cn.http .. PATH .. id))
end

-- One keep-alive connection, ours beside the bare easy loop and lua-cjson alone.
local function get_record(p, baseline, name, server, target)
  local body = M.body(p, ID)
  local results = measure.turns {
    bare = function() return (baseline("easy", server, p, CALLS, 200, 1)) end,
    cjson = function() return measure.child("cjson", body, CALLS)[1] end,
    ours = function()
      local seen = measure.child("calls", server, p.cn.key, p.ca_file, CALLS, 200)
      assert(seen[2] == 0, "it needed another connection")
      return seen[1]
    end,
  }
  measure.row("get_record, " .. name .. ": CPU, ours / (bare easy loop + cjson.decode)",
    measure.each_round(results, function(r) return r.ours / (r.bare + r.cjson) end), { most = target })
  for _, who in ipairs { "ours", "bare", "cjson" } do
    measure.row("    " .. who .. ", a call",
      measure.each_round(results, function(r) return r[who] / CALLS * 1e6 end), { unit = "us" })
  end
end

--- get_record over one kept-alive connection.
function M.get_record(p, baseline)
  measure.heading "One call after another over one connection (processor time)"
  get_record(p, baseline, "http", p.cn.http, 1.25)
  get_record(p, baseline, "https, HTTP/2", p.cn.https)
  get_record(p, baseline, "https, HTTP/1.1", p.https1)
end

--- decode beside lua-cjson's.
function M.decode(p)
  measure.heading "Decoding an answer (processor time)"
  local cases = { { "a plain id's", ID, 1.25 }, { "every field", "full~bench", 1.25 }, { "required fields", "min~bench" } }
  for _, case in ipairs(cases) do
    local body = M.body(p, case[2])
    local results = measure.turns {
      cjson = function() return measure.child("cjson", body, DECODES)[1] end,
      ours = function() return measure.child("decode", body, DECODES)[1] end,
    }
    measure.row(("decode / cjson.decode, %s, %d bytes"):format(case[1], #body),
      measure.each_round(results, function(r) return r.ours / r.cjson end), { most = case[3] })
    measure.row("    cjson.decode", measure.each_round(results, function(r) return r.cjson / DECODES * 1e6 end),
      { unit = "us" })
  end
end

--- require "aitoearn" in a fresh process.
function M.require()
  measure.heading "Loading (wall-clock time, a fresh process each)"
  local ours, library = {}, {}
  for i = 1, 9 do
    ours[i], library[i] = measure.child("require", "aitoearn")[1], measure.child("require", "cjson")[1]
  end
  local of = { ours = ours, library = library }
  measure.row('require "aitoearn"', measure.each_round(of, function(r) return r.ours end), { unit = "ms", most = 5 })
  measure.row('    require "cjson" alone', measure.each_round(of, function(r) return r.library end), { unit = "ms" })
end

return M

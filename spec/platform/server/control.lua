--- The specs' way in, beside the API: `POST /-/control` on the web server, `{command, arguments…}` as JSON.
-- @module spec.platform.server.control
local actions = require "spec.platform.server.actions"
local envelope = require "spec.platform.server.envelope"
local mishaps = require "spec.platform.server.mishaps"
local seeds = require "spec.platform.server.seeds"
local store = require "spec.platform.server.store"
local world = require "spec.platform.server.world"

local M = {}

local commands = {}

function commands.seed(site, records) return seeds.seed(site, records) end

function commands.confirm(site, id) return actions.confirm(site, id) end

function commands.flows()
  local found = seeds.flows "cn"
  for _, flow in ipairs(seeds.flows "intl") do found[#found + 1] = flow end
  return found
end

function commands.count(effect, name) return world.count(effect, name) end

function commands.fault(fault) mishaps.add(fault) end

function commands.heal() mishaps.clear() end

function commands.settings(changes)
  local all = store.copy "settings" or {}
  for name, value in pairs(changes) do
    all[name] = value
    if value == false then all[name] = nil end
  end
  store.write { "settings", all }
end

function commands.reset() store.clear() end

--- Runs a command and answers what it returned.
function M.serve()
  ngx.req.read_body()
  local words = store.json().decode((ngx.req.get_body_data()))
  local ok, result = pcall(commands[words[1]], unpack(words, 2))
  return envelope.send(store.json().encode(ok and { result = result } or { err = tostring(result) }))
end

return M

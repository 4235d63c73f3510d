--- What the sites hold and what was done to them. It lies in shared memory, so that all workers agree and a reload keeps
-- it, and in a journal beside, from which an nginx that comes up after a kill takes it again.
-- A journal's line is "=KEY<tab>JSON" for a value, "#KEY<tab>NUMBER" for a counter, of which the greatest counts.
-- @module spec.platform.server.store
local M = {}

local LOCK = 2   -- seconds after which a lock is free although its worker did not open it: that one is dead

local dict = ngx.shared.posts
local path, journal, json
local cache = {}   -- key -> {raw =, value =}, as long as the shared text is the same

--- A private lua-cjson. Loaded at the first use: nobody else here needs it.
---@return table
function M.json()
  json = json or require("cjson").new()
  return json
end

-- One write, so that the lines of several workers do not mix.
local function note(lines)
  if not journal then
    journal = assert(io.open(path, "a"))
    journal:setvbuf "no"
  end
  journal:write(lines)
end

local function replay()
  for line in io.lines(path) do
    local kind, key, text = line:match "^([=#])([^\t]*)\t(.*)$"
    if kind == "=" then
      assert(dict:safe_set(key, text))
    elseif kind == "#" then
      assert(dict:safe_set(key, math.max(dict:get(key) or 0, tonumber(text))))
    end
  end
end

--- Takes the journal up where this nginx is a new one. Called once in the master.
---@param folder string
function M.open(folder)
  path = folder .. "/journal"
  if not dict:add("open", true) then return end
  local file = io.open(path)
  if file then
    file:close()
    replay()
  end
end

--- Forgets everything.
function M.clear()
  dict:flush_all()
  dict:flush_expired()
  dict:set("open", true)
  assert(io.open(path, "w")):close()
end

--- Whether there is anything under a name: what the hot path asks.
---@param key string
---@return boolean
function M.has(key) return dict:get(key) ~= nil end

--- A value with what was made of it: the same table as long as nobody writes the value. Not to be changed, but for fields
-- that hold what can be computed from the value.
---@param key string
---@return {raw: string, value: table}?
function M.entry(key)
  local raw = dict:get(key)
  local known = cache[key]
  if not raw then
    cache[key] = nil
    return nil
  end
  if not known or known.raw ~= raw then
    known = { raw = raw, value = M.json().decode(raw) }
    cache[key] = known
  end
  return known
end

--- A value, not to be changed.
---@param key string
---@return table?
function M.get(key)
  local entry = M.entry(key)
  return entry and entry.value
end

--- A copy of a value, to be changed and written.
---@param key string
---@return table?
function M.copy(key)
  local raw = dict:get(key)
  return raw and M.json().decode(raw)
end

--- Writes values: `{key, value, key, value, …}`.
---@param list table
function M.write(list)
  local lines = {}
  for i = 1, #list, 2 do
    local text = M.json().encode(list[i + 1])
    assert(dict:safe_set(list[i], text))
    lines[#lines + 1] = "=" .. list[i] .. "\t" .. text .. "\n"
  end
  note(table.concat(lines))
end

--- Writes a value where there is none.
---@param key string
---@param value table
---@return boolean added
function M.add(key, value)
  local text = M.json().encode(value)
  local ok, err = dict:safe_add(key, text)
  if not ok then
    assert(err == "exists", err)
    return false
  end
  note("=" .. key .. "\t" .. text .. "\n")
  return true
end

--- Adds to a counter.
---@param key string
---@param by? integer 1 unless given
---@return integer
function M.count(key, by)
  local value = assert(dict:incr(key, by or 1, 0))
  note(("#%s\t%d\n"):format(key, value))
  return value
end

--- What a counter stands at.
---@param key string
---@return integer
function M.counted(key) return dict:get(key) or 0 end

--- All keys that begin with a text.
---@param prefix string
---@return string[]
function M.keys(prefix)
  local found = {}
  for _, key in ipairs(dict:get_keys(0)) do
    if key:sub(1, #prefix) == prefix then found[#found + 1] = key end
  end
  return found
end

--- Runs a function while no other worker runs one under the same name.
---@param name string
---@param fn function
function M.locked(name, fn, ...)
  local locks = ngx.shared.limits
  while not locks:add("lock/" .. name, true, LOCK) do ngx.sleep(0.001) end
  local results = { pcall(fn, ...) }
  locks:delete("lock/" .. name)
  assert(results[1], results[2])
  return unpack(results, 2, 4)
end

return M

--- What a batch looks like from outside: an iterator that can be closed.
---@module "aitoearn.iterator"

local hooks = require "aitoearn.hooks"

local M = {}

local new_userdata = rawget(_G, "newproxy")

--- Stands in a generic `for`, or is called directly: `id, record, err`, and nil at the end.
---@class aitoearn.Iterator
---@field private batch aitoearn.Batch
---@field private method string
local Iterator = {}
Iterator.__index = Iterator
Iterator.__name = "aitoearn.iterator"

function Iterator:__call()
  local batch = self.batch
  if batch.client.hook then
    hooks.refuse_wait(self.method)
  end
  local id, record, err = batch:take_early()
  if id ~= nil then
    return id, record, err
  end
  return batch.call:run(batch.next, batch)
end

--- Cancels what is in flight; the iterator is at its end then.
function Iterator:close()
  self.batch:close()
end

Iterator.__close = Iterator.close
Iterator.__gc = Iterator.close

--- Makes the iterator of a batch.
---@param method string
---@param batch aitoearn.Batch
---@return aitoearn.Iterator iterator
---@return nil, nil
---@return aitoearn.Iterator closing what Lua 5.4 closes when the loop is left
function M.new(method, batch)
  local self = setmetatable({ batch = batch, method = method }, Iterator)
  if new_userdata then -- Lua 5.1 finalizes userdata only
    self.sentinel = new_userdata(true)
    getmetatable(self.sentinel).__gc = function()
      batch:close()
    end
  end
  return self, nil, nil, self
end

return M

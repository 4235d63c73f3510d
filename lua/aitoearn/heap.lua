--- A binary heap: what is due first comes out first.
---@module "aitoearn.heap"

local M = {}

---@class aitoearn.Heap
---@field count integer
local Heap = {}
Heap.__index = Heap

--- Makes an empty one.
---@return aitoearn.Heap
function M.new()
  return setmetatable({ count = 0, due = {}, items = {} }, Heap)
end

--- Puts an item in.
---@param due number
---@param item any
function Heap:push(due, item)
  local dues, items, at = self.due, self.items, self.count + 1
  self.count = at
  while at > 1 do
    local parent = (at - at % 2) / 2
    if dues[parent] <= due then
      break
    end
    dues[at], items[at] = dues[parent], items[parent]
    at = parent
  end
  dues[at], items[at] = due, item
end

--- When the first item is due.
---@return number? due nil: the heap is empty
function Heap:first_due()
  return self.due[1]
end

--- Takes the first item out.
---@return any item nil: the heap is empty
function Heap:pop()
  local dues, items, count = self.due, self.items, self.count
  if count == 0 then
    return nil
  end
  local first, due, item = items[1], dues[count], items[count]
  dues[count], items[count] = nil, nil
  count = count - 1
  self.count = count
  local at = 1
  while at * 2 <= count do
    local child = at * 2
    if child < count and dues[child + 1] < dues[child] then
      child = child + 1
    end
    if dues[child] >= due then
      break
    end
    dues[at], items[at] = dues[child], items[child]
    at = child
  end
  if count > 0 then
    dues[at], items[at] = due, item
  end
  return first
end

return M

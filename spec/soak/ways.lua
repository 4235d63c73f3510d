--- The ways in which programs make calls, and give them up.
-- @module spec.soak.ways
local M = {}

local CANCELLED = { cancelled = true }
local CLOSED = { closed = true }
local DEAD = { connect = true, transport = true, timeout = true, tls = true, http = true }

local function ids_of(books, count)
  local ids = {}
  for i = 1, count do
    ids[i] = books:id()
  end
  return ids
end

local function every(books, ids, records, errors, also)
  for _, id in ipairs(ids) do
    books:ends(id, records[id], errors[id], also)
  end
end

local ways = {}

--- One after another.
function ways.single(client, books)
  for _ = 1, 50 do
    local id = books:id(true)
    books:ends(id, client:get_record(id))
  end
end

--- A batch to its end, as an iterator.
function ways.stream(client, books)
  local left = 300
  local function next_id()
    left = left - 1
    return left >= 0 and books:id() or nil
  end
  local iterator = client:each_record(next_id, { concurrency = 1 + books:below(64) })
  for id, record, err in function() return iterator() end do
    books:ends(id, record, err)
  end
end

--- A batch as tables.
function ways.collect(client, books)
  local ids = ids_of(books, 200)
  local records, errors = client:get_records(ids)
  every(books, ids, records, errors)
end

--- A batch that is left in the middle.
function ways.leave(client, books)
  local ids, seen, enough = ids_of(books, 100), 0, books:below(80)
  local iterator = client:each_record(ids, { concurrency = 16 })
  while seen < enough do
    local id, record, err = iterator()
    books:ends(id, record, err)
    seen = seen + 1
  end
  iterator:close()
  for _, id in ipairs(ids) do
    books:drop(id)
  end
end

--- Tasks that are cancelled under way, some of them before their first step.
function ways.cancel(client, books)
  local tasks = {}
  for i = 1, 60 do
    local id = books:id(true)
    tasks[i] = { id = id, task = client:start("get_record", id) }
  end
  for _ = 1, books:below(12) do
    client:poll(0.001)
  end
  for i, one in ipairs(tasks) do
    if i % 2 == 0 then
      one.task:cancel()
    end
  end
  for i, one in ipairs(tasks) do
    while not one.task:done() do
      client:poll(0.1)
    end
    local record, err = one.task:result()
    books:ends(one.id, record, err, i % 2 == 0 and CANCELLED or nil)
  end
end

--- A batch as a task, cancelled as a whole.
function ways.cancel_batch(client, books)
  local ids = ids_of(books, 100)
  local task = client:start("get_records", ids)
  for _ = 1, books:below(12) do
    client:poll(0.001)
  end
  task:cancel()
  while not task:done() do
    client:poll(0.1)
  end
  local records, errors = task:result()
  every(books, ids, records, errors, CANCELLED)
end

local function soon()
  return 0.001
end

--- Waits: each takes two or three looks.
function ways.wait(client, books)
  for _ = 1, 10 do
    local id = ("status:2;status:2;ok~w%d"):format(books.next_id)
    books.next_id, books.started = books.next_id + 1, books.started + 1
    books.open[id] = "record"
    books:ends(id, client:wait(id, { pace = soon }))
  end
end

--- Waits for many, among them some that cannot end well.
function ways.wait_all(client, books)
  local ids, steps = {}, { { "status:6;status:2;ok", "record" }, { "status:2;status:9", "goal" }, { "code:401", "api" } }
  for i = 1, 40 do
    local step = steps[books:below(#steps) + 1]
    books.next_id, books.started = books.next_id + 1, books.started + 1
    ids[i] = ("%s~a%d"):format(step[1], books.next_id)
    books.open[ids[i]] = step[2]
  end
  local iterator = client:wait_all(ids, { goal = "published", pace = soon })
  for id, record, err in function() return iterator() end do
    books:ends(id, record, err)
  end
end

local names = { "single", "single", "stream", "stream", "collect", "leave", "cancel", "cancel_batch", "wait", "wait_all" }

--- Any of them.
function M.any(client, books)
  ways[names[books:below(#names) + 1]](client, books)
end

--- Closes the client with calls in flight.
function M.close(client, books)
  local tasks = {}
  for i = 1, 40 do
    local id = books:id(true)
    tasks[i] = { id = id, task = client:start("get_record", id) }
  end
  for _ = 1, books:below(10) do
    client:poll(0.001)
  end
  client:close()
  for _, one in ipairs(tasks) do
    if not one.task:done() then
      client:poll(0)
    end
    local record, err = one.task:result()
    books:ends(one.id, record, err, CLOSED)
  end
  local id = books:id(true)
  books.open[id] = "closed"
  books.interrupted = books.interrupted + 1
  books:ends(id, client:get_record(id))
end

--- Lets the server die under calls in flight, and come back.
function M.kill(client, books, p)
  local ids = ids_of(books, 150)
  local task = client:start("get_records", ids, { deadline = 5 })
  for _ = 1, 5 do
    client:poll(0.002)
  end
  p:kill()
  for _ = 1, 20 do
    client:poll(0.01)
  end
  assert(p:up())
  while not task:done() do
    client:poll(0.1)
  end
  local records, errors = task:result()
  every(books, ids, records, errors, DEAD)
  books.interrupted = books.interrupted + #ids -- each may have been sent before, or refused
end

return M

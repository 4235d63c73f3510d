--- A scene at 60 frames a second in which each light is a publish record on its way to being live.
--
-- All there is to do for the client is `client:poll(0)` in love.update. Ids come as arguments, the server and the key from
-- AITOEARN_SERVER and AITOEARN_API_KEY: love examples/love ID ID ID
local aitoearn = require "aitoearn"
local lights = require "lights"

local FRAME = 1 / 60
local GRAPH = 180 -- frames

local client
local polls, frames, worst_poll, worst_frame = {}, 0, 0, 0
local started, next_frame, next_id
local waiting = {}
local picture, picture_after = os.getenv "AITOEARN_LOVE_PICTURE", tonumber(os.getenv "AITOEARN_LOVE_SECONDS" or 7)

local function follow(id, light)
  client:start("wait", id, {
    timeout = false,
    pace = os.getenv "AITOEARN_LOVE_FAST" and function() return 0.3 + 0.2 * love.math.random() end or nil,
    on_change = function(record) lights.show(light, record) end,
  }):on_done(function(record, err)
    lights.finish(light, record, err)
  end)
end

function love.load(ids)
  client = aitoearn.new()
  lights.load()
  for i, id in ipairs(ids) do
    waiting[i] = { id = id, light = lights.new(id) }
  end
  started = love.timer.getTime()
  next_frame, next_id = started, 1
end

function love.update(dt)
  if waiting[next_id] then -- a light every other frame
    if frames % 2 == 0 then
      follow(waiting[next_id].id, waiting[next_id].light)
      next_id = next_id + 1
    end
  end
  local before = love.timer.getTime()
  client:poll(0)
  local spent = love.timer.getTime() - before
  frames = frames + 1
  polls[frames % GRAPH + 1] = spent
  worst_poll = math.max(worst_poll, spent)
  if frames > 30 then -- the first frames belong to the window system
    worst_frame = math.max(worst_frame, dt)
  end
  lights.update(math.min(dt, 0.05))
end

local function draw_graph(x, y)
  love.graphics.setColor(1, 1, 1, 0.08)
  love.graphics.line(x, y, x + 2 * GRAPH, y)
  for i = 1, GRAPH do
    local spent = polls[(frames + i) % GRAPH + 1]
    if spent then
      local height = math.min(28, spent * 1000 * 14) -- 14 pixels a millisecond
      love.graphics.setColor(0.48, 0.64, 0.97, 0.9)
      love.graphics.rectangle("fill", x + 2 * (i - 1), y - height, 1.4, height)
    end
  end
end

local function draw_numbers()
  local stats = client:stats()
  local text = ("%d fps    %d on their way    %d requests    %d connections    worst poll %.2f ms")
    :format(love.timer.getFPS(), stats.tasks, stats.attempts, stats.connections, worst_poll * 1000)
  love.graphics.setColor(0.79, 0.82, 0.86)
  love.graphics.print(text, 32, 500)
  draw_graph(960 - 32 - 2 * GRAPH, 516)
end

-- Screens without a vertical sync would get as many frames as the processor can make.
local function keep_time()
  next_frame = math.max(next_frame + FRAME, love.timer.getTime() - FRAME)
  local left = next_frame - love.timer.getTime()
  if left > 0 then
    love.timer.sleep(left)
  end
end

local function take_picture(path)
  love.graphics.captureScreenshot(function(image)
    local file = assert(io.open(path, "wb"))
    file:write(image:encode("png"):getString())
    file:close()
    print(("%d frames, worst frame %.1f ms, worst poll %.2f ms"):format(frames, worst_frame * 1000, worst_poll * 1000))
    love.event.quit()
  end)
end

function love.draw()
  lights.draw()
  draw_numbers()
  if picture and love.timer.getTime() - started > picture_after then
    take_picture(picture)
    picture = nil
  end
  keep_time()
end

function love.keypressed(key)
  if key == "escape" or key == "q" then
    love.event.quit()
  end
end

function love.quit()
  client:close()
end

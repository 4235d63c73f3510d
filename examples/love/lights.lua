--- The lights: each drifts to the column of its record's state, and bursts into sparks when that goes live.
local M = {}

local COLUMNS = {
  { title = "Waiting", x = 40, color = { 0.55, 0.60, 0.70 } },
  { title = "Publishing", x = 350, color = { 1.00, 0.65, 0.34 } },
  { title = "Live", x = 660, color = { 0.49, 0.91, 0.53 } },
}
local RED, YELLOW = { 1.00, 0.48, 0.45 }, { 0.89, 0.70, 0.25 }
local WIDTH, TOP, ROW, PER_ROW = 260, 92, 62, 5

local lights, sparks, stars, slots = {}, {}, {}, { {}, {}, {} }
local glow, disc, ring, small, large
local time = 0

-- A round image: `shade` tells how bright it is at a distance from the middle, 0 to 1.
local function make_round(shade)
  local size = 64
  local image = love.image.newImageData(size, size)
  image:mapPixel(function(x, y)
    local dx, dy = x / size * 2 - 1 + 1 / size, y / size * 2 - 1 + 1 / size
    return 1, 1, 1, math.max(0, math.min(1, shade(math.sqrt(dx * dx + dy * dy))))
  end)
  return love.graphics.newImage(image)
end

function M.load()
  glow = make_round(function(r) return r < 1 and (1 - r) ^ 2 or 0 end)
  disc = make_round(function(r) return 8 * (0.95 - r) end)
  ring = make_round(function(r) return 8 * (0.2 - math.abs(r - 0.75)) end)
  small, large = love.graphics.newFont(12), love.graphics.newFont(20)
  love.graphics.setBackgroundColor(0.045, 0.058, 0.085)
  for i = 1, 90 do
    stars[i] = { x = love.math.random() * 960, y = love.math.random() * 540, speed = 4 + 14 * love.math.random() }
  end
end

-- The first free place of its new column.
local function place(light, column)
  slots[light.column][light.slot or 0] = nil
  local n = 1
  while slots[column][n] do
    n = n + 1
  end
  light.column, light.slot, slots[column][n] = column, n, light
  light.to_x = COLUMNS[column].x + ((n - 1) % PER_ROW + 0.5) * WIDTH / PER_ROW
  light.to_y = TOP + math.floor((n - 1) / PER_ROW) * ROW + 30
end

function M.new(id)
  local light = { id = id, column = 1, color = COLUMNS[1].color, x = -40, y = 270, size = 1, trail = {} }
  lights[#lights + 1] = light
  place(light, 1)
  return light
end

local function burst(light)
  for _ = 1, 26 do
    local angle, speed = love.math.random() * 2 * math.pi, 40 + 150 * love.math.random()
    sparks[#sparks + 1] = { x = light.x, y = light.y, dx = math.cos(angle) * speed, dy = math.sin(angle) * speed,
      left = 0.6 + 0.7 * love.math.random(), color = light.color }
  end
  light.size = 2.4
end

--- A record has changed.
function M.show(light, record)
  local column = record:is_live() and 3 or record:status_name() == "PUBLISHING" and 2 or light.column
  light.color = record:needs_action() and YELLOW or COLUMNS[column].color
  light.account, light.known = record.accountType, true
  if column ~= light.column then
    place(light, column)
    light.arriving = column == 3
  end
end

--- A record is settled, or could not be had.
function M.finish(light, record, err)
  if err or record:status_name() == "FAILED" or record:status_name() == "CANCELED" then
    light.color, light.failed, light.size = RED, true, 1.8
  end
end

local function move(light, dt)
  local pull = 1 - math.exp(-3.2 * dt)
  light.x, light.y = light.x + (light.to_x - light.x) * pull, light.y + (light.to_y - light.y) * pull
  light.size = light.size + (1 - light.size) * (1 - math.exp(-4 * dt))
  table.insert(light.trail, 1, { light.x, light.y })
  light.trail[10] = nil
  if light.arriving and math.abs(light.x - light.to_x) < 12 then
    light.arriving = nil
    burst(light)
  end
end

function M.update(dt)
  time = time + dt
  for _, light in ipairs(lights) do
    move(light, dt)
  end
  for i = #sparks, 1, -1 do
    local spark = sparks[i]
    spark.x, spark.y, spark.left = spark.x + spark.dx * dt, spark.y + spark.dy * dt, spark.left - dt
    spark.dx, spark.dy = spark.dx * (1 - 1.6 * dt), spark.dy * (1 - 1.6 * dt) + 30 * dt
    if spark.left <= 0 then
      sparks[i] = sparks[#sparks]
      sparks[#sparks] = nil
    end
  end
  for _, star in ipairs(stars) do
    star.x = (star.x + star.speed * dt) % 960
  end
end

local function color(c, alpha)
  love.graphics.setColor(c[1], c[2], c[3], alpha)
end

local function draw_round(image, x, y, radius)
  love.graphics.draw(image, x, y, 0, radius / 32, radius / 32, 32, 32)
end

local function draw_columns()
  for i, column in ipairs(COLUMNS) do
    color(column.color, 0.05)
    love.graphics.rectangle("fill", column.x, 84, WIDTH, 392, 14)
    color(column.color, 0.35)
    love.graphics.rectangle("line", column.x, 84, WIDTH, 392, 14)
    love.graphics.setFont(large)
    color(column.color, 1)
    love.graphics.print(column.title, column.x + 4, 46)
    local count = 0
    for _ in pairs(slots[i]) do
      count = count + 1
    end
    love.graphics.printf(tostring(count), column.x, 46, WIDTH - 4, "right")
  end
end

local function draw_light(light)
  for i = #light.trail, 2, -1 do
    color(light.color, 0.14 * (1 - i / 10))
    draw_round(glow, light.trail[i][1], light.trail[i][2], 20)
  end
  local beat = light.column == 2 and 0.85 + 0.25 * math.sin(time * 6 + light.to_x) or 1
  color(light.color, light.known and 0.75 or 0.35)
  draw_round(glow, light.x, light.y, 26 * light.size * beat)
  color(light.color, 1)
  draw_round(light.failed and ring or disc, light.x, light.y, (light.failed and 9 or 7) * light.size)
end

local function draw_label(light)
  if light.account then
    love.graphics.print(light.account, math.floor(light.x - small:getWidth(light.account) / 2), math.floor(light.y + 13))
  end
end

function M.draw()
  love.graphics.setFont(small)
  for _, star in ipairs(stars) do
    love.graphics.setColor(1, 1, 1, star.speed / 60)
    love.graphics.circle("fill", star.x, star.y, star.speed / 14)
  end
  draw_columns()
  love.graphics.setFont(small)
  love.graphics.setBlendMode "add"
  for _, light in ipairs(lights) do
    draw_light(light)
  end
  for _, spark in ipairs(sparks) do
    color(spark.color, math.min(1, spark.left))
    draw_round(glow, spark.x, spark.y, 7)
  end
  love.graphics.setBlendMode "alpha"
  love.graphics.setColor(0.79, 0.82, 0.86, 0.6)
  for _, light in ipairs(lights) do
    draw_label(light)
  end
end

return M

--- A horizontal bar chart as SVG, for a README: white behind dark text, so that light and dark pages show it alike.
-- @module spec.bench.plot

local WIDTH, LEFT, RIGHT = 860, 290, 180
local LINE, GAP, TOP = 22, 40, 34
-- A value of more than so many times the most of ours gets a broken bar: on its scale all others would look alike.
local CUT_AT = 16
local OURS, OTHERS = "#1a7f37", "#8c959f"

local ESCAPES = { ["&"] = "&amp;", ["<"] = "&lt;", [">"] = "&gt;" }

local function text(x, y, content, attributes)
  return ('<text x="%g" y="%g"%s>%s</text>'):format(x, y, attributes or "", (content:gsub("[&<>]", ESCAPES)))
end

-- The value of a bar of full length, and the one above which bars are broken.
local function scale_of(groups)
  local own, longest, most = 0, 0, 0
  for _, group in ipairs(groups) do
    for _, bar in ipairs(group) do
      own, most = math.max(own, bar.is_ours and bar.value or 0), math.max(most, bar.value)
    end
  end
  for _, group in ipairs(groups) do
    for _, bar in ipairs(group) do
      longest = math.max(longest, bar.value <= own * CUT_AT and bar.value or 0)
    end
  end
  return most > longest and longest * 1.2 or longest, longest
end

-- Two white strokes through a bar near its end.
local function break_mark(x, y)
  return ('<path d="M%g %gl6 -18M%g %gl6 -18" stroke="#fff" stroke-width="3"/>'):format(x - 24, y + 2, x - 16, y + 2)
end

local function draw_bar(add, bar, y, full, longest)
  local length = math.max(2, math.min(bar.value, full) / full * (WIDTH - LEFT - RIGHT))
  add(text(LEFT - 8, y + 12, bar.name, ' text-anchor="end"' .. (bar.is_ours and ' font-weight="bold"' or "")))
  add(('<rect x="%g" y="%g" width="%.1f" height="15" fill="%s"/>'):format(LEFT, y, length, bar.is_ours and OURS or OTHERS))
  if bar.value > longest then
    add(break_mark(LEFT + length, y + 15))
  end
  add(text(LEFT + length + 6, y + 12, bar.label, bar.is_ours and ' font-weight="bold"' or ""))
end

--- Draws groups of bars, all on one scale.
---@param title string
---@param groups {title: string, [integer]: {name: string, value: number, label: string, is_ours: boolean?}}[]
---@return string svg
return function(title, groups)
  local lines, y, full, longest = {}, TOP, scale_of(groups)
  local function add(line) lines[#lines + 1] = line end
  for _, group in ipairs(groups) do
    y = y + GAP
    add(text(14, y - 10, group.title, ' font-weight="bold"'))
    for _, bar in ipairs(group) do
      draw_bar(add, bar, y, full, longest)
      y = y + LINE
    end
  end
  local height = y + 14
  return table.concat({
    ('<svg xmlns="http://www.w3.org/2000/svg" width="%d" height="%d" viewBox="0 0 %d %d" role="img"'):format(WIDTH, height,
      WIDTH, height) .. ' font-family="system-ui, sans-serif" font-size="13" fill="#1f2328">',
    "<title>" .. title:gsub("[&<>]", ESCAPES) .. "</title>",
    '<rect width="100%" height="100%" fill="#fff"/>',
    text(14, 26, title, ' font-size="16" font-weight="bold"'),
    table.concat(lines, "\n"),
    "</svg>",
  }, "\n") .. "\n"
end

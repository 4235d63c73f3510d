--- A folder of HTML pages out of Markdown ones, each with the list of all beside it.
local shell = require "spec.platform.shell"

local Site = {}
Site.__index = Site

local STYLE = [[
:root { color-scheme: light dark; --line: #d5dae1; --soft: #f4f6f8; --link: #0b62c4; --text: #1c2128 }
@media (prefers-color-scheme: dark) { body { background: #13171c }
  :root { --line: #363d47; --soft: #1d232b; --link: #6cb0ff; --text: #d6dce3 } }
body { margin: 0; font: 16px/1.55 system-ui, sans-serif; color: var(--text); display: flex }
nav { flex: 0 0 15rem; box-sizing: border-box; height: 100vh; overflow: auto; position: sticky; top: 0; padding: 1.5rem;
  border-right: 1px solid var(--line); font-size: 14px }
nav h2 { font-size: 12px; text-transform: uppercase; letter-spacing: .06em; margin: 1.4rem 0 .3rem; opacity: .7 }
nav a { display: block; padding: .12rem 0; text-decoration: none } nav a.here { font-weight: 700 } nav b { font-size: 16px }
main { flex: 1; min-width: 0; max-width: 62rem; padding: 1.5rem 2.5rem 5rem }
a { color: var(--link) } h1 { margin-top: .3rem }
h2 { margin-top: 2.6rem; border-bottom: 1px solid var(--line); padding-bottom: .3rem } nav h2 { border: 0 }
h3 { margin-top: 2rem } img { max-width: 100% } h2 code, h3 code { font-size: 1em; background: none; padding: 0 }
code { font: .88em ui-monospace, monospace; background: var(--soft); padding: .1em .3em; border-radius: 4px }
pre { background: var(--soft); padding: .9rem 1.1rem; border-radius: 6px; overflow: auto; line-height: 1.45 }
pre code { padding: 0 }
table { border-collapse: collapse; margin: .8rem 0; display: block; overflow: auto } thead th:empty { padding: 0 }
th, td { border: 1px solid var(--line); padding: .3rem .7rem; text-align: left; vertical-align: top }
th { background: var(--soft) }
@media (max-width: 50rem) { body { display: block } nav { position: static; height: auto } main { padding: 1rem } }
]]

local M = {}

---@param folder string
---@param title string
function M.new(folder, title)
  return setmetatable({ folder = folder, title = title, pages = {}, anchors = {}, by_path = { ["README.md"] = "index" } }, Site)
end

--- Adds a page.
---@param name string? its file's name without the extension; that of its path without one
---@param title string
---@param text string Markdown
---@param group string? under which head it is listed; none: it is not
---@param path string? the Markdown file that it was, to which others link
function Site:page(name, title, text, group, path)
  name = name or path:gsub("%.md$", ""):gsub("^%.", ""):gsub("[/.]", "-")
  self.by_path[path or ""] = name
  self.pages[#self.pages + 1] = { name = name, title = title, text = text, group = group, path = path or "README.md" }
end

local function render(text)
  local file = os.tmpname()
  shell.write(file, text)
  local out, err = shell.run("cmark-gfm -e table -e autolink --to html " .. shell.quote(file))
  os.remove(file)
  return assert(out, err)
end

--- As GitHub makes an anchor of a heading.
local function anchor(heading)
  return (heading:gsub("<[^>]*>", ""):gsub("&%w+;", ""):lower():gsub("[^%w%s_\128-\255-]", ""):gsub("%s", "-"))
end

local function normal(path)
  local parts = {}
  for part in path:gmatch "[^/]+" do
    if part == ".." then
      parts[#parts] = nil
    elseif part ~= "." then
      parts[#parts + 1] = part
    end
  end
  return table.concat(parts, "/")
end

--- Where a link of a document leads: to a page, a copied picture, or into the checkout.
function Site:target(page, link, is_picture)
  if link:find "^%a+:" or link:find "^#" or link:find "^[%w_-]+%.html" then
    return link
  end
  local path, rest = link:match "^([^#]*)(.*)$"
  path = normal((page.path:match "^(.*/)" or "") .. path)
  local name = self.by_path[path] or self.by_path[path .. "/README.md"]
  if name then
    return name .. ".html" .. rest
  elseif is_picture then
    local copy = path:gsub("/", "-")
    assert(shell.run(("cp %s %s"):format(shell.quote(path), shell.quote(self.folder .. "/" .. copy))))
    return copy
  end
  return "../../../" .. path .. rest
end

function Site:navigation(here)
  local out, group = { "<nav><b>" .. self.title .. "</b>" }, nil
  for _, page in ipairs(self.pages) do
    if page.group then
      if page.group ~= group then
        group = page.group
        out[#out + 1] = "<h2>" .. group .. "</h2>"
      end
      out[#out + 1] = ('<a href="%s.html"%s>%s</a>'):format(page.name, page == here and ' class="here"' or "", page.title)
    end
  end
  return table.concat(out, "\n") .. "</nav>"
end

--- Writes all of it; returns how many pages that were.
function Site:write()
  assert(shell.run(("rm -rf %s && mkdir -p %s"):format(shell.quote(self.folder), shell.quote(self.folder))))
  shell.write(self.folder .. "/style.css", STYLE)
  for _, page in ipairs(self.pages) do
    local body = render(page.text)
    body = body:gsub("<h(%d)>(.-)</h%d>", function(level, text)
      return ('<h%s id="%s">%s</h%s>'):format(level, anchor(text), text, level)
    end)
    body = body:gsub("<td><code>([^<]*)</code></td>", function(kind) -- the names of classes lead to them
      return "<td><code>" .. kind:gsub("aitoearn%.%u%w+", function(name)
        return self.anchors[name] and ('<a href="%s">%s</a>'):format(self.anchors[name], name)
      end) .. "</code></td>"
    end)
    body = body:gsub('<a href="([^"]*)"', function(link) return ('<a href="%s"'):format(self:target(page, link)) end)
    body = body:gsub('<img src="([^"]*)"', function(link) return ('<img src="%s"'):format(self:target(page, link, true)) end)
    shell.write(("%s/%s.html"):format(self.folder, page.name), table.concat({
      '<!doctype html><html lang="en"><head><meta charset="utf-8">',
      '<meta name="viewport" content="width=device-width"><link rel="stylesheet" href="style.css">',
      ("<title>%s: %s</title></head><body>"):format(self.title, page.title), self:navigation(page),
      "<main>", body, "</main></body></html>\n",
    }, "\n"))
  end
  return #self.pages
end

return M

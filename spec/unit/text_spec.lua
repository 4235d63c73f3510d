local text = require "aitoearn.text"

describe("text.nearest", function()
  local names = { timeout = 1, deadline = 1, server = 1, site = 1, sites = 1, max_rate = 1 }

  it("finds what is within two letters: dropped, added, changed, swapped", function()
    for misspelt, name in pairs {
      timout = "timeout", time_out = "timeout", timeuot = "timeout", deadlin = "deadline", sevrer = "server",
      maxRate = "max_rate", siteses = "sites", sits = "site", timeout = "timeout",
    } do
      assert.equal(name, text.nearest(misspelt, names))
    end
  end)

  it("finds nothing farther away", function()
    for _, name in ipairs { "", "apikey", "tm", "deadliness_", "TIMEOUT" } do assert.is_nil(text.nearest(name, names)) end
  end)
end)

describe("text.lower", function()
  it("knows ASCII alone, in any locale", function()
    assert.equal("https://iİä[]`{", text.lower "HTTPS://IİÄ[]`{" :gsub("Ä", "ä"))
  end)
end)

describe("text.cut", function()
  it("cuts between two characters, and bytes that are no UTF-8 somewhere", function()
    assert.equal("abc", text.cut("abc", 3))
    assert.equal("...", text.cut("abcd", 3))
    assert.equal("a...", text.cut("a\195\164\195\164", 4))
    assert.equal("...", text.cut(("\128"):rep(10), 6))
  end)
end)

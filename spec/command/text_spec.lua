--- Widths of texts on a terminal.
local text = require "aitoearn.command.text"

describe("a text on a terminal", function()
  it("is as wide as its characters", function()
    for words, columns in pairs {
      [""] = 0, abc = 3, ["é"] = 1, ["e\204\129"] = 1, ["中文"] = 4, ["한국어"] = 6, ["カタカナ"] = 8, ["ｶﾅ"] = 2, ["，"] = 2,
      ["🌸"] = 2, ["😀a"] = 3, ["العربية"] = 7, ["…"] = 1, ["█"] = 1, ["⠋"] = 1, ["✓"] = 1, ["𠀀"] = 2, ["a\226\128\139b"] = 2,
    } do
      assert.equal(columns, text.width(words), words)
    end
  end)

  it("is cut between characters, with an ellipsis", function()
    assert.equal("abc", text.cut("abc", 3))
    assert.equal("ab…", text.cut("abcd", 3))
    assert.equal("中…", text.cut("中文字", 4))
    assert.equal("中…", text.cut("中文字", 3))
    assert.equal("…", text.cut("中文", 2))
    assert.equal("…", text.cut("ab", 1))
    assert.equal("", text.cut("ab", 0))
    for columns = 0, 12 do
      assert.truthy(text.width(text.cut("a中b文🌸c字", columns)) <= columns)
    end
  end)

  it("is filled up to a width", function()
    assert.equal("中文  ", text.pad("中文", 6))
    assert.equal("abc", text.pad("abc", 2))
  end)

  it("moves no cursor, whatever it holds", function()
    assert.equal("a b c d e", text.clean "a\tb\nc\27d\127e")
    assert.equal("a b", text.clean "a\194\133b") -- U+0085
    assert.equal("a b", text.clean "a\226\128\174b") -- turns what follows around
    assert.equal("a\239\191\189b", text.clean "a\255b")
    assert.equal("\239\191\189", text.clean "\228")
    assert.equal("中文 🌸", text.clean "中文 🌸")
  end)
end)

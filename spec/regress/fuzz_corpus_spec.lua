--- What the fuzzer begins with, and whatever it found: an input that broke the decoder is kept in spec/fuzz/corpus.
require "aitoearn" -- gives records their methods
local check = require "spec.fuzz.invariants"
local shell = require "spec.platform.shell"

describe("the decoder's invariants hold for", function()
  local folder = "spec/fuzz/corpus/decode/"
  for name in assert(shell.run("ls " .. folder)):gmatch "%S+" do
    it(name, function()
      local body = assert(shell.read(folder .. name))
      check(body)
      for length = 0, #body do check(body:sub(1, length)) end -- cut anywhere
    end)
  end
end)

--- A copas from before version 4.
local aitoearn = require "aitoearn"
local inside = require "spec.host.inside"

package.loaded.copas = { _VERSION = "Copas 1.1.7" }
local ok, message = pcall(aitoearn.new, { host = "copas" })
assert(not ok)
inside.say("message", message)

--- JSON text of records and values.

local found, json = pcall(require, "aitoearn.json")
if found then
  return json
end

-- Until aitoearn.json is there: cjson, which has no order and escapes slashes.
local cjson = require("cjson").new()
cjson.encode_number_precision(14)
local function encode(value)
  return (cjson.encode(value):gsub("\\/", "/"))
end
return { encode = encode, record = encode, decode = cjson.decode }

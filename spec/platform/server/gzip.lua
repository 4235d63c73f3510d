--- Gzip bodies that inflate to any size yet cost little to make: one deflated block of padding, repeated.
-- Works because a full flush ends on a byte and forgets what came before; the checksum is combined, not computed.
-- @module spec.platform.server.gzip
local ffi = require "ffi"

ffi.cdef [[
typedef struct {
  const uint8_t *next_in; unsigned avail_in; unsigned long total_in;
  uint8_t *next_out; unsigned avail_out; unsigned long total_out;
  const char *msg; void *state; void *zalloc; void *zfree; void *opaque;
  int data_type; unsigned long adler; unsigned long reserved;
} platform_z_stream;
const char *zlibVersion(void);
int deflateInit2_(platform_z_stream *z, int level, int method, int window_bits, int memory, int strategy,
                  const char *version, int size);
int deflate(platform_z_stream *z, int flush);
int deflateEnd(platform_z_stream *z);
unsigned long crc32(unsigned long crc, const uint8_t *bytes, unsigned size);
unsigned long crc32_combine(unsigned long first, unsigned long second, long second_size);
]]
local zlib = ffi.load "libz.so.1"

local M = {}

local FULL_FLUSH, FINISH, DEFLATED = 3, 4, 8
local BLOCK = 2 ^ 20

-- Raw deflate of a text, ending on a byte. Returns it with the text's checksum.
local function deflated(text, flush)
  local z, size = ffi.new "platform_z_stream", #text + 1024
  local buffer = ffi.new("uint8_t[?]", size)
  zlib.deflateInit2_(z, 9, DEFLATED, -15, 9, 0, zlib.zlibVersion(), ffi.sizeof(z))
  z.next_in, z.avail_in, z.next_out, z.avail_out = text, #text, buffer, size
  zlib.deflate(z, flush)
  local bytes = ffi.string(buffer, z.total_out)
  zlib.deflateEnd(z)
  return bytes, zlib.crc32(0, text, #text)
end

local function little_endian(value)
  value = tonumber(value)
  local a, b = value % 256, math.floor(value / 256) % 256
  return string.char(a, b, math.floor(value / 65536) % 256, math.floor(value / 16777216) % 256)
end

--- Gzip of `head`, padding of "x", and `tail`, which inflates to `size` bytes.
---@param head string
---@param tail string
---@param size integer
---@return string
function M.padded(head, tail, size)
  local padding = math.max(size - #head - #tail, 0)
  local blocks = math.floor(padding / BLOCK)
  local first, crc = deflated(head .. ("x"):rep(padding % BLOCK), FULL_FLUSH)
  local block, block_crc = deflated(("x"):rep(BLOCK), FULL_FLUSH)
  local last, last_crc = deflated(tail, FINISH)
  for _ = 1, blocks do crc = zlib.crc32_combine(crc, block_crc, BLOCK) end
  crc = zlib.crc32_combine(crc, last_crc, #tail)
  return "\31\139\8\0\0\0\0\0\2\3" .. first .. block:rep(blocks) .. last .. little_endian(crc)
    .. little_endian((padding + #head + #tail) % 2 ^ 32)
end

return M

local core = require "aitoearn.core"

local parse = core.parse_datetime

local function at(year, month, day, hour, minute, second)
  return ("%04d-%02d-%02dT%02d:%02d:%02dZ"):format(year, month, day, hour, minute, second)
end

describe("parse_datetime", function()
  it("reads known moments", function()
    for text, seconds in pairs {
      ["1970-01-01T00:00:00Z"] = 0,
      ["1969-12-31T23:59:59Z"] = -1,
      ["2026-07-02T12:00:00.000Z"] = 1782993600,
      ["2000-02-29T00:00:00Z"] = 951782400,
      ["2024-02-29T23:59:59Z"] = 1709251199,
      ["1900-03-01T00:00:00Z"] = -2203891200,
      ["1600-02-29T12:00:00Z"] = -11670955200,
      ["2038-01-19T03:14:08Z"] = 2147483648,
    } do
      assert.equal(seconds, parse(text), text)
    end
  end)

  it("reads the first and the last year", function()
    assert.equal(-62167219200, parse "0000-01-01T00:00:00Z")
    assert.equal(-62162121600, parse "0000-02-29T00:00:00Z")
    assert.equal(-62162035200, parse "0000-03-01T00:00:00Z")
    assert.equal(-62135596800, parse "0001-01-01T00:00:00Z")
    assert.equal(253402300799, parse "9999-12-31T23:59:59Z")
  end)

  it("agrees with os.date on 20,000 moments between the years 1 and 9999", function()
    local seed = 42
    for _ = 1, 20000 do
      seed = (seed * 16807) % 2147483647
      local seconds = -62135596800 + math.floor(seed / 2147483647 * 315537897599)
      local date = os.date("!*t", seconds)
      local text = at(date.year, date.month, date.day, date.hour, date.min, date.sec)
      if parse(text) ~= seconds then assert.same({ text, seconds }, { text, parse(text) }) end
    end
  end)

  it("agrees with os.date on every day of 400 years", function()
    for seconds = 0, 12622780800, 86400 do
      local date = os.date("!*t", seconds)
      local text = at(date.year, date.month, date.day, 0, 0, 0)
      if parse(text) ~= seconds then assert.same({ text, seconds }, { text, parse(text) }) end
    end
  end)

  it("keeps fractions of any length", function()
    assert.equal(0.5, parse "1970-01-01T00:00:00.5Z")
    assert.equal(0.123, parse "1970-01-01T00:00:00.123Z")
    assert.equal(1782993600.25, parse "2026-07-02T12:00:00.250000000Z")
    assert.equal(-0.5, parse "1969-12-31T23:59:59.5Z")
    local long = parse("1970-01-01T00:00:00." .. ("3"):rep(400) .. "Z")
    assert.is_true(math.abs(long - 1 / 3) < 1e-12)
    assert.equal(0, parse("1970-01-01T00:00:00." .. ("0"):rep(400) .. "Z"))
  end)

  it("takes offsets from UTC", function()
    for text, seconds in pairs {
      ["2026-07-02T20:00:00+08:00"] = 1782993600,
      ["2026-07-02T08:30:00.000-03:30"] = 1782993600,
      ["2026-07-03T11:59:00+23:59"] = 1782993600,
      ["2026-07-02T12:00:00-00:00"] = 1782993600,
      ["2026-07-02T12:00:00+00:00"] = 1782993600,
      ["1970-01-01T00:00:00+08:00"] = -28800,
    } do
      assert.equal(seconds, parse(text), text)
    end
  end)

  it("takes small letters and a space, as RFC 3339 does", function()
    assert.equal(1782993600, parse "2026-07-02t12:00:00z")
    assert.equal(1782993600, parse "2026-07-02 12:00:00Z")
  end)

  it("takes a leap second for the second after it", function()
    assert.equal(1483228800, parse "2016-12-31T23:59:60Z")
    assert.equal(1483228800, parse "2017-01-01T07:59:60+08:00")
    assert.is_nil(parse "2016-12-31T23:59:61Z")
  end)

  it("knows leap years", function()
    for year, is_leap in pairs {
      [1600] = true, [1900] = false, [2000] = true, [2023] = false, [2024] = true, [2100] = false, [2400] = true,
    } do
      assert.equal(is_leap, parse(("%d-02-29T00:00:00Z"):format(year)) ~= nil, year)
    end
  end)

  it("answers nil for what is no date-time", function()
    for _, text in ipairs {
      "", " ", "now", "2026", "2026-07-02", "2026-07-02T12:00Z", "2026-07-02T12:00:00", "2026-07-02T12:00:00.Z",
      "2026-07-02T12:00:00.5", "2026-07-02T12:00:00,5Z", "2026-7-2T12:00:00Z", "26-07-02T12:00:00Z",
      "2026-00-02T12:00:00Z", "2026-13-02T12:00:00Z", "2026-07-00T12:00:00Z", "2026-07-32T12:00:00Z",
      "2026-06-31T12:00:00Z", "2026-07-02T24:00:00Z", "2026-07-02T12:60:00Z", "2026-07-02T12:00:00+8:00",
      "2026-07-02T12:00:00+0800", "2026-07-02T12:00:00+24:00", "2026-07-02T12:00:00+08:60", "2026-07-02T12:00:00 Z",
      "2026-07-02T12:00:00ZZ", " 2026-07-02T12:00:00Z", "2026-07-02T12:00:00Z ", "2026-07-02T12:00:00Z\0",
      "2026-07-02T12:00:00\0Z", "-026-07-02T12:00:00Z", "+2026-07-02T12:00:00Z", "2026-07-02X12:00:00Z",
      "2026-07--2T12:00:00Z", "1782993600", "２026-07-02T12:00:00Z", "Thu, 02 Jul 2026 12:00:00 GMT",
    } do
      assert.is_nil(parse(text), ("%q"):format(text))
    end
  end)

  it("answers nil for every beginning of a date-time", function()
    local text = "2026-07-02T12:00:00.123+08:00"
    for length = 0, #text - 1 do assert.is_nil(parse(text:sub(1, length)), text:sub(1, length)) end
    assert.is_number(parse(text))
  end)

  it("raises for what is no string", function()
    assert.has_error(function() parse() end)
    assert.has_error(function() parse {} end)
  end)
end)

describe("a date-time", function()
  local format = core.format_datetime

  it("of whole seconds is an integer where Lua has them, and of others a fraction", function()
    local whole, fraction = parse "2026-07-02T12:00:00.000Z", parse "2026-07-02T12:00:00.250+08:00"
    assert.equal("1782993600", tostring(whole))
    assert.equal(1782993600 - 8 * 3600 + 0.25, fraction)
    assert.equal("2026-07-02", os.date("!%Y-%m-%d", whole))
  end)

  it("is written in UTC, to the millisecond", function()
    for seconds, text in pairs {
      [0] = "1970-01-01T00:00:00.000Z", [1782993600] = "2026-07-02T12:00:00.000Z",
      [1782993600.25] = "2026-07-02T12:00:00.250Z", [-0.001] = "1969-12-31T23:59:59.999Z",
      [1782993599.9996] = "2026-07-02T12:00:00.000Z", [951782400] = "2000-02-29T00:00:00.000Z",
      [-62167219200] = "0000-01-01T00:00:00.000Z", [253402300799.999] = "9999-12-31T23:59:59.999Z",
    } do
      assert.equal(text, format(seconds))
    end
  end)

  it("is none outside of four-digit years", function()
    for _, seconds in ipairs { 253402300800, -62167219200.001, 1e300, -1e300, math.huge, -math.huge, 0 / 0 } do
      assert.is_nil(format(seconds))
    end
    assert.has_error(function() format "now" end)
    assert.has_error(function() format() end)
  end)

  it("is read back as it was written", function()
    for day = -719000, 2932000, 997 do
      local seconds = day * 86400 + day % 86399 + 0.125
      assert.equal(seconds, parse(format(seconds)))
    end
  end)
end)

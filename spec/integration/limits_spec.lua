local helper = require "spec.helper"

local record, failure = helper.record, helper.failure

describe("the limits of an answer", function()
  local p

  setup(function() p = helper.start() end)
  teardown(helper.stop)
  before_each(function() p:forget() end)
  after_each(helper.close)

  -- One attempt, and no endless memory.
  local function refused(id, options)
    local before = helper.resident()
    local err = failure("protocol", helper.clocked(options):get_record(id))
    assert.same({ 1, false, 200 }, { #err.attempts, err.retryable, err.http_status })
    assert.is_true(helper.resident() - before < 30 * 1024)
    return err
  end

  for _, server in ipairs { "http", "https" } do
    it("let max_response_bytes pass, and not a byte more, over " .. server, function()
      local options = { server = p.cn[server], max_response_bytes = 20000 }
      local client = helper.client(options)
      assert.equal("big:20000", record(client:get_record "big:20000").id)
      assert.equal("big:19999", record(client:get_record "big:19999").id)
      assert.equal("the answer is longer than max_response_bytes", refused("big:20001", options).message)
      refused("big:1000000", options)
      record(client:get_record "big:20000")
    end)
  end

  it("are 1 MiB where nothing else is said", function()
    record(helper.client():get_record "big:1048576")
    refused "big:1048577"
  end)

  it("hold for what a compressed answer inflates to", function()
    local client = helper.client { max_response_bytes = 1000000 }
    record(client:get_record "bomb:1000000")
    refused("bomb:1000001", { max_response_bytes = 1000000 })
    refused "bomb:200000000"
    local stats = client:stats()
    assert.is_true(stats.bytes > 1000 and stats.bytes < 100000, stats.bytes)
  end)

  it("hold for answers in chunks and byte by byte", function()
    refused("chunked", { max_response_bytes = 500 })
    refused("drip:1", { max_response_bytes = 50 })
  end)

  it("can be one byte", function()
    refused("ok", { max_response_bytes = 1 })
  end)

  it("do not hold back an error's envelope that fits", function()
    assert.equal(15000, failure("api", helper.client({ max_response_bytes = 300 }):get_record "code:15000").code)
  end)

  for _, server in ipairs { "http", "https" } do
    it("are 32 KiB of headers over " .. server, function()
      local client = helper.client { server = p.cn[server], retry = false, timeout = 3 }
      for size = 5000, 30000, 5000 do record(client:get_record("headers:" .. size)) end
      local err = refused("headers:40000", { server = p.cn[server] })
      assert.equal("the answer's headers are longer than 32 KiB", err.message)
    end)
  end

  it("too long headers are told as such among other streams of HTTP/2 too", function()
    local client = helper.client { server = p.cn.https }
    helper.record(client:get_record "ok")
    for round = 1, 10 do
      local ids = { "headers:98304~" .. round }
      for i = 1, 30 do ids[i + 1] = ("ok~%d-%d"):format(round, i) end
      local _, errors = client:get_records(ids)
      assert.equal("protocol", errors[ids[1]].kind)
      assert.truthy(errors[ids[1]].message:find "32 KiB")
      assert.is_nil(next(errors, ids[1]))
    end
  end)

  it("take headers of 1xx answers into account", function()
    local hint = "HTTP/1.1 103 Early Hints\r\nLink: " .. ("x"):rep(1000) .. "\r\n\r\n"
    p:raw("hints", hint:rep(80) .. "HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n{}")
    failure("protocol", helper.client():get_record "raw:hints")
  end)

  it("are 100 levels of nesting, record included", function()
    record(helper.client():get_record "deep:99")
    assert.equal("the answer nests deeper than 100 levels", refused("deep:100").message)
    refused "deep:5000"
    refused "deep:100000"
  end)

  it("are not a server's fault that another one could make good", function()
    refused("big:20000", { server = { p.cn.http, p.cn.backup }, max_response_bytes = 1000 })
    assert.same({ "cn_http" }, helper.column(p:requests(), "server"))
  end)

  it("leave the client usable", function()
    local client = helper.client { max_response_bytes = 10000, retry = false }
    for _, id in ipairs { "big:10001", "bomb:5000000", "headers:90000", "deep:101" } do
      failure("protocol", client:get_record(id))
      record(client:get_record "ok")
    end
  end)
end)

local helper = require "spec.helper"

local record, failure = helper.record, helper.failure

describe("TLS", function()
  local p

  setup(function() p = helper.start() end)
  teardown(helper.stop)
  before_each(function() p:forget() end)
  after_each(helper.close)

  -- One attempt, no request, no other server.
  local function refused(options)
    local err = failure("tls", helper.clocked(options):get_record "ok")
    assert.equal(1, #err.attempts)
    assert.is_false(err.retryable)
    assert.same({}, p:requests())
    assert.is_nil(err.http_status)
    assert.truthy(err.hint:find "ca_file")
    return err
  end

  it("is spoken with a server whose certificate verifies", function()
    record(helper.client({ server = p.cn.https }):get_record "ok")
    assert.same({ "cn_https" }, helper.column(p:requests(), "server"))
  end)

  it("accepts the name localhost where the certificate has it", function()
    record(helper.client({ server = p.cn.https:gsub("127%.0%.0%.1", "localhost") }):get_record "ok")
  end)

  it("refuses a certificate of another host", function() refused { server = p.tls.wrong_host } end)
  it("refuses a certificate that has expired", function() refused { server = p.tls.expired } end)
  it("refuses a certificate that signed itself", function() refused { server = p.tls.self_signed } end)

  it("refuses a certificate of an unknown authority", function()
    refused { server = p.cn.https, ca_file = p.dir .. "/certs/self_signed.pem" }
  end)

  it("trusts the system's authorities alone without ca_file", function()
    local aitoearn = require "aitoearn"
    local client = aitoearn.new { server = p.cn.https, api_key = p.cn.key, proxy = "" }
    failure("tls", client:get_record "ok")
    client:close()
    assert.same({}, p:requests())
  end)

  it("refuses a ca_file without a certificate in it", function()
    local err = failure("tls", helper.clocked({ server = p.cn.https, ca_file = "/etc/hostname" }):get_record "ok")
    assert.equal(1, #err.attempts)
    assert.truthy(err.hint:find "CA certificates cannot be read, or holds none")
    assert.same({}, p:requests())
  end)

  it("says which file is wrong where the client's certificate or its key cannot be used", function()
    local good, another = p.dir .. "/certs/good.pem", p.dir .. "/certs/expired.key"
    for _, given in ipairs {
      { cert_file = "/etc/hostname" }, { cert_file = good, key_file = "/etc/hostname" },
      { cert_file = good, key_file = another },
    } do
      given.server, given.ca_file = p.cn.https, p.ca_file
      local err = failure("tls", helper.clocked(given):get_record "ok")
      assert.truthy(err.hint:find "look at the options cert_file and key_file")
    end
    assert.same({}, p:requests())
  end)

  it("that fails at one endpoint is not tried at the next", function()
    refused { server = { p.tls.expired, p.cn.https }, ca_file = p.ca_file }
  end)

  it("that breaks off in the handshake is tried again", function()
    local err = failure("tls", helper.clocked({ server = p.web:gsub("^http", "https") }):get_record "ok")
    assert.same({ 3, true, nil }, { #err.attempts, err.retryable, err.hint })
  end)

  it("hands over nothing of a server that does not verify: the key stays here", function()
    for _, server in ipairs { p.tls.wrong_host, p.tls.expired, p.tls.self_signed } do
      local err = refused { server = server }
      assert.is_nil(err.body)
      assert.equal(server, err.server)
    end
  end)
end)

local helper = require "spec.helper"
local socket = require "socket"

local record, failure = helper.record, helper.failure

-- Plain ids that live on one site, on the other, on both.
local CN, INTL, BOTH = "c877a1b2c3d4e5f601234567", "e877a1b2c3d4e5f601234567", "6877a1b2c3d4e5f601234567"

describe("client:locate", function()
  local p, client

  setup(function() p = helper.start() end)
  teardown(helper.stop)
  after_each(helper.close)

  local function new(cn, intl, more)
    local options = {
      sites = {
        cn = { server = cn or p.cn.http, api_key = p.cn.key },
        intl = { server = intl or p.intl.http, api_key = p.intl.key },
      },
      site = "cn",
    }
    for name, value in pairs(more or {}) do options[name] = value end
    return helper.clocked(options)
  end

  before_each(function()
    p:forget()
    client = new()
  end)

  -- The servers asked since the last time.
  local function asked()
    local servers = helper.column(p:requests(), "server")
    p:forget()
    return servers
  end

  it("finds the site on which a record lives, with each site's own key", function()
    local found, site = client:locate(CN)
    assert.same({ CN, "cn" }, { record(found, site).id, site })
    assert.same({ "cn_http" }, asked())
    found, site = client:locate(INTL)
    assert.same({ INTL, "intl" }, { record(found, site).id, site })
    local requests = p:requests()
    assert.same({ "cn_http", "intl_http" }, helper.column(requests, "server"))
    assert.same({ p.cn.key, p.intl.key }, helper.column(requests, "api_key"))
  end)

  it("asks the default site first", function()
    local _, site = client:locate(BOTH)
    assert.equal("cn", site)
    local _, other = new(nil, nil, { site = "intl" }):locate(BOTH)
    assert.equal("intl", other)
    assert.same({ "cn_http", "intl_http" }, asked())
  end)

  it("remembers where a record lives", function()
    record(client:locate(INTL))
    asked()
    for _ = 1, 3 do
      local _, site = client:locate(INTL)
      assert.equal("intl", site)
    end
    assert.same({ "intl_http", "intl_http", "intl_http" }, asked())
  end)

  it("asks the other sites where a record does not live any more where it was", function()
    local id = helper.fresh "ok;code:15000"
    local _, site = client:locate(id)
    assert.equal("cn", site)
    asked()
    _, site = client:locate(id)
    assert.equal("intl", site)
    assert.same({ "cn_http", "intl_http" }, asked())
    _, site = client:locate(id)
    failure("api", nil, site)
  end)

  it("remembers the last 10,000 ids alone", function()
    for i = 1, 10000 do client.homes.ring[i], client.homes.sites["x" .. i] = "x" .. i, client.sites.cn end
    record(client:locate(INTL))
    local remembered = 0
    for _ in pairs(client.homes.sites) do remembered = remembered + 1 end
    assert.equal(10000, remembered)
    asked()
    record(client:locate(INTL))
    assert.same({ "intl_http" }, asked())
  end)

  it("says not found where every site says so", function()
    local err = failure("api", client:locate "code:15000")
    assert.same({ 15000, "cn" }, { err.code, err.site })
    assert.same({ "cn_http", "intl_http" }, asked())
  end)

  it("tells the first other error where one site could not say", function()
    local err = failure("connect", new(p.closed):locate(CN))
    assert.equal("cn", err.site)
    assert.same({ "intl_http" }, asked())
    err = failure("http", new(nil, nil, { retry = false }):locate "http:502")
    assert.equal("cn", err.site)
    err = failure("connect", new(nil, p.closed):locate(INTL))
    assert.same({ "intl", 3 }, { err.site, #err.attempts })
  end)

  it("finds a record on a site that works though another does not", function()
    local _, site = new(p.closed):locate(INTL)
    assert.equal("intl", site)
  end)

  it("does not take a wrong key for not found", function()
    client = helper.clocked {
      sites = {
        cn = { server = p.cn.http, api_key = p.intl.key }, intl = { server = p.intl.http, api_key = p.intl.key },
      },
      site = "cn",
    }
    assert.equal(401, failure("api", client:locate(CN)).code)
  end)

  it("asks nobody for an id that cannot be a record's", function()
    failure("argument", client:locate "queued")
    failure("argument", client:locate(nil))
    assert.same({}, asked())
  end)

  it("works with one site", function()
    local _, site = helper.client():locate(BOTH)
    assert.equal("default", site)
    assert.equal(15000, failure("api", helper.client():locate(INTL)).code)
  end)

  it("takes a call's options and refuses others", function()
    failure("timeout", client:locate("silent", { timeout = 0.1, retry = false }))
    assert.truthy(helper.raised(function() client:locate(CN, { tries = 1 }) end)
      :find "locate_spec.lua:%d+: tries: unknown option")
  end)

  it("refuses a site among its options, since it asks every one", function()
    for _, site in ipairs { "cn", "mars", false } do
      assert.truthy(helper.raised(function() client:locate(CN, { site = site }) end)
        :find "locate_spec.lua:%d+: site: locate asks every site$")
    end
    assert.truthy(helper.raised(function() client:start("locate", CN, { site = "cn" }) end)
      :find "locate_spec.lua:%d+: site: locate asks every site$")
  end)

  it("shares one deadline between all sites", function()
    local own, clock = new(nil, nil, { retry = { base = 0 } })
    -- 6 of 10 seconds are gone when the second site answers: the pause it asks for would end after the deadline.
    local began = clock.time
    local err = failure("api", own:locate(helper.fresh "code:15071:retry-after=6;code:15000", { deadline = 10 }))
    assert.same({ 15071, "intl" }, { err.code, err.site })
    assert.is_true(clock.time - began <= 10, "it took " .. clock.time - began .. " s")
    assert.same({ "cn_http", "cn_http", "intl_http" }, asked())
  end)

  it("asks no further site when its deadline has passed", function()
    local began = socket.gettime()
    local err = failure("timeout", new(nil, nil, { host = "blocking" }):locate(helper.fresh "silent", { deadline = 0.3 }))
    assert.same({ "cn", 1 }, { err.site, #err.attempts })
    assert.truthy(err.message:find "^the deadline of 0%.3 s passed")
    assert.is_true(socket.gettime() - began < 0.55)
    assert.same({ "cn_http" }, asked())
  end)

  it("ends at once when the client is closed", function()
    client:close()
    failure("closed", client:locate(CN))
    assert.same({}, asked())
  end)

  -- Its first site refuses connections, its second one keeps it waiting until `stop` is called.
  local function ended_by(stop)
    local own = new(p.closed, nil, { retry = false })
    local task = own:start("locate", helper.fresh "silent")
    local ends = socket.gettime() + 5
    while own:stats().attempts < 2 do
      assert(socket.gettime() < ends, "it never asks the second site")
      own:poll(0.02)
    end
    stop(own, task)
    while own:poll(0.02) > 0 do assert(socket.gettime() < ends, "it does not end") end
    return task:result()
  end

  it("says that it was cancelled, or its client closed, whatever an earlier site said", function()
    failure("cancelled", ended_by(function(_, task) task:cancel() end))
    failure("closed", ended_by(function(own) own:close() end))
  end)
end)

--- Whom the command asks and with which key: options, environment, configuration file; and which files it refuses.
local program = require "spec.command.program"
local shell = require "spec.platform.shell"

local run, has, has_not = program.run, program.has, program.has_not

describe("the configuration", function()
  local p, folder
  setup(function() p = program.start() end)
  before_each(function()
    p:forget()
    folder = program.folder {}
    shell.run("mkdir " .. folder .. "/aitoearn")
  end)
  after_each(function() shell.run("rm -rf " .. folder) end)
  teardown(program.stop)

  local function write(source, mode)
    shell.write(folder .. "/aitoearn/config.lua", source)
    assert(shell.run(("chmod %s %s/aitoearn/config.lua"):format(mode or "600", folder)))
  end

  --- Runs it with nothing in the environment but the configuration's folder and what is given.
  local function with(words, environment)
    local given = { AITOEARN_SERVER = false, AITOEARN_API_KEY = false, XDG_CONFIG_HOME = folder }
    for name, value in pairs(environment or {}) do given[name] = value end
    return run(words, given)
  end

  local function keys()
    local list = {}
    for i, request in ipairs(p:requests()) do list[i] = request.api_key end
    return list
  end

  local function of_cn(more)
    return ("return { server = %q, api_key = %q, %s }"):format(p.cn.http, p.cn.key, more or "")
  end

  it("is a table as for new, in XDG_CONFIG_HOME or ~/.config", function()
    write(of_cn "user_agent = 'of the file'")
    local output, status, errors = with "get ok --fields id"
    assert.same({ "ok\n", 0, "" }, { output, status, errors })
    assert.equal("of the file", p:requests()[1].user_agent)
    shell.run(("mkdir %s/.config && mv %s/aitoearn %s/.config"):format(folder, folder, folder))
    assert.equal("ok\n", with("get ok --fields id", { HOME = folder, XDG_CONFIG_HOME = false }))
    assert.equal("ok\n", with("get ok --fields id", { HOME = folder, XDG_CONFIG_HOME = "relative" }))
  end)

  it("gives way to the environment, and that to options", function()
    write(("return { server = %q, api_key = 'ak_of_the_file' }"):format(p.cn.http))
    with("get ok", { AITOEARN_API_KEY = "ak_of_the_environment" })
    shell.write(folder .. "/key", "ak_of_the_key_file\n")
    with("get ok --key-file " .. folder .. "/key", { AITOEARN_API_KEY = "ak_of_the_environment" })
    assert.same({ "ak_of_the_environment", "ak_of_the_key_file" }, keys())
    p:forget()
    with("get ok", { AITOEARN_SERVER = p.cn.backup, AITOEARN_API_KEY = p.cn.key })
    with("get ok --server " .. p.intl.http, { AITOEARN_SERVER = p.cn.backup, AITOEARN_API_KEY = p.cn.key })
    local requests = p:requests()
    assert.same({ "cn_backup", "intl_http" }, { requests[1].server, requests[2].server })
  end)

  describe("with a key", function()
    it("keeps it from another server that an option or the environment names", function()
      write(of_cn "headers = { Authorization = 'Bearer secret' }")
      for _, given in ipairs { { "get ok --server " .. p.intl.http, {} }, { "get ok", { AITOEARN_SERVER = p.intl.http } } } do
        local output, status, errors = with(given[1], given[2])
        assert.same({ "", 4 }, { output, status })
        has(errors, "no key for this server", "AITOEARN_API_KEY", "--key-file")
        has_not(errors, p.cn.key)
      end
      assert.same({}, p:requests())
      with("get ok --server " .. p.intl.http, { AITOEARN_API_KEY = p.intl.key })
      assert.same({ p.intl.key }, keys())
    end)

    it("uses it for its own server, however that is written", function()
      write(of_cn())
      local output, status = with("get ok --fields id --server " .. p.cn.http:upper():gsub("^HTTP", "http") .. "/")
      assert.same({ "ok\n", 0 }, { output, status })
    end)

    it("uses each of several sites' keys for that site alone", function()
      write(("return { site = 'a', sites = { a = { server = %q, api_key = %q }, b = { server = %q, api_key = %q } } }"):format(
        p.cn.http, p.cn.key, p.intl.http, p.intl.key))
      with "get ok"
      with "get ok --site b"
      with("get ok --server " .. p.intl.http)
      with("get ok --site b", { AITOEARN_SERVER = p.cn.http })
      assert.same({ p.cn.key, p.intl.key, p.intl.key, p.intl.key }, keys())
      local _, status, errors = with "get ok --site c"
      assert.equal(2, status)
      has(errors, "site")
      p:forget()
      with("get ok", { AITOEARN_API_KEY = "ak_for_nobody_knows_which" })
      assert.same({ p.cn.key }, keys())
    end)

    for mode, problem in pairs {
      ["640"] = "others may read it", ["604"] = "others may read it", ["620"] = "others may write it",
      ["602"] = "others may write it", ["666"] = "others may write it",
    } do
      it("is refused where its mode is " .. mode, function()
        write(of_cn(), mode)
        local output, status, errors = with "get ok"
        assert.same({ "", 2 }, { output, status })
        has(errors, "config.lua: ", problem, "chmod go-rwx '" .. folder)
        has_not(errors, p.cn.key)
        assert.same({}, p:requests())
      end)
    end

    it("is not run where it is another user's", function()
      write(of_cn())
      local is_root = shell.run "id -u" == "0"
      if is_root then
        assert(shell.run("chown 65534 " .. folder .. "/aitoearn/config.lua"))
        local _, status, errors = with "get ok"
        assert.equal(2, status)
        has(errors, "another user's")
      else -- a file of root's that anybody may read stands in for it
        shell.run(("ln -sf /etc/hostname %s/aitoearn/config.lua"):format(folder))
        local _, status, errors = with "get ok"
        assert.equal(2, status)
        has(errors, "another user's")
      end
    end)
  end)

  it("may be read by others where it holds no key", function()
    write(("return { server = %q }"):format(p.cn.http), "644")
    local output, status = with("get ok --fields id", { AITOEARN_API_KEY = p.cn.key })
    assert.same({ "ok\n", 0 }, { output, status })
  end)

  for what, case in pairs {
    ["code that needs anything"] = { "return { user_agent = os.getenv 'HOME' }", "config.lua:1: " },
    ["what is no Lua"] = { "return {", "config.lua:1: " },
    ["a string without an end"] = { "return { api_key = 'ak_0123456789, }", "config.lua:1: unfinished string" },
    ["bytecode"] = { string.dump(function() return {} end), "config.lua" },
    ["no table"] = { "return 1", "returns no table" },
    ["an unknown option"] = { "return { api_key = 'ak_0123456789', colour = 1 }", "colour" },
    ["a wrong value"] = { "return { api_key = 'ak_0123456789', timeout = 'long' }", "timeout" },
  } do
    it("ends with 2 on " .. what, function()
      write(case[1])
      local output, status, errors = with "get ok"
      assert.same({ "", 2 }, { output, status })
      has(errors, case[2], "config.lua")
      has_not(errors, "traceback", "ak_0123456789")
    end)
  end

  it("is not needed; without any key the status is 4", function()
    local output, status, errors = with "get ok"
    assert.same({ "", 4 }, { output, status })
    has(errors, "no key", "AITOEARN_API_KEY")
    local _, other = with("get ok --key-file /dev/null")
    assert.equal(4, other)
  end)

  it("says so before anybody types an id", function()
    local _, status = with "get -"
    assert.equal(4, status)
  end)
end)

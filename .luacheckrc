std = "max" -- one source for Lua 5.1 to 5.4 and LuaJIT
max_line_length = 128

-- The hosts, and who finds out which one it is.
files["lua/aitoearn/client.lua"] = { read_globals = { "ngx", "vim" } }
files["lua/aitoearn/host/nginx.lua"] = {
  std = "+ngx_lua",
  read_globals = { ngx = { fields = { "run_worker_thread" } } }, -- younger than what luacheck knows
}
files["lua/aitoearn/host/nginx_pump.lua"] = { std = "+ngx_lua" }
files["lua/aitoearn/share"] = { std = "+ngx_lua" }
files["lua/aitoearn/host/luv.lua"] = { read_globals = { "vim" } }

files["spec"] = { std = "+busted" }
files["spec/host"] = { std = "+ngx_lua", read_globals = { "vim" } }
files["spec/platform/server"] = { std = "+ngx_lua" }

files["examples"] = { std = "+ngx_lua", read_globals = { "vim" }, globals = { "love" } }
files["examples/testing/*_spec.lua"] = { std = "+busted" }

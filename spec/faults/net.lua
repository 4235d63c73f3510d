--- What breaks the network: packet filters, slow lines, name servers. All of it inside of the namespaces that run.lua
-- has made, which end with the run: a private loopback, and a private view of /etc.
-- @module spec.faults.net
local shell = require "spec.platform.shell"

local M = {}

local PATH = 'PATH="$PATH:/usr/sbin:/sbin"; '

local function run(command)
  return assert(shell.run(PATH .. command))
end

--- Drops (or rejects) packets that match an nftables expression such as `tcp dport 80`; `repair` undoes it.
---@param ... string expressions
function M.filter(...)
  M.repair()
  local lines = { "table inet faults {", "chain out {", "type filter hook output priority 0" }
  for _, expression in ipairs { ... } do
    lines[#lines + 1] = expression .. (expression:find "reject" and "" or " drop")
  end
  lines[#lines + 1] = "}\n}"
  run("nft -f - <<'END'\n" .. table.concat(lines, "\n") .. "\nEND")
end

--- The same some seconds from now, while the caller goes on; undone after another number of seconds, if given.
function M.filter_later(seconds, expression, for_seconds)
  local undo = for_seconds and ("sleep %g; nft delete table inet faults;"):format(for_seconds) or ""
  run(("{ sleep %g; nft 'add table inet faults; add chain inet faults out { type filter hook output priority 0; }; "
    .. "add rule inet faults out %s drop'; %s } </dev/null >/dev/null 2>&1 &"):format(seconds, expression, undo))
end

--- All packets pass again, at full speed.
function M.repair()
  shell.run(PATH .. "nft delete table inet faults; tc qdisc del dev lo root; ip link set lo mtu 65536")
end

--- Every packet is late: by tc's netem, or where the kernel has none, by a line of 64 kbit/s.
---@return string what was done
function M.slow()
  M.repair()
  if shell.run(PATH .. "tc qdisc add dev lo root netem delay 60ms") then
    return "netem delay 60ms"
  end
  run "ip link set lo mtu 1280; tc qdisc add dev lo root tbf rate 64kbit burst 1400 latency 5s"
  return "tbf rate 64kbit (this kernel has no netem)"
end

--- Lets names be resolved by the name server of peers.lua, at port 53 of the private network.
function M.name_server()
  shell.write("/etc/resolv.conf", "nameserver 127.0.0.1\noptions timeout:1 attempts:2\n")
end

--- Two more addresses of this machine. getaddrinfo puts 127.0.0.1 before any other loopback address, so with that one
-- a dead address never comes first.
function M.addresses()
  run "ip addr add 10.1.1.1/32 dev lo; ip addr add 10.1.1.2/32 dev lo"
end

--- The local ports of the connections to a port.
---@param port integer
---@return integer[]
function M.local_ports(port)
  local ports = {}
  for line in io.lines "/proc/net/tcp" do
    local own, peer, state = line:match "^%s*%d+: %x+:(%x+) %x+:(%x+) (%x+)"
    if state == "01" and tonumber(peer, 16) == port then
      ports[#ports + 1] = tonumber(own, 16)
    end
  end
  return ports
end

return M

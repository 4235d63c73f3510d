--- `make faults`: the matrix of faults and points of a call, each made for real, each end held against what it must be.
--
--    lua spec/faults/run.lua [--readme FILE]
--
-- It makes namespaces of its own (network, mounts, processes) with unshare, as root, or as another user where the system
-- lets users do so. The kernel removes them, and whatever runs in them, with this process. Where they cannot be made
-- the run fails; FAULTS_WITHOUT_NAMESPACE=1 leaves out what needs them, and says so. FAULTS_ONLY=words runs the cases whose
-- name holds them. `--readme` puts the table between that file's marks `<!-- faults -->` and `<!-- /faults -->`.
local shell = require "spec.platform.shell"

local INSIDE = "AITOEARN_FAULTS_INSIDE"
local lua = arg[-1]
for i = -2, -20, -1 do
  lua = arg[i] or lua
end

local function words(list)
  local quoted = {}
  for i, word in ipairs(list) do
    quoted[i] = shell.quote(word)
  end
  return table.concat(quoted, " ")
end

--- The command that runs another one in namespaces of its own.
local function unshare()
  local command = "unshare --net --mount --pid --fork --kill-child --mount-proc "
  for _, prefix in ipairs { command, command .. "--map-root-user " } do
    if shell.run(prefix .. "true") then
      return prefix
    end
  end
end

local function fail(message)
  io.stderr:write("faults: ", message, "\n")
  os.exit(1)
end

local function needed(program)
  if not shell.run('PATH="$PATH:/usr/sbin:/sbin"; command -v ' .. program) then
    fail(program .. " is missing (Debian: iproute2, nftables, util-linux)")
  end
end

local function enter()
  for _, program in ipairs { "unshare", "ip", "tc", "nft" } do
    needed(program)
  end
  local prefix = unshare()
  if not prefix then
    fail "no namespaces of its own: run it as root (FAULTS_WITHOUT_NAMESPACE=1 leaves out what needs them)"
  end
  local script = 'export PATH="$PATH:/usr/sbin:/sbin"; ip link set lo up && mount -t tmpfs none /run && '
    .. 'touch /run/resolv.conf && mount --bind /run/resolv.conf "$(readlink -f /etc/resolv.conf)" && '
    .. 'echo "hosts: files dns" >/run/nsswitch.conf && mount --bind /run/nsswitch.conf /etc/nsswitch.conf && exec '
  local status = os.execute(("%s=1 %ssh -c %s"):format(INSIDE, prefix,
    shell.quote(script .. words { lua, arg[0], (table.unpack or unpack)(arg) }))) -- luacheck: ignore 143
  os.exit((status == true or status == 0) and 0 or 1)
end

local is_inside = os.getenv(INSIDE) ~= nil
if not is_inside and os.getenv "FAULTS_WITHOUT_NAMESPACE" ~= "1" then
  enter()
end
local readme = arg[1] == "--readme" and arg[2]
os.exit(require("spec.faults.matrix")(lua, is_inside, readme) and 0 or 1)

#!/bin/sh
# Builds the checkout, runs its specs and the demo inside a bare Debian, as root: run.sh SUITE FOLDER
# The system is made by debootstrap where FOLDER has none yet, and used again by the next run. Each Lua is tried for
# which the suite's lua-cjson and busted are made; LUAS names others, SPEC the specs.
set -eu

# What is mounted below is mounted for this run alone, and goes with it however it ends.
test -n "${IN_OWN_MOUNTS-}" || IN_OWN_MOUNTS=1 exec unshare --mount "$0" "$@"

suite=$1 folder=$2
mirror=${MIRROR:-http://deb.debian.org/debian}
packages='gcc make pkg-config libcurl4-openssl-dev lua-cjson lua-busted lua-socket lua-argparse
  nginx libnginx-mod-http-lua openssl curl tinyproxy-bin procps iproute2 ca-certificates'

inside() {
  chroot "$folder" env -i HOME=/root PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin LANG=C.UTF-8 \
    DEBIAN_FRONTEND=noninteractive SYSTEMD_OFFLINE=1 RUNLEVEL=1 "$@"
}

install() {
  inside apt-get -qq -o Dpkg::Use-Pty=0 install -y --no-install-recommends "$@" </dev/null
}

mkdir -p "$folder"
test -e "$folder/etc/debian_version" || debootstrap --variant=minbase "$suite" "$folder" "$mirror"
mount -t proc proc "$folder/proc"
mount --rbind /dev "$folder/dev"
if ! test -e "$folder/.made"; then
  # Keeps services from starting while their packages are installed.
  printf '#!/bin/sh\nexit 101\n' >"$folder/usr/sbin/policy-rc.d"
  chmod +x "$folder/usr/sbin/policy-rc.d"
  # MIRROR may be a snapshot, whose lists have run out; that they are signed is checked all the same.
  printf 'APT::Sandbox::User "root";\nAcquire::Check-Valid-Until "false";\n' >"$folder/etc/apt/apt.conf.d/90specs"
  inside apt-get -qq update
  # shellcheck disable=SC2086 # a list
  install $packages
  for version in 5.1 5.2 5.3 5.4; do
    install "lua$version" "liblua$version-dev" || echo "$suite has no Lua $version"
  done
  printf '127.0.0.1 localhost\n::1 localhost\n' >"$folder/etc/hosts"
  touch "$folder/.made"
fi

rm -rf "$folder/root/aitoearn"
mkdir -p "$folder/root/aitoearn"
git ls-files -z --cached --others --exclude-standard | xargs -0 tar -c --ignore-failed-read -f - |
  tar -x -C "$folder/root/aitoearn"
tried=''
for version in ${LUAS-5.4 5.3 5.2 5.1}; do
  inside "lua$version" -e 'require "cjson" require "busted"' >/dev/null 2>&1 || continue
  tried="$tried $version"
  echo "== $suite, Lua $version"
  inside make -C /root/aitoearn WERROR=1 LUA_VERSION="$version" ${SPEC:+SPEC="$SPEC"} all test demo
done
test -n "$tried" || { echo "$suite: no Lua has lua-cjson and busted" >&2; exit 1; }
echo "$suite: Lua$tried"

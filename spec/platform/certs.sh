#!/bin/sh
# Prints the folder that holds the test CA and the certificates, making them first where they are missing.
# One folder a user and day, built beside its final name and renamed, so that parallel runs never see half of it.
set -eu

base=${XDG_CACHE_HOME:-${TMPDIR:-/tmp}}/aitoearn-platform-certs-$(id -u)
final=$base/$(date -u +%Y%m%d)-2

[ -d "$base" ] || mkdir -p -m 700 "$base"
[ -O "$base" ] && [ ! -L "$base" ] || { echo "$base belongs to somebody else" >&2; exit 1; }
chmod 700 "$base"
if [ -f "$final/self_signed.pem" ]; then echo "$final"; exit 0; fi

work=$(mktemp -d "$base/build.XXXXXX")
trap 'rm -rf "$work"' EXIT
cd "$work"
find "$base" -mindepth 1 -maxdepth 1 -mtime +2 -exec rm -rf {} +

key() { openssl ecparam -name prime256v1 -genkey -noout -out "$1.key"; }

local_names="IP:127.0.0.1,IP:::1,DNS:localhost"
day() { date -u -d "$1 days" +%Y%m%d%H%M%SZ 2>/dev/null || date -u -v"$1"d +%Y%m%d%H%M%SZ; }

# leaf NAME SUBJECT-ALTERNATIVE-NAMES FIRST-DAY LAST-DAY [USAGE] (in days from now)
leaf() {
  key "$1"
  openssl req -new -key "$1.key" -subj "/CN=aitoearn test server" -out "$1.csr"
  printf 'basicConstraints=CA:FALSE\nextendedKeyUsage=%s\nsubjectAltName=%s\n' "${5:-serverAuth}" "$2" > "$1.ext"
  openssl ca -batch -notext -config ca.conf -in "$1.csr" -out "$1.pem" \
    -extfile "$1.ext" -startdate "$(day "$3")" -enddate "$(day "$4")"
}

{
  cat > ca.conf <<CONF
[ca]
default_ca = test
[test]
database = index.txt
serial = serial
new_certs_dir = .
certificate = ca.pem
private_key = ca.key
default_md = sha256
policy = any
unique_subject = no
[any]
commonName = supplied
[req]
distinguished_name = none
[none]
[v3_ca]
basicConstraints = critical,CA:TRUE
keyUsage = critical,keyCertSign,cRLSign
subjectKeyIdentifier = hash
CONF
  : > index.txt
  echo 01 > serial
  key ca
  openssl req -x509 -new -key ca.key -config ca.conf -extensions v3_ca \
    -subj "/CN=aitoearn test CA" -days 4 -out ca.pem
  leaf good "$local_names" -1 +4
  leaf wrong_host DNS:wrong.example -1 +4
  leaf client DNS:client.example -1 +4 clientAuth
  leaf expired "$local_names" -3 -1
  key self_signed
  openssl req -x509 -new -key self_signed.key -config ca.conf -subj "/CN=localhost" \
    -addext "subjectAltName=$local_names" -days 4 -out self_signed.pem
} > log 2>&1 || { cat log >&2; exit 1; }

rm -f ca.key ca.conf ./*.csr ./*.ext index.txt* serial* [0-9]*.pem log
mv -T "$work" "$final" 2>/dev/null || [ -f "$final/self_signed.pem" ]
echo "$final"

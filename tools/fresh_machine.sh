#!/usr/bin/env bash
# Proves the two commands on a bare machine: debootstraps a minimal Debian 12 into a folder, clones this repository into it and
# runs ./dev test (or the command given). Needs root and the package debootstrap.
#
#   tools/fresh_machine.sh [FOLDER [COMMAND...]]        default: a temporary folder, ./dev test
set -euo pipefail
cd "$(dirname "$0")/.."
[ "$(id -u)" = 0 ] || { echo "run as root: debootstrap and chroot need it" >&2; exit 2; }
command -v debootstrap >/dev/null || { echo "install debootstrap first" >&2; exit 2; }
root=${1:-$(mktemp -d)/bare}
shift || true
[ $# -gt 0 ] || set -- ./dev test

mirror=$(sed -nE 's/^(deb|URIs:) +(\[[^]]*\] +)?([^ ]+).*/\3/p' /etc/apt/sources.list /etc/apt/sources.list.d/* 2>/dev/null | head -1 || true)
marker=$root/etc/lithe-fresh-machine  # a folder that is somebody's system is left alone
[ ! -e "$root" ] || [ -e "$marker" ] || { echo "$root is there and is none of this script's machines" >&2; exit 2; }
[ -e "$marker" ] || debootstrap --variant=minbase --include=ca-certificates bookworm "$root" ${mirror:+"$mirror"}
touch "$marker"

# what this machine needs to reach its mirrors, the other must know too
cp -L --remove-destination /etc/ssl/certs/ca-certificates.crt "$root/etc/ssl/certs/ca-certificates.crt"
cp -L --remove-destination /etc/resolv.conf /etc/hosts "$root/etc/"
cp -rL /etc/apt/apt.conf.d/. "$root/etc/apt/apt.conf.d/"
for folder in proc dev; do mountpoint -q "$root/$folder" || mount --rbind "/$folder" "$root/$folder"; done
trap 'umount -lR "$root/proc" "$root/dev" 2>/dev/null || true' EXIT

rm -rf "$root/lithe"
git clone -q . "$root/lithe"
settings=$(env | grep -E '^(PIP_|http_proxy|https_proxy|no_proxy|HTTP_PROXY|HTTPS_PROXY|NO_PROXY|SSL_CERT_)' || true)
mapfile -t settings <<< "$settings"
time chroot "$root" /usr/bin/env -i HOME=/root PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin LANG=C.UTF-8 \
  "${settings[@]}" /bin/bash -c 'cd /lithe && "$@"' bash "$@"

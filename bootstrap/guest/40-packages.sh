# Ensures that ssh, avahi, the guest agent and sudo are there
# SPDX-License-Identifier: LGPL-2.1-or-later
set -eu
PATH=${PATH:-/bin}:/usr/sbin:/usr/bin:/sbin:/bin

# for later steps too; written without a program, since most often nothing is missing
[ -d /usr/local/lib/ramet ] || mkdir -p /usr/local/lib/ramet
while IFS= read -r line; do printf '%s\n' "$line"; done >/usr/local/lib/ramet/install-packages <<'END'
# Installs packages by whichever package manager is here: install-packages [--bare] NAME...
# SPDX-License-Identifier: LGPL-2.1-or-later
set -euf
PATH=${PATH:-/bin}:/usr/sbin:/usr/bin:/sbin:/bin
export DEBIAN_FRONTEND=noninteractive UCF_FORCE_CONFFOLD=1 NEEDRESTART_MODE=a

bare=
[ "${1-}" != --bare ] || { bare=1; shift; }
for name; do
  case $name in
  -*) echo "'$name' is not the name of a package" >&2; exit 1 ;;
  esac
done
[ $# -gt 0 ] || exit 0

# A guest early in its boot has no network yet. Any route will do: the packages may come from the same link.
tries=0
while [ $tries -lt 60 ]; do
  { read -r _ && read -r _; } </proc/net/route && break
  tries=$((tries + 1))
  sleep 1
done

# name servers come a little later than the route, and another apt may be busy with its lists
insist() {
  tries=1
  while :; do
    "$@" </dev/null && return
    [ $tries -lt 4 ] || return 1
    echo "trying again: $1" >&2
    sleep $((tries * 2))
    tries=$((tries + 1))
  done
}

if command -v apt-get >/dev/null; then
  manager=apt-get
  insist apt-get -q -o APT::Update::Error-Mode=any update &&
    apt-get -q -y -o DPkg::Lock::Timeout=300 -o Acquire::Retries=3 -o Dpkg::Options::=--force-confdef \
      -o Dpkg::Options::=--force-confold ${bare:+--no-install-recommends} install -- "$@" </dev/null
elif command -v dnf >/dev/null; then
  manager=dnf
  insist dnf -q -y ${bare:+--setopt=install_weak_deps=False} install -- "$@"
elif command -v yum >/dev/null; then
  manager=yum
  insist yum -q -y install -- "$@"
elif command -v zypper >/dev/null; then
  manager=zypper
  insist zypper --non-interactive --quiet refresh &&
    zypper --non-interactive --quiet install --auto-agree-with-licenses ${bare:+--no-recommends} -- "$@" </dev/null
elif command -v apk >/dev/null; then
  manager=apk
  insist apk update -q && apk add -q -- "$@" </dev/null
elif command -v pacman >/dev/null; then
  manager=pacman
  insist pacman -Sy --noconfirm --quiet && pacman -S --noconfirm --needed --quiet -- "$@" </dev/null
else
  manager=
  echo "no package manager is known here" >&2
  false
fi || { echo "cannot install: $*${manager:+ ($manager says why above)}" >&2; exit 1; }
END

missing=
command -v sshd >/dev/null || missing="$missing sshd"
command -v avahi-daemon >/dev/null || missing="$missing avahi"
command -v qemu-ga >/dev/null || missing="$missing agent"
command -v sudo >/dev/null || missing="$missing sudo"
# names of other guests; musl knows no such modules
mdns=
for file in /lib/*/libnss_mdns* /lib64/libnss_mdns* /usr/lib64/libnss_mdns* /usr/lib/libnss_mdns* /usr/lib/*/libnss_mdns* \
  /lib/ld-musl-*; do
  [ ! -e "$file" ] || { mdns=1; break; }
done
[ -n "$mdns" ] || missing="$missing mdns"

[ -n "$missing" ] || exit 0
echo "missing:$missing"

if command -v apt-get >/dev/null; then
  names='openssh-server avahi-daemon libnss-mdns'
elif command -v dnf >/dev/null || command -v yum >/dev/null; then
  names='openssh-server avahi nss-mdns'
elif command -v apk >/dev/null; then
  names='openssh avahi'
else
  names='openssh avahi nss-mdns'
fi
# shellcheck disable=SC2086
set -- $names
packages=
for item in $missing; do
  case $item in
  sshd) packages="$packages $1" ;;
  avahi) packages="$packages $2" ;;
  mdns) packages="$packages ${3-}" ;;
  agent) packages="$packages qemu-guest-agent" ;;
  sudo) packages="$packages sudo" ;;
  esac
done
# shellcheck disable=SC2086
exec sh /usr/local/lib/ramet/install-packages --bare $packages

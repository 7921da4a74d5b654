# Ensures the host name and its place in /etc/hosts
# SPDX-License-Identifier: LGPL-2.1-or-later
set -eu

name=$RAMET_HOSTNAME
case $name in
'' | -* | *- | *[!a-zA-Z0-9-]*) echo "'$name' is not a host name" >&2; exit 1 ;;
esac

old=
read -r old </proc/sys/kernel/hostname || :
if [ "$old" != "$name" ]; then
  # /proc/sys is read-only in some containers
  { echo "$name" >/proc/sys/kernel/hostname; } 2>/dev/null || hostname "$name"
fi
# a link here would lead to another distribution's file of the same content (openSUSE's /etc/HOSTNAME)
echo "$name" >/etc/hostname
[ ! -f /etc/HOSTNAME ] || [ -L /etc/HOSTNAME ] || echo "$name" >/etc/HOSTNAME
[ ! -f /etc/conf.d/hostname ] || echo "hostname=\"$name\"" >/etc/conf.d/hostname

text='' found=''
if [ -f /etc/hosts ]; then
  while read -r line || [ -n "$line" ]; do
    case $line in
    127.0.1.1[!0-9]*) [ -z "$found" ] || continue; found=1 line="127.0.1.1	$name" ;;
    esac
    text="$text$line
"
  done </etc/hosts
else
  text='127.0.0.1	localhost
::1	localhost ip6-localhost ip6-loopback
'
fi
[ -n "$found" ] || text="${text}127.0.1.1	$name
"
printf %s "$text" >/etc/hosts

# cloud-init, where a cloud image is the base, would put back a name and keys of its own
if [ -d /etc/cloud/cloud.cfg.d ]; then
  printf '%s\n' 'preserve_hostname: true' 'manage_etc_hosts: false' 'ssh_deletekeys: false' \
    >/etc/cloud/cloud.cfg.d/99-ramet.cfg
fi

# avahi's own idea of the name would win
if [ -f /etc/avahi/avahi-daemon.conf ]; then
  while read -r line; do
    case $line in
    host-name=*) sed -i 's/^ *host-name=/#&/' /etc/avahi/avahi-daemon.conf; break ;;
    esac
  done </etc/avahi/avahi-daemon.conf
fi

# avahi writes its pid before it reads the name: without a pid it will read the new one by itself
pid=
[ ! -r /run/avahi-daemon/pid ] || read -r pid </run/avahi-daemon/pid || :
if [ -n "$pid" ] && [ -d "/proc/$pid" ] && [ "$old" != "$name" ]; then
  service=org.freedesktop.Avahi
  # fails when avahi has the name already, so its word alone proves nothing; a restart always helps
  busctl call $service / $service.Server SetHostName s "$name" >/dev/null 2>&1 ||
    avahi-set-host-name "$name" >/dev/null 2>&1 ||
    dbus-send --system --print-reply --dest=$service / $service.Server.SetHostName "string:$name" >/dev/null 2>&1 ||
    systemctl --no-block try-restart avahi-daemon.service 2>/dev/null ||
    rc-service -i avahi-daemon restart >/dev/null 2>&1 ||
    service avahi-daemon restart >/dev/null 2>&1 ||
    echo "avahi keeps its old name until it is restarted" >&2
fi

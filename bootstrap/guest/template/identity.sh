# Ensures that a guest gone on from saved memory is somebody
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# For a clone of a template: template/quiet.sh has made nobody of it. It runs through the agent, before the links are up, as one
# script with 10-hostname.sh behind it, which tells the name to whom it concerns. What costs a process in the guest is only done
# where nothing else does it.
# RAMET_MACHINE_ID and RAMET_SEED as ever; RAMET_MAC; RAMET_HOST_KEY and RAMET_HOST_KEY_PUBLIC: an ed25519 key as OpenSSH writes
# it; RAMET_TIME: seconds since 1970, or empty; RAMET_ADDRESS: like 192.168.122.7/24, or empty, for what gives out addresses to
# give it one. Prints "clock REASON", with a tab, if the time could not be set.
set -eu
umask 022
PATH=${PATH:-/bin}:/usr/sbin:/usr/bin:/sbin:/bin
tab='	'

id=$RAMET_MACHINE_ID mac=$RAMET_MAC address=${RAMET_ADDRESS-} time=${RAMET_TIME-}
case ${#id}$id in
32*[!0-9a-f]*) echo "'$id' is not a machine id" >&2; exit 1 ;;
32*) ;;
*) echo "'$id' is not a machine id: not 32 digits" >&2; exit 1 ;;
esac
case $mac in
[0-9a-f][0-9a-f]:[0-9a-f][0-9a-f]:[0-9a-f][0-9a-f]:[0-9a-f][0-9a-f]:[0-9a-f][0-9a-f]:[0-9a-f][0-9a-f]) ;;
*) echo "'$mac' is not a MAC address" >&2; exit 1 ;;
esac
case $address in
*[!0-9./]*) echo "'$address' is not an address" >&2; exit 1 ;;
'' | */*) ;;
*) echo "'$address' is not an address: it has no length of its network" >&2; exit 1 ;;
esac
case $time in
*[!0-9.]*) echo "'$time' is not a time" >&2; exit 1 ;;
esac
case $RAMET_HOST_KEY in
'-----BEGIN OPENSSH PRIVATE KEY-----'*) ;;
*) echo "that is no ssh host key" >&2; exit 1 ;;
esac
case $RAMET_HOST_KEY_PUBLIC in
'ssh-ed25519 '*) ;;
*) echo "that is no public part of an ssh host key" >&2; exit 1 ;;
esac
[ -n "$RAMET_SEED" ] || { echo "there is no seed" >&2; exit 1; }

# Before anything is drawn. What is written is mixed in; only the kernel's own notice, or the calls for it, make that count at
# once. A driver hears nothing without its device, which a VM has that has a generation id.
echo "$RAMET_SEED" >/dev/urandom
notices=''
for device in /sys/bus/acpi/drivers/vmgenid/*:* /sys/bus/platform/drivers/vmgenid/*:*; do
  [ ! -e "$device" ] || notices=1
done
if [ -z "$notices" ]; then
  # RNDADDENTROPY, then RNDRESEEDCRNG: kernels of before 5.18 do nothing at the second, and do not say so, unless they were
  # given enough by the first
  perl -e 'my $s = $ENV{RAMET_SEED}; my $given = pack ("iia*", 256, length $s, $s);
    open (R, "+<", "/dev/urandom") && ioctl (R, 0x40085203, $given) && ioctl (R, 0x5207, 0) || die "$!\n"' 2>/dev/null ||
    python3 -c 'import fcntl, os, struct
s = os.environ["RAMET_SEED"].encode ()
r = open ("/dev/urandom", "wb")
fcntl.ioctl (r, 0x40085203, struct.pack ("ii", 256, len (s)) + s)
fcntl.ioctl (r, 0x5207)' 2>/dev/null ||
    { echo "the kernel's random numbers cannot be made new" >&2; exit 1; }
fi

# before files are written, whose times would be of long ago
if [ -n "$time" ]; then
  # some know no fractions
  date -u -s "@$time" >/dev/null 2>&1 || why=$(date -u -s "@${time%.*}" 2>&1 >/dev/null) || echo "clock$tab$why"
fi

echo "$id" >/etc/machine-id
[ ! -d /var/lib/dbus ] || [ /var/lib/dbus/machine-id -ef /etc/machine-id ] || echo "$id" >/var/lib/dbus/machine-id

# sshd reads them anew for each connection. Of a VM that ran there are some, and all that it has are its own.
for file in /etc/ssh/ssh_host_*; do
  [ ! -e "$file" ] && [ ! -L "$file" ] || { rm -f /etc/ssh/ssh_host_*; break; }
done
umask 077
printf '%s\n' "$RAMET_HOST_KEY" >/etc/ssh/ssh_host_ed25519_key
for file in /var/lib/systemd /var/lib/urandom; do
  [ ! -d $file ] || echo "$RAMET_SEED" >$file/random-seed
done
umask 022
printf '%s\n' "$RAMET_HOST_KEY_PUBLIC" >/etc/ssh/ssh_host_ed25519_key.pub
[ ! -e /sys/fs/selinux/enforce ] || restorecon -F /etc/ssh/ssh_host_* /etc/machine-id 2>/dev/null || :

# Down first: an IPv6 address made of the old MAC would stay. The link outside is still out, so nobody is asked for anything.
device=
for dir in /sys/class/net/*; do
  [ -e "$dir/device" ] || continue
  [ -z "$device" ] || { echo "there is more than one network interface" >&2; exit 1; }
  device=${dir##*/}
done
[ -n "$device" ] || { echo "there is no network interface" >&2; exit 1; }
# one process where it can be had
ip -batch - 2>/dev/null <<END ||
link set dev $device down
link set dev $device address $mac
${address:+addr add $address brd + dev $device}
link set dev $device up
END
  {
    ip link set dev "$device" down
    ip link set dev "$device" address "$mac"
    [ -z "$address" ] || ip addr add "$address" brd + dev "$device" 2>/dev/null ||
      ip addr show dev "$device" | grep -qF " $address "
    ip link set dev "$device" up
  }
now=
read -r now <"/sys/class/net/$device/address" || :
[ "$now" = "$mac" ] || { echo "the network interface '$device' keeps its old MAC address: $now" >&2; exit 1; }

# Journals lie in a folder named after the machine id, which journald reads only when it starts; what it has open moves along. That
# takes it a second of an emulated processor, so it comes later, when nobody waits for this guest or for one beside it.
(
  exec >/dev/null 2>&1 </dev/null
  sleep 5
  moved=
  for dir in /run/log/journal/* /var/log/journal/*; do
    name=${dir##*/}
    [ ${#name} = 32 ] && [ -d "$dir" ] && [ ! -e "${dir%/*}/$id" ] || continue
    mv "$dir" "${dir%/*}/$id" && moved=1
  done
  [ -n "$moved" ] || exit 0
  sleep 55
  systemctl restart systemd-journald.service
) &

[ -d /var/lib/ramet ] || mkdir -p /var/lib/ramet
echo "$id" >/var/lib/ramet/identity

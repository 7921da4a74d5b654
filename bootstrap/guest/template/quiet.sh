# Ensures a guest at rest that is nobody yet, to be saved
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# For a clone that becomes a template: what its clones share is to be in memory, warm, and what makes one of them is to be
# gone. Its links are down when this runs, and it never boots again; template/identity.sh makes somebody of each of its clones.
# RAMET_USER may be empty. What goes without saying why not is printed; where a clone could not be safe it fails.
set -eu
PATH=${PATH:-/bin}:/usr/sbin:/usr/bin:/sbin:/bin
key=/etc/ssh/ssh_host_ed25519_key

# Clones must not draw the same random numbers: either the kernel hears that it goes on elsewhere, or it can be told.
notices=''
for device in /sys/bus/acpi/drivers/vmgenid/*:* /sys/bus/platform/drivers/vmgenid/*:*; do
  [ ! -e "$device" ] || notices=1
done
[ -n "$notices" ] || command -v perl >/dev/null || command -v python3 >/dev/null || {
  echo "its kernel does not notice that it goes on elsewhere, and neither perl nor python3 is here to tell it" >&2
  exit 1
}
command -v ip >/dev/null || { echo "there is no 'ip' to give clones an address with" >&2; exit 1; }

# the key of a clone is made outside, where this type always can be made
files=''
for conf in /etc/ssh/sshd_config /etc/ssh/sshd_config.d/*.conf; do
  [ -f "$conf" ] || continue
  while read -r word file _; do
    case $word in
    [Hh][Oo][Ss][Tt][Kk][Ee][Yy]) files="$files $file" ;;
    esac
  done <"$conf"
done
case " $files " in
'  ' | *" $key "*) ;;
*) echo "sshd is told to use other host keys than $key:$files" >&2; exit 1 ;;
esac

# A first login costs twice what a later one does. Over the loopback: no other link is up.
warm_up() {
  command -v ssh >/dev/null && command -v ssh-keygen >/dev/null && [ -f $key ] || return 0
  home='' uid=
  while IFS=: read -r name _ number _ _ dir _; do
    [ "$name" != "$RAMET_USER" ] || home=$dir uid=$number
  done </etc/passwd
  [ -f "$home/.ssh/authorized_keys" ] || return 0
  rm -f /run/ramet-warm*
  ssh-keygen -q -t ed25519 -N '' -f /run/ramet-warm </dev/null || return 0
  read -r line </run/ramet-warm.pub
  cp "$home/.ssh/authorized_keys" /run/ramet-warm.before
  printf '\n%s\n' "$line" >>"$home/.ssh/authorized_keys"
  for turn in first second; do
    ssh -F none -i /run/ramet-warm -o BatchMode=yes -o StrictHostKeyChecking=no -o UserKnownHostsFile=/dev/null \
      -o LogLevel=ERROR -o ConnectTimeout=10 "$RAMET_USER@127.0.0.1" 'sudo -n true || :' </dev/null ||
      { echo "the $turn login to warm it up failed"; break; }
  done
  # into the file that is there, which keeps its owner and mode
  cat /run/ramet-warm.before >"$home/.ssh/authorized_keys"
  rm -f /run/ramet-warm*
}
[ -z "${RAMET_USER-}" ] || warm_up

# what asked for addresses forgets them, then the devices do
if command -v ifdown >/dev/null && [ -f /etc/network/interfaces ]; then
  ifdown -a --force >/dev/null 2>&1 || :
fi
for dir in /sys/class/net/*; do
  [ -e "$dir/device" ] || continue
  ip link set dev "${dir##*/}" down
  ip addr flush dev "${dir##*/}" || :
done

set --
for file in /run/systemd/netif/leases/* /etc/ssh/ssh_host_* $files /etc/udev/rules.d/70-persistent-net.rules \
  /var/lib/dhcp/*.leases /var/lib/dhclient/*.lease* /var/lib/dhcpcd/*.lease* /var/lib/dhcpcd/duid /etc/dhcpcd.duid \
  /var/lib/dhcpcd5/*.lease* /var/lib/NetworkManager/*.lease /var/lib/NetworkManager/secret_key \
  /var/lib/NetworkManager/timestamps /var/lib/systemd/credential.secret /var/lib/systemd/random-seed \
  /var/lib/urandom/random-seed /var/lib/misc/random-seed /var/lib/random-seed /var/lib/seedrng/seed.* \
  /boot/loader/random-seed /boot/efi/loader/random-seed /efi/loader/random-seed /var/lib/ramet/identity \
  /var/cache/apt/archives/*.deb; do
  [ ! -f "$file" ] || set -- "$@" "$file"
done
[ $# = 0 ] || rm -f "$@"

# empty and not gone: a clone that is started before it is somebody gets an id as on a first boot
: >/etc/machine-id
[ ! -f /var/lib/dbus/machine-id ] || [ -L /var/lib/dbus/machine-id ] || : >/var/lib/dbus/machine-id

sync
if command -v fstrim >/dev/null; then
  text=$(fstrim / 2>&1) || printf 'not trimmed: %s\n' "$text"
fi

# Memory that was used and is free is saved like any other, unless it is zero. What the kernel keeps in reserve is left, or
# it would give up what was read from the disk.
free='' reserve=0
while read -r word number _; do
  [ "$word" != MemFree: ] || free=$number
done </proc/meminfo
# not by read: some shells ask for one byte at a time, and this file has an answer for the first only
[ ! -f /proc/sys/vm/min_free_kbytes ] || reserve=$(cat /proc/sys/vm/min_free_kbytes)
count=$(((${free:-0} - 32768 - 3 * reserve) / 1024))
if [ $count -gt 0 ] && mkdir -p /run/ramet-zero && mount -t tmpfs -o size=100%,mode=700 ramet-zero /run/ramet-zero; then
  dd if=/dev/zero of=/run/ramet-zero/zero bs=1048576 count=$count 2>/dev/null || echo "not all free memory was made zero"
  umount /run/ramet-zero
  rmdir /run/ramet-zero
fi

# The user's own manager is most of what a first login waits for. Whoever logged in above is to be forgotten first, or logind
# would stop it again.
if [ -n "${uid-}" ] && [ -d /run/systemd/system ]; then
  for turn in 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15; do
    [ -e "/run/systemd/users/$uid" ] || break
    sleep 1
  done
  systemctl start "user@$uid.service" || echo "the user's own manager does not start"
fi

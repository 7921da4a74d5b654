# Ensures that the filesystems of /etc/fstab are mounted
# SPDX-License-Identifier: LGPL-2.1-or-later
set -eu

# an initramfs that cannot go on offers a root shell too
if [ ! -f /etc/passwd ] || [ -f /conf/initramfs.conf ]; then
  echo "this is the rescue shell of an initramfs: the base does not boot to its end" >&2
  exit 1
fi

# The console may answer before /home or /var is mounted; what later steps write would vanish beneath them.
[ -f /etc/fstab ] || exit 0
waits=0
while :; do
  missing=
  while read -r device where type options _; do
    case $device in
    '' | '#'*) continue ;;
    esac
    # nofail and automount ones need not come, and nothing later depends on memory or network ones
    case $type,$options in
    swap,* | tmpfs,* | proc,* | sysfs,* | devpts,* | nfs*,* | cifs,* | 9p,* | *noauto* | *nofail* | *_netdev* | *x-systemd.automount*) continue ;;
    esac
    case $where in
    / | /mnt* | /media* | none) continue ;;
    esac
    found=
    while read -r _ _ _ _ mounted _; do
      [ "$mounted" != "$where" ] || { found=1; break; }
    done </proc/self/mountinfo
    [ -n "$found" ] || missing=$where
  done </etc/fstab
  [ -n "$missing" ] || exit 0
  waits=$((waits + 1))
  [ $waits -lt 240 ] || { echo "'$missing' of /etc/fstab is still not mounted after 60 s" >&2; exit 1; }
  sleep 0.25 2>/dev/null || sleep 1
done

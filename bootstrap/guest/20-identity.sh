# Ensures an identity of its own: machine id, keys, seeds
# SPDX-License-Identifier: LGPL-2.1-or-later
set -eu
umask 022
PATH=${PATH:-/bin}:/usr/sbin:/usr/bin:/sbin:/bin

id=$RAMET_MACHINE_ID
marker=/var/lib/ramet/identity
case $id in
*[!0-9a-f]* | '') echo "'$id' is not a machine id" >&2; exit 1 ;;
esac
[ ${#id} = 32 ] || { echo "'$id' is not a machine id: not 32 digits" >&2; exit 1; }

known=''
[ ! -f $marker ] || read -r known <$marker || :
[ "$known" != "$id" ] || exit 0

# before the keys are made; text mixes as well as bytes
[ -z "${RAMET_SEED-}" ] || echo "$RAMET_SEED" >/dev/urandom

if command -v ssh-keygen >/dev/null; then
  files=''
  for conf in /etc/ssh/sshd_config /etc/ssh/sshd_config.d/*.conf; do
    [ -f "$conf" ] || continue
    while read -r word file _; do
      case $word in
      [Hh][Oo][Ss][Tt][Kk][Ee][Yy]) files="$files $file" ;;
      esac
    done <"$conf"
  done
  # ed25519 takes 0.2 s where rsa takes 3: others only where the configuration leaves ed25519 out
  case $files in
  '' | *ed25519*) keys=/etc/ssh/ssh_host_ed25519_key ;;
  *) keys=$files ;;
  esac
  rm -f /etc/ssh/ssh_host_* $files
  for key in $keys; do
    case $key in
    *ed25519*) type=ed25519 ;;
    *ecdsa*) type=ecdsa ;;
    *) type=rsa ;;
    esac
    # ed25519 is missing under FIPS rules
    ssh-keygen -q -t $type -N '' -C "root@$RAMET_HOSTNAME" -f "$key" </dev/null ||
      { [ $type = ed25519 ] && ssh-keygen -q -t ecdsa -N '' -C "root@$RAMET_HOSTNAME" \
        -f /etc/ssh/ssh_host_ecdsa_key </dev/null; } || echo "cannot make the ssh host key $key" >&2
  done &
fi

# the machine id
old=''
[ ! -f /etc/machine-id ] || read -r old </etc/machine-id || :
if [ "$old" != "$id" ]; then
  # An id made up at boot is a mount of /run/machine-id, which a service commits to the disk some time: it must find the
  # new one wherever it looks.
  [ ! -d /run/systemd/system ] && [ ! -f /etc/machine-id ] || echo "$id" >/etc/machine-id
  while read -r _ _ _ _ where _; do
    [ "$where" != /etc/machine-id ] || { umount /etc/machine-id && echo "$id" >/etc/machine-id; break; }
  done </proc/self/mountinfo
fi
if [ -d /var/lib/dbus ] && [ ! /var/lib/dbus/machine-id -ef /etc/machine-id ]; then
  echo "$id" >/var/lib/dbus/machine-id
fi

# What the base's network and tools had made of its old identity. A saved seed must not repeat what every clone starts from;
# it is removed first, for systemd marks creditable seeds by an extended attribute, which would outlive mere writing.
seeds=''
for file in /var/lib/systemd/random-seed /var/lib/urandom/random-seed /var/lib/misc/random-seed /var/lib/random-seed \
  /var/lib/seedrng/seed.credit /var/lib/seedrng/seed.no-credit; do
  [ ! -f $file ] || seeds="$seeds $file"
done
set --
for file in $seeds /boot/loader/random-seed /boot/efi/loader/random-seed /efi/loader/random-seed \
  /etc/udev/rules.d/70-persistent-net.rules /var/lib/dhcp/*.leases /var/lib/dhclient/*.lease* \
  /var/lib/dhcpcd/*.lease* /var/lib/dhcpcd/duid /etc/dhcpcd.duid /var/lib/dhcpcd5/*.lease* \
  /var/lib/NetworkManager/*.lease /var/lib/NetworkManager/secret_key /var/lib/NetworkManager/timestamps \
  /var/lib/systemd/credential.secret; do
  [ ! -f "$file" ] || set -- "$@" "$file"
done
[ $# = 0 ] || rm -f "$@"
umask 077
for file in $seeds; do
  case $file in
  *.credit) ;;
  *) [ -z "${RAMET_SEED-}" ] || echo "$RAMET_SEED" >"$file" ;;
  esac
done
umask 022

# One that runs holds the old keys, and would answer with them once the cable is in; step 70 starts it again.
for file in /run/sshd.pid /var/run/sshd.pid; do
  pid='' name=''
  [ ! -f $file ] || read -r pid <$file || :
  case $pid in
  '' | *[!0-9]*) ;;
  *) [ ! -f "/proc/$pid/comm" ] || read -r name <"/proc/$pid/comm" || : ;;
  esac
  [ "$name" != sshd ] || kill "$pid" 2>/dev/null || :
done

if [ -n "$old" ] && [ "$old" != "$id" ]; then
  # Journals lie in a folder named after the machine id, which journald reads only when it starts: without this the
  # clone's journal would look empty. Never while the journal moves from /run to the disk.
  if [ -d "/run/log/journal/$old" ] || [ -d "/var/log/journal/$old" ]; then
    # shellcheck disable=SC2016
    systemd-run --quiet --no-block --collect --property=After=systemd-journal-flush.service sh -c '
      for dir in /run/log/journal /var/log/journal; do
        [ ! -d "$dir/$1" ] || [ -e "$dir/$2" ] || mv "$dir/$1" "$dir/$2"
      done
      exec systemctl restart systemd-journald.service' sh "$old" "$id" || : &
  fi
  # A client that is up asks with an id made from the old machine id: all clones would share one address.
  for file in /proc/[0-9]*/comm; do
    name=
    read -r name 2>/dev/null <"$file" || continue
    case $name in
    systemd-network) systemctl --no-block try-restart systemd-networkd.service || : ;;
    dhcpcd) dhcpcd -n >/dev/null 2>&1 || : ;;
    esac
  done 2>/dev/null
fi

wait
if command -v ssh-keygen >/dev/null; then
  for file in /etc/ssh/ssh_host_*_key.pub ${keys-}; do
    [ -f "$file" ] && break
  done
  [ -f "$file" ] || { echo "no ssh host key could be made" >&2; exit 1; }
fi

# the folders of the later steps too: each program started costs more than a folder
[ -d /var/lib/ramet ] || mkdir -p /var/lib/ramet /usr/local/lib/ramet /etc/ramet
echo "$id" >$marker

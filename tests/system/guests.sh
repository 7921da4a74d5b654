#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# Bases of other kinds than the usual one: UEFI, OpenRC, sysvinit, one with two disks and two network cards that ramet did not
# make.
# long: guests with three inits
# shellcheck disable=SC2016,SC2034
source "$(dirname -- "${BASH_SOURCE[0]}")/lib.sh"
# shellcheck source=tests/system/lab.d/console.sh
source "$t_system_dir/lab.d/console.sh"

images=/var/lib/libvirt/images
nvram=/var/lib/libvirt/qemu/nvram
app=/home/projects/app

# Define the domain $1 from the XML of the base debian-12, without anything of ramet's, with the disk $2, as the Python code
# on standard input further changes the tree 'root'.
define_like_base ()
{
  virsh -c qemu:///system dumpxml --inactive debian-12 >"$t_dir/like.xml"
  cat >"$t_dir/change.py"
  python3 - "$1" "$2" "$t_dir" <<'END'
import sys, xml.etree.ElementTree as E
name, disk, folder = sys.argv[1:]
tree = E.parse(folder + '/like.xml')
root = tree.getroot()
root.remove(root.find('metadata'))
root.remove(root.find('uuid'))
root.find('name').text = name
root.find('vcpu').text = '1'
devices = root.find('devices')
devices.find('disk/source').set('file', disk)
for interface in devices.findall('interface'):
    interface.remove(interface.find('mac'))
for device in devices:
    address = device.find('address')
    if address is not None and device.tag != 'controller':
        device.remove(address)
exec(open(folder + '/change.py').read())
tree.write(folder + '/like.xml')
END
  must virsh -q -c qemu:///system define "$t_dir/like.xml"
}

# Clone $1 as $2 with the project as its share, in the background.
clone_in_background ()
{
  ramet clone --cpus 1 -d "$app" "$@" >"$t_dir/$2.out" 2>"$t_dir/$2.err" &
  printf -v "${2}_pid" %s "$!"
}

# Wait for what clone_in_background started as $1.
clone_done ()
{
  local pid=${1}_pid status=0
  wait "${!pid}" || status=$?
  assert_eq 0 "$status" "the exit status of the clone '$1'"
  ((status == 0)) || sed 's/^/#   /' "$t_dir/$1.err"
}

# Check that the VM $1 is what a clone should be: found by name, with its share, its console sealed.
whole ()
{
  check getent hosts "$1.local"
  check ramet ssh "$1" -- "hostname; cat '$app/file'; echo $1 >>'$app/own'; cat '$app/own' | wc -l; ls /etc/ssh/ssh_host_*_key.pub | wc -l"
  mapfile -t got <<<"$out"
  assert_eq "$1" "${got[0]:-}" "the host name"
  assert_eq "from the host" "${got[1]:-}" "a file of the share"
  if console_answers_root "$1" "$t_dir/console"; then
    fail "a root shell answers on the console of '$1': $(cat -v "$t_dir/console")"
  else
    ok
  fi
  check ramet ssh "$1" -- 'ps -eo user=,tty=,args= 2>/dev/null | awk "\$1 == \"root\" && \$2 ~ /^(ttyS[0-9]|hvc[0-9]|tty[0-9]|console)\$/ && \$3 !~ /(agetty|login|getty)\$/"'
  assert_eq "" "$out" "shells of root on terminals"
}

host_state ()
{
  virsh -c qemu:///system list --all --name | sort
  { find "$images" "$nvram" /var/lib/libvirt/qemu/save -mindepth 1 -printf '%p %u %m\n' 2>/dev/null || true; } | sort
}

mkdir -p "$app"
echo "from the host" >"$app/file"
lab_base

# ------------------------------------------------------------------ the bases

t_start "a base that boots by UEFI is made of the same image"
lab_image systemd
check ramet base build --image "$lab_image_path" --uefi uefi
check virsh -c qemu:///system dumpxml --inactive uefi
assert_match "firmware='efi'|<loader" "$out" "the firmware"

t_start "bases with another init are there"
# as `ramet base build` leaves them, but for its trial boot: their clones boot below
for init in openrc sysvinit; do
  [[ $init == openrc ]] && lab_image openrc
  [[ $init == sysvinit ]] && lab_image sysvinit
  cp --sparse=always "$lab_image_path" "$images/$init.qcow2"
  define_like_base "$init" "$images/$init.qcow2" </dev/null
  check virsh -q -c qemu:///system metadata "$init" urn:ramet:1 --config --key ramet --set "<vm state='base'/>"
done
check ramet base list
assert_contains openrc "$out" "the bases"

t_start "a base that ramet did not make is defined"
cp --sparse=always "$(base_disk <(virsh -c qemu:///system dumpxml debian-12))" "$images/twin.qcow2"
qemu-img create -q -f qcow2 "$images/twin-data.qcow2" 64M
qemu-io -c 'write -P 0x41 0 1M' "$images/twin-data.qcow2" >/dev/null
define_like_base twin "$images/twin.qcow2" <<END
disk = E.fromstring('''<disk type='file' device='disk'><driver name='qemu' type='qcow2'/>
  <source file='$images/twin-data.qcow2'/><target dev='vdb' bus='virtio'/></disk>''')
devices.insert(list (devices).index (devices.find ('disk')) + 1, disk)
devices.append(E.fromstring('''<interface type='network'><source network='default'/><model type='virtio'/></interface>'''))
END
virsh -q -c qemu:///system pool-refresh default
for base in debian-12 uefi openrc sysvinit twin; do
  manifest_domain "$base" >"$t_dir/base-$base"
done
find "$nvram" -type f -exec sha256sum {} + 2>/dev/null | sort >"$t_dir/nvram" || true
host_state >"$t_dir/host"
ok

# ------------------------------------------------------------------ their clones

t_start "a base of others' with two disks and two network cards is cloned"
clone_in_background twin two
clone_in_background uefi efi
wait_for 60 virsh -c qemu:///system domid two
links=$(virsh -q -c qemu:///system domiflist two | awk '{ print $5 }')
assert_eq 2 "$(wc -l <<<"$links")" "network cards"
for mac in $links; do
  assert_eq "$mac down" "$mac $(virsh -q -c qemu:///system domif-getlink two "$mac" | awk '{ print $NF }')" \
    "the link, before the guest has an identity of its own"
done
clone_done two
for mac in $links; do
  assert_eq "$mac up" "$mac $(virsh -q -c qemu:///system domif-getlink two "$mac" | awk '{ print $NF }')" "the link afterwards"
  assert_lacks "$mac" "$(virsh -c qemu:///system dumpxml twin)" "the base's XML"
done
whole two
assert_eq "$images/twin.qcow2" "$(qemu-img info -U --output=json "$images/two.qcow2" | python3 -c 'import json, sys; print(json.load(sys.stdin)["full-backing-filename"])')" \
  "what the first disk stands on"
assert_eq "$images/twin-data.qcow2" "$(qemu-img info -U --output=json "$images/two-vdb.qcow2" | python3 -c 'import json, sys; print(json.load(sys.stdin)["full-backing-filename"])')" \
  "what the second disk stands on"
check ramet ssh two -- 'head -c 4 /dev/vdb; printf BBBB | dd of=/dev/vdb conv=notrunc 2>/dev/null; sync; head -c 5 /dev/vdb'
assert_eq AAAABBBBA "$out" "the second disk in the guest"

t_start "a UEFI base is cloned, with firmware variables of its own"
clone_done efi
whole efi
check ramet ssh efi -- ls /sys/firmware/efi
check test -s "$nvram/efi_VARS.fd"
assert_contains "efi_VARS.fd" "$(ramet info efi)" "what info tells"
check ramet stop --force two
check ramet remove --yes two
check test ! -e "$images/two-vdb.qcow2"

for pair in "openrc rc OpenRC" "sysvinit sv sysvinit"; do
  read -r base name word <<<"$pair"
  clone_in_background "$base" "$name"
done
for pair in "openrc rc OpenRC" "sysvinit sv sysvinit"; do
  read -r base name word <<<"$pair"
  t_start "a base with $word is cloned"
  clone_done "$name"
  whole "$name"
  check ramet ssh "$name" -- 'test ! -d /run/systemd/system && cat /proc/1/comm'
done

t_start "removed, they leave nothing, and their bases are as they were"
check ramet remove --yes efi rc sv
host_state >"$t_dir/host-after"
assert_same_file "$t_dir/host" "$t_dir/host-after" "the host"
find "$nvram" -type f -exec sha256sum {} + 2>/dev/null | sort >"$t_dir/nvram-after" || true
assert_same_file "$t_dir/nvram" "$t_dir/nvram-after" "the firmware variables of the bases"
for base in debian-12 uefi openrc sysvinit twin; do
  manifest_domain "$base" >"$t_dir/base-after"
  assert_same_file "$t_dir/base-$base" "$t_dir/base-after" "the base $base"
done

t_done

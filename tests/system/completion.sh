#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# What 'ramet complete' offers is what libvirt has now, for whoever may look, and soon enough to press Tab for. No guest boots.
# light: no guest of it boots a system
source "$(dirname -- "${BASH_SOURCE[0]}")/lib.sh"

v="virsh -q -c qemu:///system"
images=/var/lib/libvirt/images

define_base ()
{
  must qemu-img create -q -f qcow2 "$images/$1.qcow2" 1G
  cat >"$t_dir/base.xml" <<XML
<domain type='qemu'>
  <name>$1</name>
  <memory unit='MiB'>64</memory>
  <os><type arch='x86_64' machine='q35'>hvm</type></os>
  <devices>
    <disk type='file' device='disk'>
      <driver name='qemu' type='qcow2'/><source file='$images/$1.qcow2'/><target dev='vda' bus='virtio'/>
    </disk>
    <serial type='pty'/>
    <memballoon model='none'/>
  </devices>
</domain>
XML
  must $v define "$t_dir/base.xml"
  $v pool-refresh default
}

# Put element $2 into ramet's own in the metadata of domain $1, with the state $3 if that is given.
add_to_metadata ()
{
  local xml
  xml=$($v metadata "$1" urn:ramet:1)
  [[ -z ${3:-} ]] || xml=$(sed -E "s/^(<vm [^>]*state=\")[^\"]*/\1$3/" <<<"$xml")
  must $v metadata "$1" urn:ramet:1 --key ramet --set "${xml%</vm>*}$2</vm>"
}

# Print what is offered for the last of the words, blanks between; must end well and say nothing else.
offered ()
{
  "$@" >"$t_dir/offered" 2>"$t_dir/said" || echo "status $?" >>"$t_dir/said"
  [[ ! -s $t_dir/said ]] || fail "'$*' says: $(<"$t_dir/said")"
  cut -f 1 "$t_dir/offered" | paste -sd ' '
}

# ------------------------------------------------------------------ the host

define_base hollow
for name in web db; do
  must ramet clone -q --no-bootstrap --project shop hollow "shop-$name"
done
must ramet clone -q --no-bootstrap hollow alone

t_start "names are those that libvirt has now"
assert_eq 'alone shop-db shop-web @shop' "$(offered ramet complete -- stop '')" "VMs and projects"
must ramet clone -q --no-bootstrap hollow later
assert_eq 'alone later shop-db shop-web @shop' "$(offered ramet complete -- stop '')" "one more"
must ramet remove -q --yes later
assert_eq 'alone shop-db shop-web @shop' "$(offered ramet complete -- stop '')" "one less"
assert_eq hollow "$(offered ramet complete -- clone '')" "bases"
assert_eq hollow "$(offered ramet complete -- -c qemu:///system clone '')" "bases of a libvirt that is named"

t_start "snapshots and templates are offered where they are meant"
add_to_metadata shop-web "<point name='before' created='2026-01-02T03:04:05Z'/>"
must ramet clone -q --no-bootstrap hollow hollow-t1
add_to_metadata hollow-t1 "" template
assert_eq 'hollow shop-web@before' "$(offered ramet complete -- clone '')" "what can be cloned"
assert_eq 'shop-web@before @shop@before' "$(offered ramet complete -- snapshot revert '')" "what can be gone back to"
assert_eq hollow-t1 "$(offered ramet complete -- template remove '')" "templates"
assert_eq 'alone shop-db shop-web' "$(offered ramet complete -- console '')" "no template among the VMs"

t_start "it holds for users too, and for those who may not talk to libvirt without a question"
assert_eq 'alone shop-db shop-web @shop' "$(offered as_dev ramet complete -- stop '')" "a member of the group libvirt"
chmod 0700 /run/libvirt/libvirt-sock-ro
assert_eq '' "$(offered setpriv --reuid=65534 --regid=65534 --clear-groups ramet complete -- stop '')" "one who may not even look"
assert_eq '--force --timeout --connect --quiet --verbose --json --help' \
  "$(offered setpriv --reuid=65534 --regid=65534 --clear-groups ramet complete -- stop --)" "the options for one who may not look"
chmod 0777 /run/libvirt/libvirt-sock-ro

t_start "looking starts, stops and changes nothing"
$v list --all >"$t_dir/before"
for name in shop-web shop-db alone hollow; do $v dumpxml "$name"; done >>"$t_dir/before"
for command in clone start remove 'snapshot delete' 'template remove' 'set alone --remove-share'; do
  # shellcheck disable=SC2086
  check ramet complete -- $command ''
done
$v list --all >"$t_dir/after"
for name in shop-web shop-db alone hollow; do $v dumpxml "$name"; done >>"$t_dir/after"
assert_same_file "$t_dir/before" "$t_dir/after" "libvirt's view"

t_start "names come while one types, of thirty VMs too"
for ((i = 0; i < 27; i++)); do
  must ramet clone -q --no-bootstrap hollow "many-$i"
done
assert_eq 31 "$(ramet complete -- stop '' | wc -l)" "VMs and a project"
times=()
for ((i = 0; i < 21; i++)); do
  began=${EPOCHREALTIME/./}
  ramet complete -- stop '' >/dev/null
  times+=($((${EPOCHREALTIME/./} - began)))
done
mapfile -t times < <(printf '%s\n' "${times[@]}" | sort -n)
note "31 names in $((times[10] / 1000)) ms (best $((times[0] / 1000)) ms, worst $((times[20] / 1000)) ms)"

t_start "without libvirtd what needs none is offered, and nothing is said"
must kill "$(cat /run/libvirtd.pid)"
for ((i = 0; i < 100; i++)); do
  [[ -e /run/libvirtd.pid ]] || break
  sleep 0.1
done
assert_eq '' "$(offered ramet complete -- stop '')" "VMs"
assert_eq 'create list revert delete' "$(offered ramet complete -- snapshot '')" "commands"
must libvirtd --daemon
t_done

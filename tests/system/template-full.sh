#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# Clones of a template where its memory cannot be shared: QEMU is kept from the file, or libvirtd runs on another host. They
# go on from a copy of all of it, or boot; and it is said which and why.
# shellcheck disable=SC2016
source "$(dirname -- "${BASH_SOURCE[0]}")/lib.sh"

folder=/var/lib/libvirt/ramet-templates
images=/var/lib/libvirt/images
remote_uri=qemu+tcp://127.0.0.1/system

# Print what guest $1 is called, which boot it comes from, and its machine-id.
identity_of ()
{
  ramet ssh "$1" -- 'echo "$(hostname) $(cat /proc/sys/kernel/random/boot_id) $(cat /etc/machine-id)"'
}

# Make a clone $1 by the program from the second argument on, and keep what was said in $err. It must go on from the template,
# and be somebody of its own.
check_goes_on ()
{
  local name=$1 said
  shift
  check "$@" clone --template --cpus 1 debian-12 "$name"
  said=$err
  assert_eq "$name $boot_id $(virsh -c qemu:///system domuuid "$name" | tr -d '\n-')" "$(identity_of "$name")" \
    "the name of '$name', the boot that it comes from, and its machine-id"
  assert_eq 0 "$(virsh -c qemu:///system dumpxml --inactive "$name" | grep -c qemu: || true)" "words for QEMU in the definition"
  assert_eq "" "$(find "$folder" "$images" -name "$name.state")" "what it was restored from"
  err=$said
}

# Print how often $1 stands in what was said.
count_lines ()
{
  grep -c -- "$1" <<<"$err" || true
}

# Whether it runs with a view: QEMU is told of that past libvirt.
words_for_qemu ()
{
  virsh -c qemu:///system dumpxml "$1" | grep -c '<qemu:arg' || true
}

# Keep QEMU's user from the template's memory, or let it again. Neither size nor time of it change.
close_memory ()
{
  chmod 0600 "$memory"
}

open_memory ()
{
  chmod 0660 "$memory"
}

# Run ramet as if libvirtd were on another host: by a URI that names one, and without any of its files.
remote ()
{
  LIBVIRT_DEFAULT_URI=$remote_uri unshare --mount --propagation private \
    bash -c 'mount -t tmpfs none /var/lib/libvirt && exec ramet "$@"' bash "$@"
}

# Have libvirtd listen on this host, which only the lab can reach.
listen ()
{
  local pid
  printf '%s\n' 'listen_tls = 0' 'listen_tcp = 1' 'listen_addr = "127.0.0.1"' 'auth_tcp = "none"' >>/etc/libvirt/libvirtd.conf
  pid=$(cat /run/libvirtd.pid)
  kill "$pid"
  wait_for 10 test ! -e "/proc/$pid"
  libvirtd --daemon --listen
  wait_for 30 virsh -c "$remote_uri" uri
}

lab_template
listen
template=$(ramet --json template list | jq -r '.[0].name')
memory=$(ls "$folder"/*.memory)
state=$(ls "$folder"/*.state)
sha256sum "$memory" "$state" >"$t_dir/sums"

t_start "where QEMU may open it, a clone's memory is a view of the template's"

check ramet clone --template --cpus 1 debian-12 view
assert_eq 0 "$(count_lines 'copy of the memory')" "what was said"
assert_eq 4 "$(words_for_qemu view)" "words for QEMU"
read -r name boot_id view_id < <(identity_of view)
assert_eq view "$name" "its name"

t_start "where QEMU may not open it, a clone gets a copy of it, and it is said why in one line"
close_memory
check_goes_on copy ramet
assert_eq 1 "$(count_lines "copy of the memory of '$template'")" "lines that say so"
assert_lacks deprecated "$err" "what was said"
assert_match "warning: copy: .*copy of the memory.*Permission denied" "$err" "what was said"
assert_eq 0 "$(count_lines 'so it boots')" "what was said"
assert_eq 0 "$(words_for_qemu copy)" "words for QEMU"
assert_ne "$view_id" "$(virsh -c qemu:///system domuuid copy | tr -d '\n-')" "the machine-ids of two clones"

t_start "killed at any step of that, it leaves nothing that doctor does not mend"
for step in file-made:2 clone-restored; do
  expect_status 137 env RAMET_STOP_AT="$step" RAMET_STOP_SIGNAL=KILL ramet clone -q --template --cpus 1 debian-12 cut
  check ramet doctor --fix
  expect_status 3 ramet info cut
  assert_eq "" "$(find "$images" "$folder" -name 'cut*')" "what is left of one that was killed at $step"
done

t_start "a full disk is said to be full, and nothing is left"
mkdir -p "$t_dir/small"
mount -t tmpfs -o size=40m none "$t_dir/small"
expect_status 1 env XDG_CACHE_HOME="$t_dir/small" ramet clone --template --cpus 1 debian-12 full
assert_contains "No space left on device" "$err" "why"
assert_contains "make room" "$err" "what to do"
expect_status 3 ramet info full
assert_eq "" "$(find "$images" "$folder" -name 'full*'; find "$t_dir/small" -type f ! -name "turn-*")" "what is left"

# by now in the background: booting takes long
XDG_CACHE_HOME=$t_dir/small ramet clone --cpus 1 debian-12 booted >"$t_dir/booted" 2>&1 &
booted_pid=$!

t_start "a clone with a copy is snapshotted, reverted and saved like any other"
check ramet ssh copy -- 'echo here >mine; echo "in memory" >/run/nonce; sync'
check ramet snapshot create copy@then
check ramet ssh copy -- 'echo later >mine; rm /run/nonce; sync'
check ramet snapshot revert copy@then
assert_eq "here in memory" "$(ramet ssh copy -- 'cat mine /run/nonce' | xargs)" "what it has"
check ramet pause --to-disk copy
check ramet resume copy
assert_eq "here in memory" "$(ramet ssh copy -- 'cat mine /run/nonce' | xargs)" "what it has"

t_start "where not even a copy can be had, it boots, and it is said why"
status=0
wait "$booted_pid" || status=$?
err=$(cat "$t_dir/booted")
assert_eq 0 "$status" "how it ended: $err"
assert_eq 1 "$(count_lines "warning: booted: it could not go on from '$template', so it boots: .*No space left")" "lines that say so"
read -r name its_boot _ < <(identity_of booted)
assert_eq booted "$name" "its name"
assert_ne "$boot_id" "$its_boot" "the boot"
check ramet remove --yes booted view
umount "$t_dir/small"
open_memory

# in the background, too
id=$(ramet ssh copy -- cat /etc/machine-id)
{ ramet restart copy && ramet wait --timeout 400 copy; } >"$t_dir/again" 2>&1 &
again_pid=$!

t_start "with libvirtd on another host, a clone gets a copy of the memory"
check_goes_on far remote
assert_eq 1 "$(count_lines "copy of the memory of '$template' .*another host")" "lines that say so"
assert_eq 0 "$(words_for_qemu far)" "words for QEMU"
sha256sum "$memory" "$state" >"$t_dir/sums-after"
assert_same_file "$t_dir/sums" "$t_dir/sums-after" "the template"

t_start "memory or a state on another host that is not what it was is not used"
printf x | dd of="$memory" bs=1 seek=5000000 conv=notrunc status=none
expect_status 5 remote clone --template --cpus 1 debian-12 other
assert_contains "the memory '$memory' has changed since it was made" "$err" "why"
expect_status 3 ramet info other
printf x | dd of="$state" bs=1 seek=500000 conv=notrunc status=none
check remote clone --dry-run --cpus 1 debian-12 other
assert_contains "the saved state '$state' has changed since it was made" "$err" "why"
assert_contains "boot it" "$out" "what would be done"
assert_eq "" "$(find "$images" "$folder" -name 'other*')" "what is left"

t_start "a clone with a copy boots again as itself"
status=0
wait "$again_pid" || status=$?
assert_eq 0 "$status" "how it ended: $(cat "$t_dir/again")"
read -r name its_boot its_id < <(identity_of copy)
assert_eq "copy $id" "$name $its_id" "who it is"
assert_ne "$boot_id" "$its_boot" "the boot"
assert_eq here "$(ramet ssh copy -- cat mine)" "what it has"
assert_eq 0 "$(words_for_qemu copy)" "words for QEMU"

t_done

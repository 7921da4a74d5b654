#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# Files of saved memory on libvirtd's host, put there and fetched by a plain member of the group libvirt. No guest runs.
# light: no guest of it boots a system
source "$(dirname -- "${BASH_SOURCE[0]}")/lib.sh"

files=$RAMET_BUILD/tests/put-get
folder=/var/lib/libvirt/ramet-files
qemu=$(getent group libvirt-qemu | cut -d: -f3)
own=/home/dev/own

# 16 MiB with data at its start, in its middle across a chunk, and a hole at its end
make_sparse ()
{
  truncate -s 16M "$1"
  dd if=/dev/urandom of="$1" bs=64K count=3 conv=notrunc status=none
  dd if=/dev/urandom of="$1" bs=1000 seek=5000 count=700 conv=notrunc status=none
}

# No pool of ramet's is left over.
assert_no_pools ()
{
  assert_eq "" "$(virsh -q -c qemu:///system pool-list --all --name | grep '^ramet-' || true)" "pools of ramet's"
}

install -d -o dev "$own"
make_sparse "$own/memory"
chmod 644 "$own/memory"

t_start "a folder is made with its mode, and once more is fine"
check as_dev "$files" make "$folder" 0711
assert_eq "711 0:0" "$(stat -c '%a %u:%g' "$folder")" "its mode and owner"
check as_dev "$files" make "$folder" 0711
assert_no_pools

t_start "a folder where a file is in the way is told"
: >"$folder/file"
expect_status 1 as_dev "$files" make "$folder/file" 0711
assert_no_pools

t_start "a file gets its content, its holes, its owner and its mode"
check as_dev "$files" put "$own/memory" "$folder/a.mem" 0660 "$qemu"
assert_eq "660 0:$qemu 16777216" "$(stat -c '%a %u:%g %s' "$folder/a.mem")" "its mode, owner and length"
check cmp "$own/memory" "$folder/a.mem"
check test "$(stat -c %b "$folder/a.mem")" -lt 4096 # of 512 bytes; dense it has 32768
assert_no_pools

t_start "a file that is there is not written over"
truncate -s 1M "$own/other"
chmod 644 "$own/other"
expect_status 4 as_dev "$files" put "$own/other" "$folder/a.mem" 0660 0
check cmp "$own/memory" "$folder/a.mem"

t_start "an empty file, and one of a single hole"
: >"$own/empty"
check as_dev "$files" put "$own/empty" "$folder/empty" 0600 0
assert_eq 0 "$(stat -c %s "$folder/empty")" "its length"
check as_dev "$files" put "$own/other" "$folder/hole" 0600 0
check cmp "$own/other" "$folder/hole"

t_start "what is root's alone comes back whole, or its start only"
chmod 600 "$folder/a.mem"
expect_status 1 as_dev cat "$folder/a.mem"
check as_dev "$files" get "$folder/a.mem" 0 "$own/back"
check cmp "$own/memory" "$own/back"
check as_dev "$files" get "$folder/a.mem" 70000 "$own/start"
check cmp -n 70000 "$own/memory" "$own/start"
assert_eq 70000 "$(stat -c %s "$own/start")" "the length of its start"
assert_no_pools

t_start "what is not there is told"
expect_status 3 as_dev "$files" get "$folder/b.mem" 0 "$own/none"
assert_no_pools

t_start "a full disk is told, and nothing is left"
mkdir -p "$folder/small"
mount -t tmpfs -o size=200k,mode=711 small "$folder/small"
expect_status 1 as_dev "$files" put "$own/memory" "$folder/small/a.mem" 0660 "$qemu"
assert_eq "" "$(ls "$folder/small")" "what is left"
umount "$folder/small"
assert_no_pools

t_start "many at once do not get into each other's way"
for i in 1 2 3 4 5 6; do
  as_dev "$files" put "$own/other" "$folder/many.$i" 0600 0 2>"$t_dir/many.$i" &
  pids[i]=$!
done
for i in 1 2 3 4 5 6; do
  check wait "${pids[i]}"
  check cmp "$own/other" "$folder/many.$i"
done
assert_no_pools

t_done

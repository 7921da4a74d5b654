#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# A save image that libvirt made, split into memory and device state: against a second splitter, and given back to QEMU.
source "$(dirname -- "${BASH_SOURCE[0]}")/lib.sh"

export LIBVIRT_DEFAULT_URI=qemu:///system
splitter=$RAMET_BUILD/tests/test-memory-file
images=/var/lib/libvirt/images
ram_bytes=$((1024 * 1024 * 1024))

# Split the save image $1 into the new folder $images/$2, with the XML $3 if there is one.
split_image ()
{
  mkdir -p "$images/$2"
  must env RAMET_TEST_SAVE_IMAGE="$images/$1" RAMET_TEST_FOLDER="$images/$2" RAMET_TEST_RAM_BYTES=$ram_bytes \
    ${3:+"RAMET_TEST_XML=$3"} "$splitter" -p /memory-file/real
}

lab_base
must ramet clone --cpus 1 debian-12 web
linger web
must ramet ssh web -- sudo dd if=/dev/urandom of=/dev/shm/kept bs=1M count=30 status=none
must ramet ssh web -- sha256sum /dev/shm/kept
kept=$out

t_start "memory that was saved while the guest wrote to it is split as another splitter does"
# in the guest for good: it fills and empties some memory while it is being saved
must ramet ssh web -- sudo systemd-run --quiet sh -c \
  'while :; do head -c 20000000 /dev/zero | tr "\\0" x >/dev/shm/busy; rm /dev/shm/busy; done'
must virsh snapshot-create-as web point --live --atomic --memspec "$images/live.mem" --diskspec vda,snapshot=external
split_image live.mem live
check "$t_system_dir/memory.d/split" "$images/live.mem" "$images/live"
read -r _ _ again _ <<<"$out"
check test "$again" -gt 0 # else that was not tried

t_start "memory that was saved of a guest that stood still is split as another splitter does"
must virsh save web "$images/web.sav"
must virsh save-image-dumpxml --security-info "$images/web.sav"
"$t_system_dir/memory.d/xml-with-memory" $ram_bytes "$images/web/memory" <<<"$out" >"$t_dir/web.xml"
split_image web.sav web "$t_dir/web.xml"
check "$t_system_dir/memory.d/split" "$images/web.sav" "$images/web"

t_start "QEMU goes on from the two parts, and leaves the memory's file as it is"
# QEMU 7.2 opens it for writing, though it never does
chmod 666 "$images/web/memory"
before=$(sha256sum "$images/web/memory")
check virsh restore "$images/web/image"
check ramet ssh web -- sha256sum /dev/shm/kept
assert_eq "$kept" "$out" "what the guest had in its memory"
check ramet ssh web -- sudo dd if=/dev/urandom of=/dev/shm/more bs=1M count=50 status=none
assert_eq "$before" "$(sha256sum "$images/web/memory")" "the memory's file"
must virsh destroy web

t_start "a disk that is full leaves nothing of the memory"
mkdir "$images/small"
must mount -t tmpfs -o size=50m none "$images/small"
expect_failure ()
{
  "$@" >"$t_dir/out" 2>&1 && return 1
  return 0
}
check expect_failure env RAMET_TEST_SAVE_IMAGE="$images/web.sav" RAMET_TEST_FOLDER="$images/small" \
  RAMET_TEST_RAM_BYTES=$ram_bytes "$splitter" -p /memory-file/real
assert_contains "No space left on device" "$(cat "$t_dir/out")" "why"
assert_eq 0 "$(stat -f -c '%b %f' "$images/small" | { read -r b f; echo $((b - f)); })" "blocks that are left in use"
umount "$images/small"

t_done

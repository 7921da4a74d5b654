# shellcheck shell=bash disable=SC2154
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# Part 10: the restore with a copy-on-write view of a template's memory, against one that reads all of it, with 100 and with
# 600 MB that the guest has written to.

memory_bytes=$((1024 * 1024 * 1024))

# Leave a VM bench-full-$1 that is off, an image of its whole memory, $1 MB of which it has written to, as $folder/$1.save, and
# the same split: $folder/$1/image goes on with a view of $folder/$1/memory.
memory_prepare ()
{
  local name=bench-full-$1
  bench_say "a guest that holds $1 MB"
  must ramet clone --cold --cpus 1 --memory 1G "$base" "$name"
  must ramet ssh "$name" -- "sudo sh -c 'mount -t tmpfs -o size=90% fill /mnt && head -c $1M /dev/urandom >/mnt/fill'"
  must virsh -q -c qemu:///system save "$name" "$folder/$1.save"
  must test "$(stat -c %s "$folder/$1.save")" -gt "$(($1 * 1000000))"
  mkdir -- "$folder/$1"
  must virsh -c qemu:///system save-image-dumpxml --security-info "$folder/$1.save"
  "$t_system_dir/memory.d/xml-with-memory" "$memory_bytes" "$folder/$1/memory" <<<"$out" >"$t_dir/$1.xml"
  must env RAMET_TEST_SAVE_IMAGE="$folder/$1.save" RAMET_TEST_FOLDER="$folder/$1" RAMET_TEST_RAM_BYTES="$memory_bytes" \
    RAMET_TEST_XML="$t_dir/$1.xml" "$RAMET_BUILD/tests/test-memory-file" -p /memory-file/real
  # QEMU opens it for writing, though it never does
  chmod 666 "$folder/$1/memory"
}

# Restore the VM bench-full-$2, which stays paused, with the arguments from $3 on of virsh; its time goes to the samples
# memory-$1-$2-s.
memory_restore ()
{
  local kind=$1 size=$2 since
  shift 2
  since=$EPOCHREALTIME
  must virsh -q -c qemu:///system restore --paused "$@"
  bench_add_span "memory-$kind-$size-s" "$since" "$EPOCHREALTIME"
  must virsh -q -c qemu:///system destroy "bench-full-$size"
}

bench_template_memory ()
{
  local round rounds=$((4 * repetitions + 1)) size folder=/var/lib/libvirt/bench
  mkdir -- "$folder"
  for size in 100 600; do
    memory_prepare "$size"
  done
  bench_say "restores with much and little memory"
  for ((round = 1; round <= rounds; round++)); do
    for size in 100 600; do
      memory_restore view "$size" "$folder/$size/image"
      memory_restore full "$size" "$folder/$size.save"
    done
  done
  for size in 100 600; do
    must ramet remove --yes "bench-full-$size"
  done
  rm -r -- "$folder"
}

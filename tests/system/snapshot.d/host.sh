# shellcheck shell=bash disable=SC2154
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# For the tests of snapshots: a base whose clones count without having a system, and looks at what they hold.

images=/var/lib/libvirt/images
snapshot_dir=$(cd -- "$(dirname -- "${BASH_SOURCE[0]}")" && pwd)

# Define the base $1, whose clones run what is in counter.S; $2 is what <os> holds besides, $3 its memory in MiB, $4 the
# attributes of <os>, $5 a second disk of 1 GiB if it is 'two'.
counter_base ()
{
  local second=
  as --32 -o "$t_dir/counter.o" "$snapshot_dir/counter.S"
  ld -m elf_i386 -Ttext=0x7c00 --oformat=binary -o "$t_dir/counter" "$t_dir/counter.o"
  truncate -s 64M "$t_dir/counter"
  must qemu-img convert -q -f raw -O qcow2 "$t_dir/counter" "$images/$1.qcow2"
  if [[ ${5:-} == two ]]; then
    must qemu-img create -q -f qcow2 "$images/$1-data.qcow2" 1G
    second="<disk type='file' device='disk'><driver name='qemu' type='qcow2'/><source file='$images/$1-data.qcow2'/><target dev='vdb' bus='virtio'/></disk>"
  fi
  cat >"$t_dir/base.xml" <<END
<domain type='qemu'>
  <name>$1</name>
  <memory unit='MiB'>${3:-32}</memory>
  <os ${4:-}><type arch='x86_64' machine='q35'>hvm</type>${2:-}</os>
  <features><acpi/></features>
  <devices>
    <disk type='file' device='disk'>
      <driver name='qemu' type='qcow2'/>
      <source file='$images/$1.qcow2'/>
      <target dev='vda' bus='virtio'/>
    </disk>
    $second
    <interface type='network'><source network='default'/><model type='virtio'/></interface>
    <serial type='pty'/>
    <memballoon model='none'/>
  </devices>
</domain>
END
  must virsh -q -c qemu:///system define "$t_dir/base.xml"
}

# Print how far the guest $1 has counted in its memory.
count_of ()
{
  printf '%d\n' "$(virsh -c qemu:///system qemu-monitor-command "$1" --hmp 'xp /1xw 0x8000' | sed -n 's/.*: *\(0x[0-9a-f]*\).*/\1/p')"
}

# Wait until the guest $1 has counted to more than $2, and print how far.
count_past ()
{
  local n=0 i
  for ((i = 0; i < 150; i++)); do
    n=$(count_of "$1")
    ((n <= $2 || n > 1000000)) || break
    sleep 0.1
  done
  echo "$n"
}

# Print the count on the disk of $1, as the guest sees it.
count_on_disk ()
{
  qemu-io -U -r -c 'read -v 1M 4' "$(disk_of "$1")" | sed -n '1s/^[0-9a-f]*:  \(..\) \(..\) \(..\) \(..\).*/0x\4\3\2\1/p' | { read -r hex; printf '%d\n' "$hex"; }
}

# Print the file that the first disk of $1 writes to.
disk_of ()
{
  virsh -c qemu:///system domblklist --inactive --details "$1" | awk '$2 == "disk" { print $4; exit }'
}

# Write the byte $2 to the disk of $1, which is off, at 2 MiB.
put_mark ()
{
  must qemu-io -c "write -q -P $2 2M 64k" "$(disk_of "$1")"
}

# Check that the disk of $1 holds the byte $2 at 2 MiB.
assert_mark ()
{
  if qemu-io -U -r -c "read -q -P $2 2M 64k" "$(disk_of "$1")" >"$t_dir/io" 2>&1 && ! grep -q verification "$t_dir/io"; then
    ok
  else
    fail "the disk of '$1' does not hold $2: $(cat "$t_dir/io")"
  fi
}

# Print the names of the snapshots of $1 that libvirt knows, with a space between.
virsh_snapshots ()
{
  virsh -q -c qemu:///system snapshot-list --name "$1" | awk 'NF' | sort | paste -sd ' '
}

# Print the files of the VM $1, with a space between.
files_of ()
{
  find "$images" /var/lib/libvirt/qemu/nvram -name "$1[._-]*" -printf '%f\n' 2>/dev/null | sort | paste -sd ' '
}

# Print the value of the jq filter $2 over the snapshots of $1.
snapshots ()
{
  ramet snapshot list --json "$1" 2>/dev/null | jq -r "$2"
}

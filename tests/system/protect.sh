#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# What a clone stands on is not changed by ramet, and where something else changed it, that is found before the clone runs.
# light: no guest of it boots a system
source "$(dirname -- "${BASH_SOURCE[0]}")/lib.sh"

images=/var/lib/libvirt/images

# Write the disk $1 (raw, 1 MiB) of a guest that does nothing but write its own first sector over its second, and halt.
writer_disk ()
{
  {
    # xor ax,ax; mov es,ax; mov ax,0x0301; mov bx,0x7c00; mov cx,2; mov dx,0x80; int 0x13; hlt; jmp back to hlt
    printf '\x31\xc0\x8e\xc0\xb8\x01\x03\xbb\x00\x7c\xb9\x02\x00\xba\x80\x00\xcd\x13\xf4\xeb\xfd'
    head -c $((510 - 21)) /dev/zero
    printf '\x55\xaa'
  } >"$1"
  truncate -s 1M "$1"
}

# Define the domain $1 with the disk $2 of format $3.
define_domain ()
{
  cat >"$t_dir/domain.xml" <<XML
<domain type='qemu'>
  <name>$1</name>
  <memory unit='MiB'>64</memory>
  <os><type arch='x86_64' machine='q35'>hvm</type></os>
  <devices>
    <disk type='file' device='disk'>
      <driver name='qemu' type='$3'/>
      <source file='$2'/>
      <target dev='vda' bus='virtio'/>
    </disk>
    <serial type='pty'/>
    <memballoon model='none'/>
  </devices>
</domain>
XML
  must virsh -q -c qemu:///system define "$t_dir/domain.xml"
}

# The clone $1 of a base that has changed must not start, and say $2.
start_refuses ()
{
  expect_status 5 ramet start "$1"
  assert_contains "'$1', whose base has changed" "$err" "the error"
  assert_contains "$2" "$err" "the error"
  assert_contains "ramet start --force $1" "$err" "the hint"
  assert_eq "shut off" "$(virsh -c qemu:///system domstate "$1" | xargs)" "the clone"
}

writer_disk "$images/writer.img"
define_domain writer "$images/writer.img" raw
must qemu-img create -q -f qcow2 "$images/still.qcow2" 64M
define_domain still "$images/still.qcow2" qcow2
virsh -q -c qemu:///system pool-refresh default >/dev/null

t_start "a base that was started with virsh is found to have changed, and its clone is not started"
check ramet clone --no-bootstrap writer one
check ramet start one
check ramet stop --force one
check virsh -q -c qemu:///system start writer
wait_for 20 bash -c "cmp -s -n 512 '$images/writer.img' '$images/writer.img' 0 512"
check virsh -q -c qemu:///system destroy writer
start_refuses one "it was written to at"
expect_status 5 ramet restart one

t_start "--force starts it all the same"
check ramet start --force one
assert_eq running "$(virsh -c qemu:///system domstate one | xargs)" "the clone"
expect_status 5 ramet restart --force one
assert_eq running "$(virsh -c qemu:///system domstate one | xargs)" "a clone that could not be started again"
check ramet stop --force one

t_start "each thing that can change in a base's file is told"
check ramet clone --no-bootstrap still two
cp -p "$images/still.qcow2" "$t_dir/still.qcow2"
while IFS='|' read -r text change; do
  must bash -c "$change"
  start_refuses two "$text"
  must cp -p "$t_dir/still.qcow2" "$images/still.qcow2" # into the same inode
  check ramet start two
  check ramet stop --force two
done <<END
it was written to at|touch '$images/still.qcow2'
its disk has 128.0 MiB and had 64.0 MiB|qemu-img resize -q '$images/still.qcow2' 128M
bytes and had|truncate -s +4096 '$images/still.qcow2' && touch -r '$t_dir/still.qcow2' '$images/still.qcow2'
its header is another|printf x | dd of='$images/still.qcow2' bs=1 seek=65000 conv=notrunc status=none && touch -r '$t_dir/still.qcow2' '$images/still.qcow2'
END
mv "$images/still.qcow2" "$images/away.qcow2"
start_refuses two "is not there"
cp -p "$images/away.qcow2" "$images/still.qcow2"
start_refuses two "it was replaced by another file"
mv "$images/away.qcow2" "$images/still.qcow2"
check ramet start two
check ramet stop --force two

t_start "a VM that others stand on is neither started nor removed, and they are named"
check ramet clone --no-bootstrap --grant two three
check ramet clone --no-bootstrap --grant two four
expect_status 5 ramet start two
started=$err
expect_status 4 ramet remove --yes two
for text in "$started" "$err"; do
  assert_contains "three" "$text" "the error"
  assert_contains "four" "$text" "the error"
done
assert_eq "shut off" "$(virsh -c qemu:///system domstate two | xargs)" "the base"
check ramet remove --yes three four
check ramet start two
check ramet stop --force two

t_start "a chain of more than 16 files is refused, with all of them named"
last=$images/still.qcow2
for i in {1..15}; do
  must qemu-img create -q -f qcow2 -b "$last" -F qcow2 "$images/layer$i.qcow2"
  last=$images/layer$i.qcow2
  [[ $i != 14 ]] || define_domain deep "$last" qcow2
done
define_domain deeper "$last" qcow2
check ramet clone --no-bootstrap deep fits
expect_status 5 ramet clone --no-bootstrap deeper unfit
for i in {1..15}; do
  assert_contains "layer$i.qcow2" "$err" "the error"
done
assert_contains "still.qcow2" "$err" "the error"
expect_status 1 virsh -c qemu:///system dominfo unfit

t_start "removed, they leave nothing"
check ramet remove --yes one two fits
assert_eq "" "$(find "$images" -name 'one*' -o -name 'two*' -o -name 'fits*')" "files"

t_done

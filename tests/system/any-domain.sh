#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# Bases with years of settings in them, through the real libvirt: what is cloned is defined with validation, what is refused is
# refused with its place and the option that allows it. The rules one by one are tested by tests/unit/test-domains.c.
# light: no guest of it boots a system
source "$(dirname -- "${BASH_SOURCE[0]}")/lib.sh"

images=/var/lib/libvirt/images
laden=$t_dir/laden.xml

# The value of the XPath $2 in the inactive definition of the domain $1.
value_of ()
{
  virsh -c qemu:///system dumpxml --inactive --security-info "$1" | xmllint --xpath "string($2)" -
}

must qemu-img create -q -f qcow2 "$images/laden.qcow2" 1G
must qemu-img create -q -f raw "$images/both.img" 1M
head -c 4096 /dev/urandom >"$images/medium.iso"
head -c 36 /dev/zero >"$t_dir/table"
virsh -q -c qemu:///system pool-refresh default >/dev/null
cat >"$laden" <<XML
<domain type='qemu' xmlns:qemu='http://libvirt.org/schemas/domain/qemu/1.0'>
  <name>laden</name>
  <uuid>11111111-2222-3333-4444-555555555555</uuid>
  <genid>66666666-7777-8888-9999-000000000000</genid>
  <title>ours</title>
  <description>years of settings</description>
  <memory unit='MiB'>64</memory>
  <cputune><shares>2048</shares></cputune>
  <sysinfo type='smbios'><system><entry name='serial'>S1</entry><entry name='uuid'>11111111-2222-3333-4444-555555555555</entry></system></sysinfo>
  <sysinfo type='fwcfg'><entry name='opt/com.example/inline'>text</entry><entry name='opt/com.example/file' file='$t_dir/table'/></sysinfo>
  <os><type arch='x86_64' machine='q35'>hvm</type><acpi><table type='slic'>$t_dir/table</table></acpi><smbios mode='sysinfo'/></os>
  <features><acpi/></features>
  <devices>
    <disk type='file' device='disk'>
      <driver name='qemu' type='qcow2' discard='unmap'/><source file='$images/laden.qcow2'/><target dev='vda' bus='virtio'/>
      <iotune><total_iops_sec>500</total_iops_sec><group_name>limits</group_name></iotune><serial>WD-42</serial>
    </disk>
    <disk type='file' device='disk'>
      <driver name='qemu' type='raw'/><source file='$images/both.img'/><target dev='vdb' bus='virtio'/><shareable/>
    </disk>
    <disk type='file' device='cdrom'><source file='$images/medium.iso'/><target dev='sda' bus='sata'/><readonly/></disk>
    <interface type='network'>
      <mac address='52:54:00:11:22:33'/><source network='default'/><target dev='mytap0'/><model type='virtio'/>
    </interface>
    <serial type='pty'><log file='/var/log/libvirt/laden.log' append='on'/></serial>
    <serial type='tcp'><source mode='bind' host='127.0.0.1' service='4555'/><protocol type='telnet'/></serial>
    <parallel type='file'><source path='/var/tmp/laden-printer'/></parallel>
    <channel type='unix'><source mode='bind' path='/var/tmp/laden.sock'/><target type='virtio' name='com.example.port'/></channel>
    <graphics type='vnc' port='5907' autoport='no' websocket='5707' passwd='secret' listen='127.0.0.1'/>
    <input type='evdev'><source dev='/dev/input/event0'/></input>
    <hostdev mode='subsystem' type='usb'><source><vendor id='0x1234'/><product id='0xbeef'/></source></hostdev>
    <filesystem type='mount'><source dir='/srv'/><target dir='srv'/></filesystem>
    <vsock model='virtio'><cid auto='no' address='77'/></vsock>
    <rng model='virtio'><backend model='egd' type='tcp'><source mode='connect' host='127.0.0.1' service='708'/></backend></rng>
    <shmem name='shared'><model type='ivshmem-plain'/><size unit='M'>4</size></shmem>
  </devices>
  <seclabel type='static' model='dac' relabel='yes'><label>+0:+0</label></seclabel>
  <qemu:commandline><qemu:arg value='-fw_cfg'/><qemu:arg value='name=opt/x,string=y'/></qemu:commandline>
</domain>
XML
must virsh -q -c qemu:///system define "$laden"
# The disk that base and clone both write to is libvirt's to label.
laden_state ()
{
  virsh -c qemu:///system dumpxml --inactive --security-info laden
  manifest "$images/laden.qcow2"
  manifest "$images/medium.iso"
}

laden_state >"$t_dir/before"

t_start "what only one guest can have is refused, all of it at once, with its place and what allows it"
expect_status 5 ramet clone --no-bootstrap laden web
while IFS='|' read -r place hint; do
  assert_contains "/domain/$place cannot be cloned safely" "$err" "the error"
  [[ -z $hint ]] || assert_contains "hint: $hint" "$(grep -A1 -F "/domain/$place " <<<"$err")" "the hint"
done <<END
devices/disk[2]|--share-disk
devices/serial[2]|--drop-host-devices
devices/input[1]|--drop-host-devices
devices/hostdev|--drop-host-devices
devices/rng|--drop-host-devices
devices/shmem|--drop-host-devices
os/acpi/table|--drop-host-devices
sysinfo[2]/entry[2]|--drop-host-devices
qemu:commandline|--keep-qemu-args
END
assert_contains "-fw_cfg name=opt/x,string=y" "$err" "the arguments"
expect_status 1 virsh -c qemu:///system dominfo web

t_start "with the options it is cloned, and what is left out or shared is said"
options=(--no-bootstrap --drop-host-devices --keep-qemu-args --share-disk vdb)
check ramet clone "${options[@]}" laden web
for text in "left out: /domain/devices/serial[2]" "left out: /domain/devices/hostdev" "left out: /domain/devices/shmem" \
  "left out: /domain/sysinfo[2]/entry[2]" "write to the shareable disk 'vdb'" "the medium in 'sda' is shared" \
  "the password" "share of '/srv' is not in the clone" "static security label" "is taken over as it is"; do
  assert_contains "$text" "$err" "what it says"
done

# What the clone $1 must be like, made from the domain $2.
check_identity ()
{
  local path own
  for path in /domain/uuid /domain/genid //mac/@address "//disk[1]/source/@file" "//serial[1]/log/@file" \
    //parallel/source/@path; do
    own=$(value_of "$1" "$path")
    assert_ne "" "$own" "$path"
    assert_ne "$(value_of "$2" "$path")" "$own" "$path"
  done
  assert_eq "$(value_of "$1" /domain/uuid)" "$(value_of "$1" "//sysinfo[1]/system/entry[@name='uuid']")" "sysinfo's uuid"
  assert_eq "/var/log/libvirt/$1-$(value_of "$1" /domain/uuid)-serial0.log" "$(value_of "$1" "//serial[1]/log/@file")" "the log's path"
  for path in /domain/title /domain/description //interface/target/@dev //graphics/@websocket //graphics/@passwd \
    //vsock/cid/@address //hostdev //shmem //rng //acpi/table "//sysinfo[2]/entry[2]" "//serial[2]" \
    "//channel[target/@name='com.example.port']/source/@path" "//seclabel[@type='static']" "//filesystem"; do
    assert_eq "" "$(value_of "$1" "$path")" "$path"
  done
  assert_eq yes "$(value_of "$1" //graphics/@autoport)" "the display's port"
  assert_eq "$(value_of "$2" "//disk[1]/source/@file")" "$(value_of "$1" "//disk[1]/backingStore/source/@file")" "the backing file"
  assert_eq 2048 "$(value_of "$1" //cputune/shares)" "the CPU shares"
  assert_eq WD-42 "$(value_of "$1" "//disk[1]/serial")" "the disk's serial number"
  assert_eq text "$(value_of "$1" "//sysinfo[2]/entry[1]")" "an entry of the firmware's"
  assert_eq "$images/both.img" "$(value_of "$1" "//disk[2]/source/@file")" "the shared disk"
  assert_eq name=opt/x,string=y "$(value_of "$1" "//*[local-name()='arg'][2]/@value")" "QEMU's arguments"
}

t_start "the clone has nothing that only one can have; its settings are the base's"
check_identity web laden

t_start "so has a clone of the clone"
check ramet clone "${options[@]}" --grant web shop
check_identity shop web

t_start "the same is printed without being made"
check ramet clone --print-xml "${options[@]}" laden paper
assert_eq paper "$(xmllint --xpath 'string(/domain/name)' - <<<"$out")" "the name"
expect_status 1 virsh -c qemu:///system dominfo paper

t_start "a clone of it runs"
virsh -q -c qemu:///system dumpxml --inactive shop | sed '/<vsock/,/<\/vsock>/d' >"$t_dir/shop.xml"
must virsh -q -c qemu:///system define "$t_dir/shop.xml" # the lab's kernel may have no vhost-vsock
check ramet start shop
assert_eq running "$(virsh -c qemu:///system domstate shop | xargs)" "the clone"
check ramet stop --force shop

t_start "firmware and kernel that are not there are told; options that fit nothing too"
sed "s|<os>.*</os>|<os><type arch='x86_64' machine='q35'>hvm</type><kernel>/no/such/kernel</kernel></os>|; s/laden</bare</
  /<uuid>/d; /<genid>/d; /<sysinfo/d; /commandline/d" "$laden" >"$t_dir/bare.xml"
must virsh -q -c qemu:///system define "$t_dir/bare.xml"
expect_status 3 ramet clone "${options[@]}" bare none
assert_contains "/no/such/kernel" "$err" "the error"
touch "$t_dir/kernel"
chmod 600 "$t_dir/kernel"
must virsh -q -c qemu:///system undefine bare
must bash -c "sed 's|/no/such/kernel|$t_dir/kernel|' '$t_dir/bare.xml' | virsh -q -c qemu:///system define /dev/stdin"
expect_status 5 ramet clone "${options[@]}" bare none
assert_contains "cannot read the base's firmware or kernel '$t_dir/kernel'" "$err" "the error"
expect_status 3 ramet clone --no-bootstrap --drop-host-devices --share-disk vdz laden none
assert_contains "no shareable disk 'vdz'" "$err" "the error"

t_start "removed, they leave the base as it was"
check ramet remove --yes shop
check ramet remove --yes web
laden_state >"$t_dir/after"
assert_same_file "$t_dir/before" "$t_dir/after" "the base"

t_done

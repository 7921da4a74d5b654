# shellcheck shell=bash
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# Bases and clones with something on both of their disks, and what a guest sees of it. For tests that source lib.sh before.
# shellcheck disable=SC2154
images=/var/lib/libvirt/images
v=(virsh -q -c qemu:///system)

# ------------------------------------------------------------------ bases and clones with something on their disks

# Print the XML of a base $1 with a qcow2 disk $1.qcow2 and a raw disk $1.img, in folder $2; with $3 = uefi it boots by UEFI.
base_xml ()
{
  local attribute='' firmware=''
  if [[ ${3:-} == uefi ]]; then
    attribute="firmware='efi'"
    firmware="<firmware><feature enabled='no' name='secure-boot'/></firmware>"
  fi
  cat <<XML
<domain type='qemu'>
  <name>$1</name>
  <memory unit='MiB'>64</memory>
  <os $attribute><type arch='x86_64' machine='q35'>hvm</type>$firmware</os>
  <features><acpi/></features>
  <devices>
    <disk type='file' device='disk'>
      <driver name='qemu' type='qcow2'/><source file='$2/$1.qcow2'/><target dev='vda' bus='virtio'/>
    </disk>
    <disk type='file' device='disk'>
      <driver name='qemu' type='raw'/><source file='$2/$1.img'/><target dev='vdb' bus='virtio'/>
    </disk>
    <interface type='network'><source network='default'/><model type='virtio'/></interface>
    <serial type='pty'/>
    <memballoon model='none'/>
  </devices>
</domain>
XML
}

# Make a base $1 with something on both of its disks; with $2 = uefi it boots by UEFI.
make_base ()
{
  qemu-img create -q -f qcow2 "$images/$1.qcow2" 512M
  qemu-img create -q -f raw "$images/$1.img" 64M
  qemu-io -c 'write -P 0x11 0 40M' -c 'write -P 0x12 200M 8M' "$images/$1.qcow2" >/dev/null
  qemu-io -f raw -c 'write -P 0x13 1M 4M' "$images/$1.img" >/dev/null
  base_xml "$1" "$images" "${2:-}" >"$t_dir/base.xml"
  must "${v[@]}" define "$t_dir/base.xml"
}

# Print the file that VM $1 has as its disk $2.
disk_of ()
{
  "${v[@]}" domblklist --inactive "$1" | awk -v target="$2" '$1 == target { print $2 }'
}

# Clone VM $2 from base $1, write to both of its disks, and keep what a guest would see on them as $t_dir/$2-vda and -vdb.
make_clone ()
{
  local target
  must ramet clone --no-bootstrap "$1" "$2"
  qemu-io -c 'write -P 0x21 1M 1M' -c 'write -z 8M 1M' -c 'write -P 0x22 300M 1M' "$(disk_of "$2" vda)" >/dev/null
  qemu-io -c 'write -P 0x23 2M 1M' "$(disk_of "$2" vdb)" >/dev/null
  for target in vda vdb; do
    qemu-img convert -O qcow2 "$(disk_of "$2" "$target")" "$t_dir/$2-$target"
  done
}

# Print the files under disk $2 of VM $1, by its definition.
chain_by_definition ()
{
  "${v[@]}" dumpxml --inactive "$1" | xmllint --xpath "//disk[target/@dev='$2']//backingStore/source/@file" - 2>/dev/null \
    | sed 's/^ *file="//; s/"$//'
}

# Print the same by the files' own headers.
chain_by_headers ()
{
  qemu-img info --backing-chain --output=json "$(disk_of "$1" "$2")" \
    | python3 -c 'import json, sys; [print(i["filename"]) for i in json.load(sys.stdin)[1:]]'
}

# Check that a guest would see on the disks of VM $1 what it saw before, by its definition and by the files' headers alike.
check_content ()
{
  local target
  for target in vda vdb; do
    assert_eq "$(chain_by_definition "$1" "$target")" "$(chain_by_headers "$1" "$target")" "what $target of '$1' stands on"
    check qemu-img compare -q "$t_dir/$1-$target" "$(disk_of "$1" "$target")"
    check qemu-img check -q "$(disk_of "$1" "$target")"
  done
}

# Check that VM $1 can be started, and switch it off again. There is nothing on its disks to boot.
check_starts ()
{
  check ramet start "$1"
  check ramet stop --force "$1"
}

# Move both disks of base $1 to folder $2 with the command $3, and tell libvirt.
move_base ()
{
  local from
  from=$(dirname -- "$(disk_of "$1" vda)")
  # shellcheck disable=SC2086
  ${3:-mv} -- "$(disk_of "$1" vda)" "$(disk_of "$1" vdb)" "$2"
  "${v[@]}" dumpxml --inactive --security-info "$1" | sed "s|$from/|$2/|" >"$t_dir/moved.xml"
  must "${v[@]}" define "$t_dir/moved.xml"
}

# Run a command (from the third argument on), and check that it ends with status $1 and an error that contains $2, and that
# no VM and no file has changed.
refuses ()
{
  local want=$1 text=$2
  shift 2
  state >"$t_dir/before"
  expect_status "$want" "$@"
  assert_contains "$text" "$err" "the error of '$*'"
  assert_contains "hint: " "$err" "the error of '$*'"
  state >"$t_dir/after"
  assert_same_file "$t_dir/before" "$t_dir/after" "the host after '$*'"
}

# Definitions, and the files on the pool's filesystem.
state ()
{
  local name
  "${v[@]}" list --all --name | sort | while read -r name; do
    [[ -z $name ]] || "${v[@]}" dumpxml --inactive --security-info "$name"
  done
  find "$images" -type f -printf '%p %s %T@ %i\n' | sort
}

# Print the files that the metadata of VM $1 says ramet made, and that are there.
own_files ()
{
  ramet info "$1" | sed -n 's/^file  *//p' | while IFS= read -r file; do
    [[ ! -e $file ]] || printf '%s\n' "$file"
  done
}

# All files whose names begin with that of VM $1.
files_of ()
{
  find "$images" -maxdepth 1 -name "$1[.-]*" | sort
}

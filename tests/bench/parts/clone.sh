# shellcheck shell=bash disable=SC2154
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# Parts 1, 3 and 4: a clone that is not booted, against the bare libvirt calls and virt-clone.

# Write what bare-clone needs for a clone $1: the XML that ramet would define, a volume, the metadata of a finished clone.
bare_prepare ()
{
  must ramet clone --print-xml "$base" "$1"
  printf '%s\n' "$out" >"$t_dir/domain.xml"
  cat >"$t_dir/volume.xml" <<END_OF_XML
<volume type='file'>
  <name>$1.qcow2</name>
  <capacity>$bare_capacity</capacity>
  <target><format type='qcow2'/><compat>1.1</compat></target>
  <backingStore><path>$bare_backing</path><format type='qcow2'/></backingStore>
</volume>
END_OF_XML
}

# Take away the domain $1, which is none of ramet's, and its overlay.
bare_remove ()
{
  must virsh -q -c qemu:///system undefine "$1"
  must virsh -q -c qemu:///system vol-delete "$1.qcow2" default
}

# Samples into $1/$2; with the virDomainDefineFlags $3.
bare_measure_tiny ()
{
  bare_prepare bench-tiny
  must "$programs/measure" "$1/$2" "$programs/bare-clone" "$3" \
    "$base" "$t_dir/domain.xml" default "$t_dir/volume.xml" "$t_dir/metadata.xml"
  bare_remove bench-tiny
}

# The disk is what its files take, its definition among them.
bare_measure_ramet ()
{
  must "$programs/measure" "$1/ramet" ramet clone --no-bootstrap "$base" bench-ramet
  must virsh -c qemu:///system dumpxml bench-ramet
  must du --block-size=1 --total -- "$(base_disk <(printf '%s\n' "$out"))" /etc/libvirt/qemu/bench-ramet.xml
  tail -n 1 <<<"$out" | cut -f 1 >>"$1/disk"
  must ramet remove --yes bench-ramet
}

bare_measure_virt_clone ()
{
  local overlay=/var/lib/libvirt/images/bench-virt-clone.qcow2
  must qemu-img create -q -f qcow2 -b "$bare_backing" -F qcow2 "$overlay"
  must virsh -q -c qemu:///system pool-refresh default
  must "$programs/measure" "$1/virt-clone" \
    virt-clone --connect qemu:///system --original "$base" --name bench-virt-clone --file "$overlay" --preserve-data
  bare_remove bench-virt-clone
}

bare_round ()
{
  bare_measure_tiny "$1" tiny 1
  bare_measure_tiny "$1" tiny-unvalidated 0
  bare_measure_ramet "$1"
  ! bench_wants clone || bare_measure_virt_clone "$1"
}

bench_bare ()
{
  local round rounds=$((4 * repetitions + 1)) name
  must virsh -c qemu:///system dumpxml "$base"
  bare_backing=$(base_disk <(printf '%s\n' "$out"))
  must virsh -q -c qemu:///system vol-info --bytes "$bare_backing"
  bare_capacity=$(sed -n 's/^Capacity: *\([0-9]*\).*/\1/p' <<<"$out")
  must ramet clone --no-bootstrap "$base" bench-ramet
  must virsh -c qemu:///system metadata bench-ramet urn:ramet:1
  printf '%s\n' "$out" >"$t_dir/metadata.xml"
  must ramet remove --yes bench-ramet
  mkdir -- "$t_dir/warm-up" "$t_dir/bare"
  bare_round "$t_dir/warm-up"
  for ((round = 1; round <= rounds; round++)); do
    bare_round "$t_dir/bare"
  done
  for name in tiny tiny-unvalidated ramet virt-clone; do
    [[ -e $t_dir/bare/$name ]] || continue
    awk '{ print $1 / 1000 }' "$t_dir/bare/$name" >"$samples/bare-$name-ms"
    awk '{ print $2 / 1000 }' "$t_dir/bare/$name" >"$samples/bare-$name-cpu-ms"
    awk '{ print $3 / 1024 }' "$t_dir/bare/$name" >"$samples/bare-$name-peak-mib"
  done
  awk '{ print $1 / 1024 }' "$t_dir/bare/disk" >"$samples/bare-disk-kib"
}

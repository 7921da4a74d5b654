# shellcheck shell=bash disable=SC2154
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# For the tests of sudden ends, behind host.sh: the base 'tiny', whose guest is a kernel and a shell of busybox on the
# console, up in three seconds where a real one takes forty; and first-boot steps that have nothing to do in it.

# Put into the initramfs folder $1 busybox, what it is linked with, and a first process.
crash_fill_initramfs ()
{
  local file
  mkdir -p "$1"/{bin,dev,proc,sys,run,tmp}
  cp /usr/bin/busybox "$1/bin/busybox"
  ldd /usr/bin/busybox | grep -o '/[^ ]*' | while read -r file; do
    mkdir -p "$1/$(dirname "$file")"
    cp -L "$file" "$1/$file"
  done
  for file in $(busybox --list); do
    [[ $file == busybox ]] || ln -s busybox "$1/bin/$file"
  done
  cat >"$1/init" <<'END'
#!/bin/sh
export PATH=/bin
mount -t proc proc /proc
mount -t sysfs sysfs /sys
mount -t devtmpfs devtmpfs /dev
setsid sh -c 'exec sh -i </dev/ttyS0 >/dev/ttyS0 2>&1' &
while :; do sleep 1000; done
END
  chmod 0755 "$1/init"
}

# Get a kernel out of the cached disk of the base 'debian-12' into $1.
crash_get_kernel ()
{
  local raw=$t_dir/raw offset kernel
  must qemu-img convert -O raw "$(base_image_path "$RAMET_CHECKOUT" "$RAMET_LAB_CACHE")" "$raw"
  offset=$(sfdisk --json "$raw" | python3 -c 'import json, sys
print(512 * max(json.load(sys.stdin)["partitiontable"]["partitions"], key=lambda p: p["size"])["start"])')
  kernel=$(debugfs -R 'ls -p /boot' "$raw?offset=$offset" 2>/dev/null | sed -n 's/.*\/\(vmlinuz-[^/]*\)\/.*/\1/p' | tail -n 1)
  must debugfs -R "dump /boot/$kernel $t_dir/vmlinuz" "$raw?offset=$offset"
  rm "$raw"
  # unpacked here, for that is most of what an emulated CPU would be busy with
  must python3 - "$t_dir/vmlinuz" "$1" <<'END'
import lzma, sys
packed = open(sys.argv[1], 'rb').read()
open(sys.argv[2], 'wb').write(lzma.LZMADecompressor().decompress(packed[packed.index(b'\xfd7zXZ\0'):]))
END
}

# Define the base 'tiny', and put steps for its clones into the folder $1, for RAMET_DATADIR.
crash_make_tiny ()
{
  local data=$1 boot=/var/lib/libvirt/boot
  mkdir -p "$boot"
  crash_get_kernel "$boot/vmlinux"
  crash_fill_initramfs "$t_dir/initramfs"
  (cd "$t_dir/initramfs" && find . | busybox cpio -o -H newc >"$boot/initrd" 2>/dev/null)
  must qemu-img create -q -f qcow2 "$images/tiny.qcow2" 64M
  cat >"$t_dir/tiny.xml" <<END
<domain type='qemu'>
  <name>tiny</name>
  <memory unit='MiB'>192</memory>
  <os>
    <type arch='x86_64' machine='q35'>hvm</type>
    <kernel>$boot/vmlinux</kernel><initrd>$boot/initrd</initrd>
    <cmdline>console=ttyS0 quiet nokaslr mitigations=off cryptomgr.notests=1 tsc=reliable no_timer_check</cmdline>
  </os>
  <devices>
    <disk type='file' device='disk'>
      <driver name='qemu' type='qcow2'/><source file='$images/tiny.qcow2'/><target dev='vda' bus='virtio'/>
    </disk>
    <serial type='pty'/>
    <memballoon model='none'/>
  </devices>
</domain>
END
  must virsh -q -c qemu:///system define "$t_dir/tiny.xml"
  must virsh -q -c qemu:///system pool-refresh default
  mkdir -p "$data/bootstrap/guest/extra"
  cp -r "$RAMET_DATADIR/templates" "$data/"
  cp -r "$RAMET_DATADIR/bootstrap/console" "$data/bootstrap/"
  printf '# Ensures nothing\necho nothing\n' >"$data/bootstrap/guest/10-nothing.sh"
  printf '# Ensures nothing\n' >"$data/bootstrap/guest/extra/install-packages.sh"
  must ssh-keygen -q -t ed25519 -N '' -C '' -f "$t_dir/host-key"
  printf "# Ensures that a host key is told\necho '%s'\n" "$(cut -d' ' -f1,2 "$t_dir/host-key.pub")" \
    >"$data/bootstrap/guest/extra/report.sh"
  # all but the first process and this one
  printf '# Ensures that no shell answers\nsetsid sh -c "sleep 1; kill -9 -1" </dev/null >/dev/null 2>&1 &\n' \
    >"$data/bootstrap/guest/extra/seal.sh"
}

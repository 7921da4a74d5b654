# shellcheck shell=bash disable=SC2154
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# For the tests of sudden ends, behind lib.sh: a base of which every step of a clone has something to leave behind, and
# what the host looks like before and after.

crash_dir=$(cd -- "$(dirname -- "${BASH_SOURCE[0]}")" && pwd)
images=/var/lib/libvirt/images
nvram=/var/lib/libvirt/qemu/nvram

# Print the XML of the base 'hollow': two disks with nothing on them, one of them closed to QEMU's user, and UEFI variables.
crash_base_xml ()
{
  cat <<END
<domain type='qemu'>
  <name>hollow</name>
  <memory unit='MiB'>64</memory>
  <os>
    <type arch='x86_64' machine='q35'>hvm</type>
    <loader readonly='yes' type='pflash'>/usr/share/OVMF/OVMF_CODE_4M.fd</loader>
    <nvram>$nvram/hollow_VARS.fd</nvram>
  </os>
  <features><acpi/></features>
  <devices>
    <disk type='file' device='disk'>
      <driver name='qemu' type='qcow2'/><source file='$images/hollow.qcow2'/><target dev='vda' bus='virtio'/>
    </disk>
    <disk type='file' device='disk'>
      <driver name='qemu' type='qcow2'/><source file='/home/dev/disks/data.qcow2'/><target dev='vdb' bus='virtio'/>
    </disk>
    <interface type='network'><source network='default'/><model type='virtio'/></interface>
    <serial type='pty'/>
    <memballoon model='none'/>
  </devices>
</domain>
END
}

# Define 'hollow', and make two projects in a home that is closed to QEMU's user.
crash_make_base ()
{
  mkdir -p /home/dev/disks /home/dev/app /home/dev/lib "$nvram"
  must qemu-img create -q -f qcow2 "$images/hollow.qcow2" 1G
  must qemu-img create -q -f qcow2 /home/dev/disks/data.qcow2 1G
  must cp /usr/share/OVMF/OVMF_VARS_4M.fd "$nvram/hollow_VARS.fd"
  echo text >/home/dev/app/file
  chown -R dev: /home/dev
  chmod 0700 /home/dev /home/dev/lib
  chmod 0600 /home/dev/disks/data.qcow2
  crash_base_xml >"$t_dir/hollow.xml"
  must virsh -q -c qemu:///system define "$t_dir/hollow.xml"
  must virsh -q -c qemu:///system pool-refresh default
}

# Print all that ramet could leave behind or change: domains, pools, volumes, what runs, files and who may read them; not
# the logs of attempts.
crash_state ()
{
  virsh -q -c qemu:///system "list --all --uuid --name; pool-list --all; vol-list default; dumpxml --inactive hollow"
  "$crash_dir/state" "$images" "$nvram" /var/lib/libvirt/qemu/save /var/lib/libvirt/qemu/snapshot /home/dev
  find /etc/libvirt/qemu /etc/libvirt/storage /run/libvirt/storage -name '*.xml' | sort
  pgrep -x qemu-system-x86 || true
}

# Print the path of the library that makes ramet's calls of libvirt fail, see fail-nth.c; it is built with the other tests.
crash_fail_nth ()
{
  local library=/run/lab/build/tests/fail-nth.so
  if [[ ! -e $library ]]; then
    t_name=${t_name:-set-up}
    fail "'tests/fail-nth.so' is not in the build folder" >&2
    exit 1
  fi
  echo "$library"
}

# Print the steps that the command goes through, 'NAME:N' each.
crash_steps ()
{
  { RAMET_STOP_AT='?' timeout 30 "$@" 2>&1 </dev/null || true; } | sed -n 's/^step //p'
}

# Keep what the host and doctor say now, which is what they are to say after each sudden end.
crash_keep_state ()
{
  crash_state >"$t_dir/before"
  ramet doctor --json >"$t_dir/healthy" || true
}

# Have doctor mend what is ours; looking again, it finds nothing more to mend, and nothing new but what it always says of a
# VM that is whole. $1 says what happened before.
crash_mend ()
{
  local run
  for run in 1 2; do
    timeout 60 ramet doctor --fix --json >"$t_dir/doctor.$run" 2>"$t_dir/doctor.err" || [[ $? == 1 ]] \
      || fail "$1: doctor died: $(cat "$t_dir/doctor.err")"
  done
  python3 - "$t_dir/healthy" "$t_dir/doctor.2" >"$t_dir/unmended" 2>&1 <<'END' || echo "no answer of doctor's: $(cat "$t_dir/doctor.err")" >>"$t_dir/unmended"
import json, sys
healthy, found = (json.load(open(path)) for path in sys.argv[1:])
for one in found:
    if one not in healthy and (one["mended"] or one["severity"] == "error" or one["check"] not in ("console", "name", "guest-kernel", "pool")):
        print(one)
END
  assert_eq "" "$(cat "$t_dir/unmended")" "$1: what doctor finds the second time"
}

# Check that the VM $2 is whole, if it is there, and remove it. $1 says what happened before. Sets crash_ended to its state,
# or 'gone'.
crash_whole_or_gone ()
{
  local disk what="$1: '$2'"
  crash_ended=gone
  virsh -c qemu:///system dominfo "$2" >/dev/null 2>&1 || return 0
  t_run ramet info --json "$2"
  crash_ended=$(python3 -c 'import json, sys; print(json.load(sys.stdin)[0]["state"])' <<<"$out" || true)
  [[ $crash_ended == raw || $crash_ended == ready ]] || fail "$what is neither whole nor gone: ${crash_ended:-$err}"
  for disk in $(virsh -q -c qemu:///system dumpxml --inactive "$2" | sed -n "s/.*<source file='\([^']*\)'.*/\1/p; s/.*<nvram[^>]*>\([^<]*\)<.*/\1/p"); do
    [[ -s $disk ]] || fail "$what is there without '$disk'"
  done
  t_run timeout 60 ramet remove --yes "$2"
  ((status == 0)) || fail "$what cannot be removed: $err"
}

# Check that each of the VMs $2… is whole or gone after doctor has mended what is ours, remove it, and check that the base
# and the host are as they were when they were kept. $1 says what happened before.
crash_settle ()
{
  local what=$1 name
  shift
  crash_mend "$what"
  for name in "$@"; do
    crash_whole_or_gone "$what" "$name"
  done
  crash_state >"$t_dir/after"
  assert_same_file "$t_dir/before" "$t_dir/after" "$what: the host"
}

# The same after what should leave nothing to mend: doctor is only asked where there is something.
crash_settle_if_needed ()
{
  crash_ended=gone
  if ! virsh -c qemu:///system dominfo "$2" >/dev/null 2>&1; then
    crash_state >"$t_dir/after"
    if cmp -s "$t_dir/before" "$t_dir/after"; then
      ok
      return 0
    fi
  fi
  crash_settle "$@"
}

# Wait at most $2 seconds until the process $1 is stopped or has ended; gives whether it is stopped.
crash_wait_stopped ()
{
  local deadline=$((SECONDS + $2)) state
  while ((SECONDS < deadline)); do
    state=$(ps -o state= -p "$1" || true)
    case $state in
      T*) return 0 ;;
      '' | Z*) return 1 ;;
    esac
    sleep 0.02
  done
  return 1
}

# Wait at most $2 seconds for the process $1 of this shell to end, and kill it then; sets status, 'hung' if it came to that.
crash_wait_end ()
{
  local deadline=$((SECONDS + $2)) state
  while state=$(ps -o state= -p "$1") && [[ $state != Z* ]]; do
    if ((SECONDS >= deadline)); then
      kill -KILL "$1"
      { wait "$1" || true; } 2>/dev/null
      status=hung
      return 0
    fi
    sleep 0.02
  done
  status=0
  { wait "$1" || status=$?; } 2>/dev/null
}

# Kill libvirtd, start it again, and wait until it is ready.
crash_restart_libvirtd ()
{
  local pid tries
  pid=$(cat /run/libvirtd.pid)
  kill -KILL "$pid"
  while [[ -e /proc/$pid ]]; do sleep 0.02; done
  must libvirtd --daemon
  for ((tries = 0; tries < 500; tries++)); do
    if virsh -q -c qemu:///system vol-list default >/dev/null 2>&1; then
      return 0
    fi
    sleep 0.02
  done
  fail "libvirtd did not come back"
}

# shellcheck shell=bash disable=SC2154
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# Part 7: five VMs frozen together, against a program that suspends them from five threads.

pause_names=(bench-pause-1 bench-pause-2 bench-pause-3 bench-pause-4 bench-pause-5)

# Five VMs that hold nothing but firmware, which has come to its end: how a VM is frozen does not depend on what is in it,
# and five guests that boot would take all of the processor.
pause_make ()
{
  local name
  must qemu-img create -q -f qcow2 /var/lib/libvirt/images/bench-hollow.qcow2 64M
  must virsh -c qemu:///system define /dev/stdin <<END_OF_XML
<domain type='qemu'>
  <name>bench-hollow</name>
  <memory unit='MiB'>128</memory>
  <os><type arch='x86_64' machine='q35'>hvm</type></os>
  <features><acpi/></features>
  <devices>
    <disk type='file' device='disk'>
      <driver name='qemu' type='qcow2'/>
      <source file='/var/lib/libvirt/images/bench-hollow.qcow2'/>
      <target dev='vda' bus='virtio'/>
    </disk>
    <serial type='pty'/>
  </devices>
</domain>
END_OF_XML
  must virsh -c qemu:///system pool-refresh default
  for name in "${pause_names[@]}"; do
    must ramet clone --no-bootstrap --project bench-pause bench-hollow "$name"
    must ramet start "$name"
  done
  sleep 10
}

# Run the command from the third argument on, which pauses all five: its time goes to the samples $1, the spread between the
# first and the last to $2, both in milliseconds, the spread by the times that QEMU itself gives to its events.
pause_measure ()
{
  local time=$1 spread=$2 since events=$t_dir/events
  shift 2
  virsh -c qemu:///system qemu-monitor-event --event STOP --loop >"$events" 2>&1 &
  sleep 0.5
  since=$EPOCHREALTIME
  must "$@"
  bench_add "$time" "$(awk -v since="$since" -v until="$EPOCHREALTIME" 'BEGIN { printf "%.3f", (until - since) * 1000 }')"
  sleep 0.3
  kill -INT "$!"
  wait "$!" || true
  bench_add "$spread" "$(awk '
    match ($0, /STOP at [0-9.]+/) {
      at = substr ($0, RSTART + 8, RLENGTH - 8) + 0; n++
      if (n == 1 || at < first) first = at
      if (at > last) last = at
    }
    END { if (n != 5) exit 1; printf "%.3f", (last - first) * 1000 }' "$events")"
  must ramet resume @bench-pause
}

bench_pause ()
{
  local round
  pause_make
  for ((round = 0; round <= 4 * repetitions; round++)); do
    pause_measure pause-ramet-ms pause-ramet-spread-ms ramet pause @bench-pause
    pause_measure pause-bare-ms pause-bare-spread-ms "$programs/bare-suspend" "${pause_names[@]}"
  done
  must ramet remove --yes @bench-pause
  must virsh -c qemu:///system undefine bench-hollow
}

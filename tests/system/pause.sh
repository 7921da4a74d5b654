#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# Several VMs paused and resumed as one, with nothing on their disks: how far apart they freeze, and that all or none do,
# whatever comes in between. See pause-guest.sh for what happens inside of guests.
# light: no guest of it boots a system
source "$(dirname -- "${BASH_SOURCE[0]}")/lib.sh"

images=/var/lib/libvirt/images
save=/var/lib/libvirt/qemu/save
library=$(readlink -f -- "$RAMET_BUILD")/tests/fail-nth.so
export ASAN_OPTIONS=${ASAN_OPTIONS:-}:verify_asan_link_order=0:detect_leaks=0

# Print the states of the five, each once if they agree.
states ()
{
  local n
  for n in 1 2 3 4 5; do
    virsh -c qemu:///system domstate "h$n"
  done | xargs -n 1 | sort | uniq -c | xargs
}

# Check that all five are $1, and no memory of theirs lies on disk unless it is saved.
all_are ()
{
  assert_eq "$1" "$(states)" "the states"
  [[ $1 == *shut* ]] || assert_eq "" "$(ls "$save")" "files with memory"
}

# Check that all run, whatever was tried; makes them so if not.
all_run ()
{
  all_are "5 running"
  [[ $(states) == "5 running" ]] || must ramet resume @five
}

# Run ramet until it has done the step $1, then the function $2, and go on; keeps out, err and status as check does. Ramet's
# environment has the assignments in $surroundings.
surroundings=()
stopped_at ()
{
  local step=$1 then=$2 pid
  shift 2
  RAMET_STOP_AT=$step env --default-signal=INT "${surroundings[@]}" ramet "$@" >"$t_dir/begun-out" 2>"$t_dir/begun-err" </dev/null &
  pid=$!
  wait_for 30 grep -q '^State:.*T' "/proc/$pid/status"
  "$then" "$pid"
  kill -CONT "$pid" 2>/dev/null || true
  status=0
  { wait "$pid" || status=$?; } 2>/dev/null
  out=$(cat "$t_dir/begun-out") err=$(cat "$t_dir/begun-err")
}

interrupt () { kill -INT "$1"; }
kill_hard () { kill -KILL "$1"; }
lose_libvirtd () { restart_libvirtd; }
lose_h5 () { must ramet remove --yes h5; }

must qemu-img create -q -f qcow2 "$images/hollow.qcow2" 64M
cat >"$t_dir/hollow.xml" <<END
<domain type='qemu'>
  <name>hollow</name>
  <memory unit='MiB'>64</memory>
  <os><type arch='x86_64' machine='q35'>hvm</type></os>
  <devices>
    <disk type='file' device='disk'>
      <driver name='qemu' type='qcow2'/><source file='$images/hollow.qcow2'/><target dev='vda' bus='virtio'/>
    </disk>
    <serial type='pty'/>
    <memballoon model='none'/>
  </devices>
</domain>
END
must virsh -q -c qemu:///system define "$t_dir/hollow.xml"
must virsh -q -c qemu:///system pool-refresh default
for n in 1 2 3 4 5; do
  must ramet clone --no-bootstrap --project five hollow "h$n"
  must ramet start "h$n"
done

# ------------------------------------------------------------------ in memory

t_start "five VMs freeze at one time, and go on"
for turn in 1 2 3; do
  timeout 10 virsh -c qemu:///system qemu-monitor-event --timestamp --loop --event STOP >"$t_dir/events" &
  watcher=$!
  sleep 0.5
  check ramet pause @five
  all_are "5 paused"
  wait_for 5 bash -c "(( \$(grep -c 'event STOP' '$t_dir/events') == 5 ))"
  kill "$watcher"
  wait "$watcher" || true
  spread=$(python3 - "$t_dir/events" <<'END'
import datetime, re, sys
times = [datetime.datetime.fromisoformat(m[1]) for m in re.finditer(r'^(\S+ \S+?)\+0000: event STOP', open(sys.argv[1]).read(), re.M)]
print(round((max(times) - min(times)).total_seconds() * 1000) if len(times) == 5 else 'of %d events' % len(times))
END
)
  note "turn $turn: the spread is $spread ms"
  if [[ $spread =~ ^[0-9]+$ ]] && ((spread < 50)); then ok; else fail "the spread is $spread ms"; fi
  check ramet resume @five
  all_are "5 running"
done

t_start "what is paused stays so, what runs is fine, and what is off is told or left alone"
check ramet pause h1
check ramet pause @five
all_are "5 paused"
check ramet resume h1 h2
check ramet resume @five
check ramet stop --force h3
expect_status 4 ramet pause h1 h3
assert_contains "cannot pause 'h3': it is off" "$err" "the error"
assert_contains "hint: 'ramet start h3'" "$err" "the hint"
assert_eq "4 running 1 shut off" "$(states | sed 's/1 off 4 running 1 shut/4 running 1 shut off/')" "the states"
expect_status 4 ramet resume h3
check ramet pause @five
assert_contains "4 paused" "$(states)" "the states"
check ramet resume @five
check ramet stop --force @five
expect_status 4 ramet pause @five
assert_contains "none of these VMs runs" "$err" "the error"
check ramet start @five
expect_status 3 ramet pause h1 nobody
all_run
expect_status 2 ramet pause --stop-users h1
expect_status 2 ramet pause --kill-users h1
check ramet pause --json h1 h2
assert_eq "h1 paused true h2 paused true" "$(jq -r '.[] | .name, .run, .done' <<<"$out" | xargs)" "the JSON"
check ramet resume --json @five
assert_eq "5" "$(jq '[.[] | select(.run == "running" and .done)] | length' <<<"$out")" "those that run"

t_start "if one cannot be paused, all run"
for how in error silent late; do
  for nth in 1 3 5; do
    expect_status 1 env LD_PRELOAD="$library" RAMET_FAIL_TOLD="$t_dir/told" RAMET_FAIL_CALL=virDomainSuspend \
      RAMET_FAIL_NTH=$nth RAMET_FAIL_HOW=$how ramet pause @five
    assert_match "cannot pause 'h[1-5]'" "$err" "the error"
    all_run
  done
done
expect_status 1 env LD_PRELOAD="$library" RAMET_FAIL_TOLD="$t_dir/told" RAMET_FAIL_CALL=virDomainSuspend \
  RAMET_FAIL_NTH=2 ramet pause --json @five
assert_eq "0" "$(jq '[.[] | select(.done)] | length' <<<"$out")" "those that are done, in JSON"
all_run

t_start "if one cannot be resumed, the others run, and it is told"
must ramet pause @five
expect_status 6 env LD_PRELOAD="$library" RAMET_FAIL_TOLD="$t_dir/told" RAMET_FAIL_CALL=virDomainResume RAMET_FAIL_NTH=2 \
  ramet resume @five
assert_match "cannot resume 'h[1-5]'" "$err" "the error"
all_are "1 paused 4 running"
check ramet resume @five
all_run

t_start "Ctrl-C, a kill and a restart of libvirtd in the middle of a pause"
stopped_at group-suspended interrupt pause @five
# it may be done by then
if [[ $status == 0 ]]; then
  all_are "5 paused"
  must ramet resume @five
else
  assert_eq 130 "$status" "the exit status after Ctrl-C"
fi
all_run
stopped_at group-suspended kill_hard pause @five
assert_eq 137 "$status" "the exit status after a kill"
all_are "5 paused"
check ramet resume @five
all_run
stopped_at group-suspended lose_libvirtd pause @five
all_are "5 paused"
check ramet resume @five
all_run

t_start "a QEMU that hangs does not keep Ctrl-C waiting, nor the others frozen"
qemu=$(pgrep -f 'guest=h4,')
kill -STOP "$qemu"
env --default-signal=INT ramet pause @five >"$t_dir/out" 2>"$t_dir/err" &
pid=$!
sleep 2
kill -INT "$pid"
began=$SECONDS
status=0
wait "$pid" || status=$?
# it hangs for as long as it is let: nothing but Ctrl-C ends this
((SECONDS - began < 60)) || fail "it took $((SECONDS - began)) s to end"
ok
assert_match '^(124|130)$' "$status" "the exit status"
for n in 1 2 3 5; do
  assert_eq running "$(virsh -c qemu:///system domstate "h$n" | xargs)" "h$n"
done
kill -CONT "$qemu"
sleep 1
check ramet resume @five
all_run

# ------------------------------------------------------------------ on disk

t_start "five VMs are saved, and go on; start does the same as resume"
check ramet pause --to-disk @five
all_are "5 off 5 shut"
assert_eq "h1.save h2.save h3.save h4.save h5.save" "$(cd "$save" && echo *)" "the files"
assert_eq "saved" "$(ramet list --all --json | jq -r '[.[] | select(.project == "five").run] | unique | join(" ")')" "as told by list"
check ramet pause --to-disk @five
expect_status 4 ramet pause @five
expect_status 4 ramet pause h1
check ramet resume h1 h2
check ramet start @five
all_run
check ramet pause h2
check ramet pause --to-disk @five
check ramet resume @five
all_run

t_start "what is saved is not lost by a stop or a restart, unless that is forced"
check ramet pause --to-disk h1
check ramet stop h1
assert_contains "its memory saved" "$err" "the warning"
assert_contains "ramet resume h1" "$err" "the warning"
expect_status 4 ramet restart h1
assert_contains "hint: 'ramet resume h1'" "$err" "the hint"
assert_eq h1.save "$(ls "$save")" "the file"
check ramet stop --force h1
assert_eq "" "$(ls "$save")" "the file"
assert_eq "shut off" "$(virsh -c qemu:///system domstate h1)" "its state"
check ramet start h1
check ramet pause --to-disk h1
check ramet restart --force h1
assert_eq "" "$(ls "$save")" "the file"
all_run

t_start "if one cannot be saved, all run"
for how in error silent late; do
  for nth in 1 4; do
    expect_status 1 env LD_PRELOAD="$library" RAMET_FAIL_TOLD="$t_dir/told" RAMET_FAIL_CALL=virDomainManagedSave \
      RAMET_FAIL_NTH=$nth RAMET_FAIL_HOW=$how ramet pause --to-disk @five
    assert_match "cannot save the memory of 'h[1-5]'" "$err" "the error"
    all_run
  done
done
mount -t tmpfs -o size=64k,mode=0755 tmpfs "$save"
must ramet pause h5
expect_status 1 ramet pause --to-disk @five
assert_match "cannot save the memory of 'h[1-5]'" "$err" "the error"
all_are "1 paused 4 running"
umount "$save"
check ramet resume h5

t_start "if one cannot be saved, and another not be started again, that one is told, its memory is kept, and the others run"
# no file can be written in the place of this folder
mkdir "$save/h5.save"
for how in error silent; do
  expect_status 1 env LD_PRELOAD="$library" RAMET_FAIL_TOLD="$t_dir/told" RAMET_FAIL_CALL=virDomainCreate \
    RAMET_FAIL_NTH=1 RAMET_FAIL_HOW=$how ramet pause --to-disk @five
  assert_contains "cannot save the memory of 'h5'" "$err" "the error"
  assert_match "could not go on with what was paused: cannot start 'h[1-4]'" "$err" "the warning"
  assert_eq "1 off 4 running 1 shut" "$(states)" "the states"
  check ramet resume @five
done
# one of the first four is paused before: it is so again, or it is the one that does not start
must ramet pause h4
expect_status 1 env LD_PRELOAD="$library" RAMET_FAIL_TOLD="$t_dir/told" RAMET_FAIL_CALL=virDomainCreate RAMET_FAIL_NTH=1 \
  ramet pause --to-disk @five
assert_match '^(paused|shut off)$' "$(virsh -c qemu:///system domstate h4 | xargs)" "the state of h4"
assert_eq running "$(virsh -c qemu:///system domstate h5 | xargs)" "the state of h5"
check ramet resume @five
rmdir "$save/h5.save"
all_run

t_start "Ctrl-C, a kill and a restart of libvirtd in the middle of saving"
for step in pause-detached group-suspended group-saved; do
  stopped_at "$step" interrupt pause --to-disk @five
  if [[ $step == group-saved ]]; then
    # it is done by then
    assert_match '^(0|130)$' "$status" "the exit status after Ctrl-C at $step"
    [[ $status == 0 ]] && must ramet resume @five
  else
    assert_eq 130 "$status" "the exit status after Ctrl-C at $step"
  fi
  all_run
  stopped_at "$step" kill_hard pause --to-disk @five
  check ramet resume @five
  all_run
  stopped_at "$step" lose_libvirtd pause --to-disk @five
  case $status in
    0) check ramet resume @five ;;
    1) assert_match "connection|cannot (save|pause|read the metadata of)" "$err" "the error" ;;
    *) fail "status $status: $err" ;;
  esac
  all_run
done

# ------------------------------------------------------------------ another ramet

# Check that h1 is refused for each of the commands in $refused.
is_refused ()
{
  local command
  for command in "${refused[@]}"; do
    # shellcheck disable=SC2086
    expect_status 4 ramet $command h1
    assert_contains "'h1': another ramet is at work on it" "$err" "the error of $command"
    assert_contains "hint: wait" "$err" "the hint of $command"
  done
}

t_start "what another ramet is at work on is left alone until that is done"
refused=(start stop "stop --force" "restart --force" resume pause "pause --to-disk" "remove --yes")
stopped_at group-suspended is_refused snapshot create h1@a
assert_eq 0 "$status" "the exit status of the snapshot; $err"
refused=(start "restart --force" resume pause "pause --to-disk" "remove --yes")
stopped_at revert-destroyed is_refused snapshot revert h1@a
assert_eq 0 "$status" "the exit status of the revert; $err"
check ramet pause h1
check ramet resume h1
stopped_at group-suspended kill_hard snapshot create h1@b
# what a ramet was at work on that is gone is nobody's
check ramet resume h1
check ramet snapshot create h1@c
check ramet snapshot delete h1@c
check ramet snapshot delete h1@a
all_run

t_start "a VM that goes away meanwhile keeps none of the others paused"
surroundings=(LD_PRELOAD="$library" RAMET_FAIL_TOLD="$t_dir/told" RAMET_FAIL_CALL=virDomainSuspend RAMET_FAIL_NTH=1)
stopped_at group-suspended lose_h5 pause @five
assert_eq 1 "$status" "the exit status"
assert_match "cannot pause 'h[1-5]'" "$err" "the error"
assert_contains "cannot ask for the state of 'h5'" "$err" "the warning"
for n in 1 2 3 4; do
  assert_eq running "$(virsh -c qemu:///system domstate "h$n" | xargs)" "h$n"
done

check ramet remove --yes @five
assert_eq "" "$(ls "$save")" "files with memory"
t_done

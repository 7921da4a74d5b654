#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# Snapshots that something comes in the way of: names and files that are taken, no room, what virsh did on the side, clones that
# stand on them, Ctrl-C, and ramet or libvirtd killed after every step. Each time what the VM wrote is still there.
# light: no guest of it boots a system
source "$(dirname -- "${BASH_SOURCE[0]}")/lib.sh"
# shellcheck source=tests/system/snapshot.d/host.sh
source "$(dirname -- "${BASH_SOURCE[0]}")/snapshot.d/host.sh"
# shellcheck source=tests/system/crash.d/host.sh
source "$(dirname -- "${BASH_SOURCE[0]}")/crash.d/host.sh"

library=$(crash_fail_nth)
# a build with sanitizers wants to be the first to be loaded
export ASAN_OPTIONS=${ASAN_OPTIONS:-}:verify_asan_link_order=0:detect_leaks=0

# Make the VM 'web' anew: off, with the marks 1 and 2 in the snapshots a and b, and 3 on its disk.
fresh ()
{
  ramet remove -q --yes web >/dev/null 2>&1 || true
  must ramet clone -q --no-bootstrap hollow web
  put_mark web 1
  must ramet snapshot create -q web@a
  put_mark web 2
  must ramet snapshot create -q web@b
  put_mark web 3
}

# Make 'web' and 'db' anew, running.
fresh_pair ()
{
  ramet remove -q --yes web >/dev/null 2>&1 || true
  ramet remove -q --yes db >/dev/null 2>&1 || true
  must ramet clone -q --no-bootstrap hollow web
  must ramet clone -q --no-bootstrap hollow db
  must ramet start -q web db
  count_past web 4096 >/dev/null
  count_past db 4096 >/dev/null
}

# Kill the command (from the second argument on) right after its step $1.
kill_at ()
{
  local step=$1
  shift
  t_run bash -c '"$@" || exit' bash env RAMET_STOP_AT="$step" RAMET_STOP_SIGNAL=KILL timeout 100 "$@" </dev/null
  [[ $status == 137 ]] || fail "it did not come to '$step': status $status, $err"
}

# Interrupt the command (from the second argument on) by Ctrl-C right after its step $1; sets status.
cut_at ()
{
  local step=$1
  shift
  RAMET_STOP_AT=$step "$@" >"$t_dir/cut.out" 2>"$t_dir/cut.err" </dev/null &
  pid=$!
  crash_wait_stopped "$pid" 30 || fail "it did not come to '$step': $(cat "$t_dir/cut.err")"
  before_cut
  kill -INT "$pid"
  kill -CONT "$pid"
  crash_wait_end "$pid" 60
}

# What cut_at does while the command stands still: nothing, unless a test says otherwise.
before_cut ()
{
  :
}

# Is the file $1 no more in the chain that the disks of 'web' have?
is_merged ()
{
  ! virsh -q -c qemu:///system dumpxml web | grep -qF "'$images/$1'"
}

# Check that 'web' has no file but the one that it writes to.
assert_one_file ()
{
  assert_eq "$(basename -- "$(disk_of web)")" "$(files_of web)" "$1: the files of web"
}

# Check that $1 runs and counts on.
assert_counts ()
{
  local n
  assert_eq running "$(virsh -c qemu:///system domstate "$1" | head -1)" "the VM '$1'"
  n=$(count_of "$1")
  (($(count_past "$1" "$n") > n)) && ok || fail "'$1' does not go on"
}

# Check that nothing of a snapshot is left of $1, which counts on with its disk as it was.
assert_untouched ()
{
  assert_eq "$1.qcow2" "$(files_of "$1")" "the files of '$1'"
  assert_eq "" "$(virsh_snapshots "$1")$(snapshots "$1" '.[].name')" "the snapshots of '$1'"
  assert_counts "$1"
  check qemu-img check -q -U "$(disk_of "$1")"
}

counter_base hollow

# ------------------------------------------------------------------ bad input

t_start "a name that is taken is refused, and none of the VMs gets it"
must ramet clone -q --no-bootstrap hollow web
must ramet clone -q --no-bootstrap hollow db
check ramet snapshot create web@a
expect_status 4 ramet snapshot create db@a web@a
assert_contains "'web' has a snapshot 'a' already" "$err"
assert_contains "hint: " "$err"
assert_eq "" "$(snapshots db '.[].name')" "the snapshots of db"
echo precious >"$images/db.b.qcow2"
expect_status 4 ramet snapshot create web@b db@b
assert_contains "'$images/db.b.qcow2'" "$err"
assert_eq precious "$(cat "$images/db.b.qcow2")" "the file"
rm "$images/db.b.qcow2"
assert_eq a "$(snapshots web '.[].name')" "the snapshots of web"

t_start "a snapshot or VM that is not there is told as such"
expect_status 2 ramet snapshot create web@
assert_contains "'web@' names no snapshot" "$err" "the error"
expect_status 3 ramet snapshot revert web@nothing
expect_status 3 ramet snapshot delete web@nothing
expect_status 3 ramet snapshot create web@b nobody@b
assert_eq a "$(snapshots web '.[].name')" "the snapshots of web"

t_start "a VM whose memory is saved is refused, and its snapshot can be reverted to"
check ramet start web
must virsh -q -c qemu:///system managedsave web
expect_status 4 ramet snapshot create web@b
assert_contains "ramet resume web" "$err"
expect_status 4 ramet snapshot delete web@a
check ramet snapshot revert web@a
assert_eq "shut off no" "$(virsh -c qemu:///system dominfo web | sed -n 's/^State: *//p; s/^Managed save: *//p' | paste -sd ' ')" "the VM"

t_start "flatten and rebase refuse a VM with snapshots"
expect_status 4 ramet flatten web
assert_contains "ramet snapshot delete web@SNAPSHOT" "$err"
expect_status 4 ramet rebase web

t_start "a project is not brought back in part, unless what lacks the snapshot was made later"
must ramet remove -q --yes web db
for name in web db worker; do
  must ramet clone -q --no-bootstrap --project shop hollow "$name"
done
put_mark db 1
sleep 1
must ramet snapshot create -q @shop@whole
sleep 2
must ramet clone -q --no-bootstrap --project shop hollow late
put_mark db 2
must ramet snapshot delete -q web@whole
expect_status 4 ramet snapshot revert @shop@whole
assert_contains "'web' has no snapshot 'whole', which the others have, and was there when it was taken" "$err"
assert_contains "'ramet snapshot revert db@whole worker@whole' brings back the others alone" "$err"
assert_lacks "'late' has no snapshot" "$err"
assert_mark db 2
check ramet snapshot revert db@whole worker@whole
assert_mark db 1
must ramet remove -q --yes web
put_mark db 2
check ramet snapshot revert @shop@whole
assert_contains "'late' was made after the snapshot 'whole', and is left as it is" "$err"
assert_mark db 1
check ramet snapshot delete @shop@whole
expect_status 3 ramet snapshot revert @shop@whole
must ramet remove -q --yes db worker late
must ramet clone -q --no-bootstrap hollow web
must ramet clone -q --no-bootstrap hollow db
must ramet snapshot create -q web@a

# ------------------------------------------------------------------ on the side

t_start "a record that libvirt lost is told; the snapshot can still be deleted"
must virsh -q -c qemu:///system snapshot-delete web a --metadata
check ramet snapshot list web
assert_contains "libvirt knows the snapshot 'a' no more" "$err"
assert_contains "damaged" "$out"
expect_status 4 ramet snapshot revert web@a
check ramet snapshot delete web@a
assert_one_file "after the deletion"

t_start "a snapshot that others made is told, and keeps ramet from touching its own"
check ramet snapshot create web@b
must virsh -q -c qemu:///system snapshot-create-as web theirs --disk-only
check ramet snapshot list web
assert_contains "a snapshot 'theirs' that ramet has not made" "$err"
for command in "create web@c" "revert web@b" "delete web@b"; do
  # shellcheck disable=SC2086
  expect_status 4 ramet snapshot $command
  assert_contains "which ramet has not made" "$err"
done
expect_status 1 ramet doctor
assert_contains "which ramet has not made" "$out"
must virsh -q -c qemu:///system snapshot-delete web theirs --metadata
must ramet remove -q --yes web
rm -f "$images"/web.*theirs*

t_start "a layer that was written to or is gone is told, and only what stands on it is refused"
fresh
touch "$images/web.a.qcow2"
check ramet snapshot list web
assert_contains "'$images/web.a.qcow2' is not what it was when the snapshot 'b' was made: it was written to" "$err"
expect_status 4 ramet snapshot revert web@b
expect_status 4 ramet snapshot create web@c
check ramet snapshot revert web@a
assert_mark web 1
rm "$images/web.a.qcow2"
check ramet snapshot list web
assert_contains "snapshot 'b': the disk file '$images/web.a.qcow2' is not there" "$err"
check ramet snapshot delete web@b
check ramet snapshot revert web@a
assert_mark web 1

t_start "layers that were merged by virsh are told"
fresh
must ramet start -q web
must virsh -q -c qemu:///system blockcommit web vda --base "$images/web.qcow2" --top "$images/web.a.qcow2" --wait
check ramet snapshot list web
assert_contains "does not stand on the layers that ramet made" "$err"
expect_status 4 ramet snapshot delete web@a
expect_status 4 ramet snapshot revert web@a
assert_counts web

t_start "a VM with its clones' layers: what a clone stands on is not deleted, nor is the VM removed"
fresh
twin=$(virsh -c qemu:///system metadata db --uri urn:ramet:1 | sed "s|<ramet:vm |<vm xmlns='' |; s|/ramet:vm|/vm|; s|ramet:||g")
must virsh -q -c qemu:///system metadata db --uri urn:ramet:1 --key ramet --set "${twin//hollow.qcow2/web.qcow2}"
expect_status 4 ramet snapshot delete web@a
assert_contains "clones stand on it: db" "$err"
check ramet snapshot delete web@b
must ramet remove -q --yes db
check ramet snapshot delete web@a
assert_mark web 3
assert_one_file "after the deletions"

t_start "a folder that was shared then and is gone is told before the VM is switched off"
must ramet remove -q --yes web
mkdir -p /srv/shop/app
must ramet clone -q --no-bootstrap hollow web
# as of a VM that was set up
shared=$(virsh -c qemu:///system metadata web --uri urn:ramet:1 | sed "s|<ramet:vm |<vm xmlns='' |; s|/ramet:vm|/vm|; s|ramet:||g")
shared=${shared/'</vm>'/"<share tag='ramet-app' source='/srv/shop/app' target='/app'/></vm>"}
must virsh -q -c qemu:///system metadata web --uri urn:ramet:1 --key ramet --set "$shared"
must ramet start -q web
count_past web 4096 >/dev/null
check ramet snapshot create --disk-only web@a
mv /srv/shop/app /srv/shop/gone
expect_status 4 ramet snapshot revert web@a
assert_contains "cannot revert 'web': the folder '/srv/shop/app', which it shared then, is not there" "$err"
assert_contains "mkdir -p /srv/shop/app" "$err"
assert_eq "$images/web.a.qcow2" "$(disk_of web)" "the disk of web"
assert_counts web
mv /srv/shop/gone /srv/shop/app
check ramet snapshot revert web@a
count_past web 4096 >/dev/null
assert_counts web

t_start "while there is a VM that cannot be read, nothing is done to disks that it may stand on"
fresh
must ramet clone -q --no-bootstrap hollow riddle
strange=$(virsh -c qemu:///system metadata riddle --uri urn:ramet:1 | sed "s|<ramet:vm |<vm xmlns='' |; s|/ramet:vm|/vm|; s|ramet:||g")
must virsh -q -c qemu:///system metadata riddle --uri urn:ramet:1 --key ramet --set "${strange/raw/dreaming}"
files=$(files_of web)
for command in "snapshot delete web@a" "snapshot revert web@a" "remove --yes web" "start web"; do
  # shellcheck disable=SC2086
  expect_status 4 ramet $command
  assert_contains "cannot tell whether 'riddle' stands on 'web'" "$err" "$command"
  assert_contains "hint: " "$err" "$command"
done
assert_eq "$files" "$(files_of web)" "the files of web"
assert_mark web 3
check ramet base list
must virsh -q -c qemu:///system metadata riddle --uri urn:ramet:1 --key ramet --set "$strange"
check ramet snapshot delete web@a
must ramet remove -q --yes riddle
assert_mark web 3

t_start "what a clone of the VM as it is stands on is not given up by a revert, not even by one that was cut off"
fresh
must ramet clone -q --no-bootstrap --grant web heir
held=$(disk_of web)
expect_status 4 ramet snapshot revert web@a
assert_contains "cannot revert 'web': clones stand on its disk as it is: heir" "$err"
assert_contains "ramet flatten heir" "$err"
assert_eq "$held" "$(disk_of web)" "the disk of web"
assert_mark web 3
assert_mark heir 3
must ramet remove -q --yes heir
# the clone is made when all was looked at already
RAMET_STOP_AT=revert-recorded:1 ramet snapshot revert web@a >"$t_dir/cut.out" 2>"$t_dir/cut.err" </dev/null &
pid=$!
crash_wait_stopped "$pid" 30 || fail "it did not come to the new layer: $(cat "$t_dir/cut.err")"
must ramet clone -q --no-bootstrap --grant web heir
kill -CONT "$pid"
crash_wait_end "$pid" 60
assert_eq 0 "$status" "the exit status; $(cat "$t_dir/cut.err")"
assert_mark web 1
assert_mark heir 3
check ramet snapshot revert web@b
assert_mark web 2
assert_mark heir 3
must ramet remove -q --yes heir
check ramet snapshot revert web@a
[[ ! -e $held ]] && ok || fail "'$held' is there still, although nobody stands on it"

# ------------------------------------------------------------------ no room, Ctrl-C, libvirtd

t_start "without room it is refused before anything is touched"
mkdir -p "$t_dir/tiny"
chmod 0711 "$t_dir"
mount -t tmpfs -o size=80m tmpfs "$t_dir/tiny"
must virsh -q -c qemu:///system pool-define-as tiny dir --target "$t_dir/tiny"
must virsh -q -c qemu:///system pool-start tiny
must ramet clone -q --no-bootstrap --pool tiny hollow small
must ramet start -q small
count_past small 4096 >/dev/null
head -c 70M /dev/zero >"$t_dir/tiny/fill"
expect_status 1 ramet snapshot create small@a
assert_contains "the storage pool 'tiny' has" "$err"
assert_contains "--disk-only" "$err"
assert_counts small
rm "$t_dir/tiny/fill"

t_start "a disk that fills up in the middle leaves the VMs running and no snapshot"
fresh_pair
RAMET_STOP_AT=point-saving:1 ramet snapshot create small@a web@a db@a >"$t_dir/cut.out" 2>"$t_dir/cut.err" </dev/null &
pid=$!
crash_wait_stopped "$pid" 30 || fail "it did not come to the saving: $(cat "$t_dir/cut.err")"
head -c 90M /dev/zero >"$t_dir/tiny/fill" 2>/dev/null || true
kill -CONT "$pid"
crash_wait_end "$pid" 60
rm "$t_dir/tiny/fill"
assert_eq 1 "$status" "the exit status; $(cat "$t_dir/cut.err")"
assert_contains "ramet: " "$(cat "$t_dir/cut.err")"
assert_untouched web
assert_untouched db
assert_counts small
assert_eq small.qcow2 "$(ls "$t_dir/tiny")" "what is in the pool"
check ramet snapshot create small@a web@a
must ramet remove -q --yes small
virsh -q -c qemu:///system pool-destroy tiny
umount "$t_dir/tiny"

t_start "Ctrl-C at any step of making leaves the VMs running and no snapshot"
fresh_pair
mapfile -t steps < <(crash_steps ramet snapshot create web@x db@x)
note "making: ${steps[*]}"
for step in "${steps[@]}"; do
  [[ $step == point-whole:* || $step == point-resumed:* || $step == group-resumed:* ]] && continue
  fresh_pair
  RAMET_STOP_AT=$step ramet snapshot create web@a db@a >"$t_dir/cut.out" 2>"$t_dir/cut.err" </dev/null &
  pid=$!
  crash_wait_stopped "$pid" 30 || fail "it did not come to '$step': $(cat "$t_dir/cut.err")"
  kill -INT "$pid"
  kill -CONT "$pid"
  crash_wait_end "$pid" 60
  # what came when all was saved already may be too late
  if [[ $status == 0 && $step == point-saved:* ]]; then
    check ramet snapshot delete web@a
    check ramet snapshot delete db@a
    continue
  fi
  assert_eq 130 "$status" "the exit status after Ctrl-C at $step; $(cat "$t_dir/cut.err")"
  assert_untouched web
  assert_untouched db
done

t_start "Ctrl-C once the snapshot is whole comes too late, which is told; the VMs go on"
for step in point-whole point-whole:2 group-resumed; do
  fresh_pair
  cut_at "$step" ramet snapshot create web@a db@a
  assert_eq 0 "$status" "the exit status after Ctrl-C at $step; $(cat "$t_dir/cut.err")"
  assert_contains "the snapshot was whole when Ctrl-C came" "$(cat "$t_dir/cut.err")" "$step: what it says"
  assert_eq "web@a db@a" "$(paste -sd ' ' "$t_dir/cut.out")" "$step: what it prints"
  for name in web db; do
    assert_eq a "$(snapshots "$name" '.[].name')" "$step: the snapshots of $name"
    assert_counts "$name"
    check ramet snapshot list "$name"
    assert_lacks warning "$err" "$step: what is told of $name"
    check ramet snapshot delete "$name@a"
  done
done

t_start "what cannot be taken back stays on record, and the next snapshot command clears it"
for call in virDomainBlockCommit virDomainSnapshotDelete virStorageVolDelete; do
  # Ctrl-C may be too late once
  for ((try = 0; try < 5; try++)); do
    fresh_pair
    rm -f "$t_dir/told"
    cut_at point-saved env LD_PRELOAD="$library" RAMET_FAIL_TOLD="$t_dir/told" RAMET_FAIL_CALL="$call" RAMET_FAIL_NTH=1 \
      ramet snapshot create web@a
    [[ $status == 0 ]] || break
  done
  assert_eq 130 "$status" "$call: the exit status; $(cat "$t_dir/cut.err")"
  assert_eq "$call" "$(cat "$t_dir/told" 2>&1)" "the call that failed"
  assert_contains "could not take back the snapshot of 'web'" "$(cat "$t_dir/cut.err")" "$call: what it says"
  assert_counts web
  check ramet snapshot list web
  assert_contains "the snapshot 'a' was cut off while it was made" "$err" "$call: what is told of web"
  check ramet snapshot create web@b
  assert_contains "cleared what was left" "$err" "$call: what the next one says"
  check ramet snapshot list web
  assert_lacks warning "$err" "$call: what is told of web then"
  assert_eq b "$(snapshots web '.[].name')" "$call: the snapshots of web"
  check ramet snapshot delete web@b
  assert_one_file "$call"
  assert_counts web
  check qemu-img check -q -U "$(disk_of web)"
done

t_start "libvirtd killed at any step of making leaves the snapshot whole or none"
for step in "${steps[@]}"; do
  fresh_pair
  RAMET_STOP_AT=$step ramet snapshot create web@a db@a >"$t_dir/cut.out" 2>"$t_dir/cut.err" </dev/null &
  pid=$!
  crash_wait_stopped "$pid" 30 || fail "it did not come to '$step': $(cat "$t_dir/cut.err")"
  crash_restart_libvirtd
  kill -CONT "$pid"
  crash_wait_end "$pid" 90
  [[ $status == 0 || $(cat "$t_dir/cut.err") == *ramet:* ]] && ok || fail "$step: status $status without a word"
  t_run ramet doctor --fix
  t_run ramet resume web db
  assert_eq "$(snapshots web '.[].name')" "$(snapshots db '.[].name')" "$step: the snapshots of db and of web"
  for name in web db; do
    check ramet snapshot list "$name"
    assert_lacks warning "$err" "$step: what is told of $name"
    assert_counts "$name"
  done
done

t_start "Ctrl-C while VMs come back, more than at once, is heard when all are back and go on"
fresh_pair
names=(web db c d e)
for name in c d e; do
  must ramet clone -q --no-bootstrap hollow "$name"
  must ramet start -q "$name"
  count_past "$name" 4096 >/dev/null
done
check ramet snapshot create "${names[@]/%/@a}"
sleep 20
declare -A at=()
for name in "${names[@]}"; do
  at[$name]=$(count_of "$name")
done
for step in revert-restoring:1 revert-restored:1 group-resumed:1; do
  RAMET_STOP_AT=$step ramet snapshot revert "${names[@]/%/@a}" >"$t_dir/cut.out" 2>"$t_dir/cut.err" </dev/null &
  pid=$!
  crash_wait_stopped "$pid" 60 || fail "it did not come to '$step': $(cat "$t_dir/cut.err")"
  kill -INT "$pid"
  kill -CONT "$pid"
  crash_wait_end "$pid" 60
  assert_eq 130 "$status" "the exit status after Ctrl-C at $step; $(cat "$t_dir/cut.err")"
  for name in "${names[@]}"; do
    n=$(count_of "$name")
    ((n < at[$name])) && ok || fail "$step: '$name' is at $n, and was at ${at[$name]} before"
    assert_counts "$name"
  done
  sleep 20
done
must ramet remove -q --yes c d e

t_start "what cannot be put back because libvirtd is away keeps the layers that it is defined with"
fresh_pair
check ramet snapshot create web@a db@a
RAMET_STOP_AT=revert-defined:1 ramet snapshot revert web@a db@a >"$t_dir/cut.out" 2>"$t_dir/cut.err" </dev/null &
pid=$!
crash_wait_stopped "$pid" 30 || fail "it did not come to the definition: $(cat "$t_dir/cut.err")"
kill -KILL "$(cat /run/libvirtd.pid)"
kill -CONT "$pid"
# it is waited for 20 s for each of the two definitions
sleep 50
must libvirtd --daemon
crash_wait_end "$pid" 90
assert_eq 1 "$status" "the exit status; $(cat "$t_dir/cut.err")"
assert_contains "could not define 'web' as it was" "$(cat "$t_dir/cut.err")"
assert_contains "could not delete the new layers of 'web': it may be defined with them" "$(cat "$t_dir/cut.err")"
for name in web db; do
  [[ -e $(disk_of "$name") ]] && ok || fail "the disk of '$name', '$(disk_of "$name")', is not there"
done
check ramet snapshot revert web@a db@a
for name in web db; do
  assert_counts "$name"
  check ramet snapshot list "$name"
  assert_lacks warning "$err" "what is told of $name"
done

# ------------------------------------------------------------------ kills

t_start "killed after any step, the making of a snapshot is cleared by the next, and the VMs keep all"
for step in "${steps[@]}"; do
  fresh_pair
  kill_at "$step" ramet snapshot create web@a db@a
  t_run ramet resume web db
  assert_counts web
  assert_counts db
  check ramet snapshot create web@b db@b
  for name in web db; do
    [[ -z $(snapshots "$name" '.[]|select(.name == "a")|.name') ]] || check ramet snapshot delete "$name@a"
    check ramet snapshot list "$name"
    assert_lacks warning "$err" "$step: what is told of $name"
    check ramet snapshot delete "$name@b"
    assert_eq 1 "$(files_of "$name" | wc -w)" "$step: the number of files: $(files_of "$name")"
    assert_counts "$name"
  done
done
must ramet remove -q --yes db

t_start "killed after any step, a revert is done again, and nothing is left over"
fresh
mapfile -t steps < <(crash_steps ramet snapshot revert web@a)
note "reverting: ${steps[*]}"
for step in "${steps[@]}"; do
  fresh
  kill_at "$step" ramet snapshot revert web@a
  check ramet snapshot revert web@b
  assert_mark web 2
  check ramet snapshot revert web@a
  assert_mark web 1
  check ramet snapshot delete web@b
  check ramet snapshot delete web@a
  assert_mark web 1
  assert_one_file "$step"
done

# Check that web, in $state at first, kept what it had last, and that the other snapshot than $1, of 'fresh', is whole still; $2 says when.
other_is_whole ()
{
  local other=a number=1
  [[ $1 != a ]] || other=b number=2
  [[ $state == off ]] || must ramet stop -q --force web
  assert_mark web 3
  check ramet snapshot revert "web@$other"
  assert_mark web "$number"
  check ramet snapshot delete "web@$other"
  assert_one_file "$2"
  check qemu-img check -q "$(disk_of web)"
}

t_start "killed after any step, a deletion is done again, and nothing is lost"
fresh
mapfile -t steps < <(crash_steps ramet snapshot delete web@a)
note "deleting: ${steps[*]}"
for state in off running; do
  for step in "${steps[@]}"; do
    for name in a b; do
      fresh
      [[ $state == off ]] || must ramet start -q web
      kill_at "$step" ramet snapshot delete "web@$name"
      t_run ramet snapshot delete "web@$name"
      [[ $status == 0 || $step == *deleted* ]] && ok || fail "$step: $err"
      other_is_whole "$name" "$step of $name, $state"
    done
  done
done

t_start "Ctrl-C after any step of a deletion leaves the snapshot, or the same command does the rest"
for state in off running; do
  for step in "${steps[@]}"; do
    for name in a b; do
      fresh
      [[ $state == off ]] || must ramet start -q web
      cut_at "$step" ramet snapshot delete "web@$name"
      cut=$status
      [[ $cut == 0 || $cut == 130 ]] && ok || fail "$step of $name, $state: status $status: $(cat "$t_dir/cut.err")"
      if [[ -n $(snapshots web ".[]|select(.name == \"$name\")|.name") ]]; then
        check ramet snapshot list web
        assert_lacks warning "$err" "$step of $name, $state: what is told of web"
      fi
      [[ $cut == 0 ]] || check ramet snapshot delete "web@$name"
      other_is_whole "$name" "$step of $name, $state"
    done
  done
done

t_start "Ctrl-C when the merge is done already comes too late, and the snapshots stay usable"
fresh
must ramet start -q web
before_cut ()
{
  wait_for 30 is_merged web.a.qcow2
}
cut_at merge-begun ramet snapshot delete web@b
before_cut ()
{
  :
}
assert_eq 0 "$status" "the exit status; $(cat "$t_dir/cut.err")"
check ramet snapshot list web
assert_lacks warning "$err" "what is told of web"
check ramet snapshot create web@c
check ramet snapshot revert web@a
check ramet snapshot delete web@c
check ramet snapshot delete web@a
assert_one_file "after the deletions"
must ramet stop -q --force web
assert_mark web 1

t_start "a merge that is done when libvirt does not tell of it is no failed one"
fresh
must ramet start -q web
RAMET_STOP_AT=merge-begun env LD_PRELOAD="$library" RAMET_FAIL_TOLD="$t_dir/told" RAMET_FAIL_CALL=virDomainGetBlockJobInfo \
  RAMET_FAIL_NTH=1 ramet snapshot delete web@b >"$t_dir/cut.out" 2>"$t_dir/cut.err" </dev/null &
pid=$!
crash_wait_stopped "$pid" 30 || fail "it did not come to the merge: $(cat "$t_dir/cut.err")"
wait_for 30 is_merged web.a.qcow2
kill -CONT "$pid"
crash_wait_end "$pid" 60
assert_eq 0 "$status" "the exit status; $(cat "$t_dir/cut.err")"
assert_eq virDomainGetBlockJobInfo "$(cat "$t_dir/told")" "the call that failed"
check ramet snapshot list web
assert_lacks warning "$err" "what is told of web"
check ramet snapshot create web@c
check ramet snapshot revert web@a

t_start "a deletion that was cut off between the files of a running VM is finished while it runs"
fresh
must ramet start -q web
expect_status 1 env LD_PRELOAD="$library" RAMET_FAIL_TOLD="$t_dir/told" RAMET_FAIL_CALL=virStorageVolDelete RAMET_FAIL_NTH=1 \
  ramet snapshot delete web@a
assert_contains "cannot delete the volume" "$err"
check ramet snapshot delete web@a
assert_eq b "$(snapshots web '.[].name')" "the snapshots of web"
check ramet snapshot list web
assert_lacks warning "$err" "what is told of web"
must ramet stop -q --force web
assert_mark web 3
check ramet snapshot revert web@b
assert_mark web 2
must ramet remove -q --yes web
counter_base double "" 32 "" two
must ramet clone -q --no-bootstrap double web
must ramet snapshot create -q web@a
put_mark web 2
must ramet snapshot create -q web@b
put_mark web 3
must ramet start -q web
cut_at merge-begun:2 ramet snapshot delete web@a
[[ $status == 0 ]] || check ramet snapshot delete web@a
assert_eq b "$(snapshots web '.[].name')" "the snapshots of web with two disks"
check ramet snapshot list web
assert_lacks warning "$err" "what is told of web with two disks"
must ramet stop -q --force web
assert_mark web 3
check ramet snapshot revert web@b
assert_mark web 2
check ramet snapshot delete web@b
assert_eq 2 "$(files_of web | wc -w)" "the number of files: $(files_of web)"

t_done

#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# A host that fails under ramet's hands: each of its calls of libvirt in turn, with an error or without one, or with only the
# answer lost; and file systems that are full from any step on. Each time it succeeds all the same or ends with a clear
# error, and nothing is left that doctor does not mend.
# light: no guest of it boots a system
source "$(dirname -- "${BASH_SOURCE[0]}")/lib.sh"
# shellcheck source=tests/system/crash.d/host.sh
source "$(dirname -- "${BASH_SOURCE[0]}")/crash.d/host.sh"

library=$(crash_fail_nth)
# a build with sanitizers wants to be the first to be loaded
export ASAN_OPTIONS=${ASAN_OPTIONS:-}:verify_asan_link_order=0:detect_leaks=0

# Make what the folder $1 holds a file system of its own, of $2 MiB.
give_own_filesystem ()
{
  mkdir -p "$1"
  cp -a "$1" "$t_dir/moved"
  mount -t tmpfs -o "size=${2}m,mode=$(stat -c %a "$1")" tmpfs "$1"
  cp -a "$t_dir/moved/." "$1/"
  rm -rf "$t_dir/moved"
}

# Check that what was run last, after $1, has ended by success or with one clear error.
ended_clearly ()
{
  local errors
  errors=$(sed -e '/^ramet: warning: /d' <<<"$err" | grep -c '^ramet: [^ ]' || true)
  case $status in
    0) ((errors == 0)) || fail "$1: status 0 with an error: $err" ;;
    1) ((errors == 1)) || fail "$1: $errors errors: $err" ;;
    *) fail "$1: status $status: $err" ;;
  esac
  [[ $err != *"CRITICAL"* && $err != *"(null)"* && $err != *"Sanitizer"* ]] || fail "$1: $err"
}

# Run the command (from the third argument on) with each of its calls of libvirt failing once, in the way $1; $2 is run
# before. The VM that it is about is 'cut'.
fail_each_call ()
{
  local how=$1 prepare=$2 n call
  shift 2
  for ((n = 1; ; n++)); do
    ((n < 300)) || { fail "it never came to an end"; return 0; }
    "$prepare"
    rm -f "$t_dir/told"
    t_run env LD_PRELOAD="$library" RAMET_FAIL_TOLD="$t_dir/told" RAMET_FAIL_HOW="$how" RAMET_FAIL_NTH="$n" \
      timeout --kill-after=5 20 "$@" </dev/null
    [[ -e $t_dir/told ]] || break
    call="$how, call $n, $(cat "$t_dir/told")"
    ended_clearly "$call"
    if ((status == 1)) && virsh -q -c qemu:///system metadata cut urn:ramet:1 2>/dev/null | grep -qE 'state=.(creating|removing)'; then
      assert_contains "hint: " "$err" "$call: the error with '$(virsh -q -c qemu:///system metadata cut urn:ramet:1)' left"
    fi
    crash_settle_if_needed "$call" cut
  done
  assert_eq 0 "$status" "the status with no call failing"
  note "$how: $((n - 1)) calls"
  crash_settle "$how, no call" cut
}

# Fill the file systems that a clone writes to.
fill ()
{
  local folder
  for folder in "$images" "$nvram" /etc/libvirt/qemu; do
    { head -c 200M /dev/zero >"$folder/fill" || true; } 2>/dev/null
  done
}

# Run the command (from the second argument on) with no room left from its step $1 on, and check that it ends clearly.
fill_at ()
{
  local step=$1 pid
  shift
  RAMET_STOP_AT=$step "$@" >"$t_dir/out" 2>"$t_dir/err" </dev/null &
  pid=$!
  crash_wait_stopped "$pid" 30 || fail "it did not come to '$step': $(cat "$t_dir/err")"
  fill
  kill -CONT "$pid" || true
  crash_wait_end "$pid" 30
  rm "$images/fill" "$nvram/fill" /etc/libvirt/qemu/fill
  virsh -q -c qemu:///system pool-refresh default >/dev/null
  err=$(cat "$t_dir/err")
  ended_clearly "no room after $step"
}

raw_clone=(ramet clone -q --no-bootstrap --grant hollow cut)

# What the commands are run on.
nothing () { :; }
a_vm () { must "${raw_clone[@]}"; }
a_running_vm () { a_vm; must ramet start -q cut; }

# the folders that a clone writes to are small file systems of their own
give_own_filesystem "$images" 96
give_own_filesystem "$nvram" 8
give_own_filesystem /etc/libvirt/qemu 8
crash_make_base
crash_keep_state

t_start "file systems that fill up after any step are told of, and leave nothing that doctor does not mend"
mapfile -t steps < <(crash_steps "${raw_clone[@]}")
must ramet remove -q --yes cut
told=0
for step in "${steps[@]}"; do
  fill_at "$step" "${raw_clone[@]}"
  [[ $err != *"No space left on device"* ]] || told=$((told + 1))
  crash_settle_if_needed "no room after $step" cut
done
((told > ${#steps[@]} / 2)) || fail "only $told of ${#steps[@]} times it told that there is no room"
must "${raw_clone[@]}"
mapfile -t steps < <(crash_steps ramet remove -q --yes cut)
for step in "${steps[@]}"; do
  must "${raw_clone[@]}"
  fill_at "$step" ramet remove -q --yes cut
  crash_settle_if_needed "no room after $step" cut
  assert_eq gone "$crash_ended" "the VM whose removal had no room after $step"
done

t_start "of 32 that make a VM of one name at once, one wins, and 31 are told"
for ((i = 0; i < 32; i++)); do
  { timeout 60 "${raw_clone[@]}" >"$t_dir/at-once.$i" 2>&1 && echo 0 || echo "$?"; } >"$t_dir/ended.$i" &
done
wait
assert_eq " 1 0 31 4 " "$(cat "$t_dir"/ended.* | sort | uniq -c | tr -s ' \n' ' ')" "how many ended with which status"
assert_eq 31 "$(grep -lE "^ramet: there is a (VM 'cut'|file '.*/cut[^/]*') already" "$t_dir"/at-once.* | wc -l)" "how many were told why"
crash_settle "32 at once" cut
assert_eq raw "$crash_ended" "the one that was made"

t_start "many with UEFI variables and access to be given are made and removed at once"
names=(many1 many2 many3 many4 many5 many6 many7 many8)
check xargs -P 8 -I{} timeout 60 ramet clone -q --no-bootstrap --grant hollow {} < <(printf '%s\n' "${names[@]}")
assert_eq 8 "$(find "$nvram" -name 'many*' | wc -l)" "files of UEFI variables"
check xargs -P 8 -I{} timeout 60 ramet remove -q --yes {} < <(printf '%s\n' "${names[@]}")
crash_settle "many at once" cut

for how in error silent late; do
  t_start "each call of libvirt that 'clone' makes may fail ($how)"
  fail_each_call "$how" nothing "${raw_clone[@]}"
done
for how in error silent late; do
  t_start "each call of libvirt that 'remove' makes may fail ($how)"
  fail_each_call "$how" a_vm ramet remove -q --yes cut
done
for how in error silent; do
  t_start "each call of libvirt that 'start' and 'stop' make may fail ($how)"
  fail_each_call "$how" a_vm ramet start -q cut
  fail_each_call "$how" a_running_vm ramet stop -q --force cut
done

t_done

#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# Sudden ends: ramet killed, and libvirtd killed, after every single step of a clone and of a removal. Whatever the moment,
# doctor mends it: the VM is whole or gone, nothing of it is left, and the base is the same byte for byte.
source "$(dirname -- "${BASH_SOURCE[0]}")/lib.sh"
# shellcheck source=tests/system/crash.d/host.sh
source "$(dirname -- "${BASH_SOURCE[0]}")/crash.d/host.sh"
# shellcheck source=tests/system/crash.d/guest.sh
source "$(dirname -- "${BASH_SOURCE[0]}")/crash.d/guest.sh"

declare -A reached=()

# Kill the command (from the second argument on) right after its step $1.
kill_at ()
{
  local step=$1
  shift
  reached[${step%:*}]=yes
  # by a shell of its own, which else would tell of the kill among the results
  t_run bash -c '"$@" || exit' bash env RAMET_STOP_AT="$step" RAMET_STOP_SIGNAL=KILL timeout 240 "$@" </dev/null
  [[ $status == 137 ]] || fail "it did not come to '$step': status $status, $err"
}

# Kill libvirtd and start it again while the command (from the second argument on) is stopped after its step $1.
restart_at ()
{
  local step=$1 pid
  shift
  RAMET_STOP_AT=$step "$@" >"$t_dir/out" 2>"$t_dir/err" </dev/null &
  pid=$!
  crash_wait_stopped "$pid" 30 || fail "it did not come to '$step': $(cat "$t_dir/err")"
  crash_restart_libvirtd
  kill -CONT "$pid" || true
  end_clearly "$pid" "$t_dir/err" "libvirtd killed at $step"
}

# Wait for the process $1, with its talk in the file $2, and check that it succeeds or says what is the matter: $3 happened,
# or its guest is silent.
end_clearly ()
{
  crash_wait_end "$1" 60
  [[ $status =~ ^(0|1|124)$ ]] || fail "$3: status $status, $(cat "$2")"
  [[ $status == 0 ]] || grep -v '^ramet: warning: ' "$2" | grep -q '^ramet: ' || fail "$3: it does not say what is the matter"
}

# Make the VM 'cut' that is to be removed, running or with its memory saved where the step $1 makes a difference.
make_for_removal ()
{
  must "${raw_clone[@]}"
  case $1 in
    remove-begun:1 | remove-destroyed:1) must ramet start -q cut ;;
    remove-volume:1 | remove-undefined:1)
      must ramet start -q cut
      must virsh -q -c qemu:///system managedsave cut ;;
  esac
}

raw_clone=(ramet clone -q --no-bootstrap --grant hollow cut)
# no guest answers, so this one is taken back
full_clone=(ramet clone -q --grant -d /home/dev/app -d /home/dev/lib --timeout 1 hollow cut)
# so is this one, without the time that QEMU takes
unstarted_clone=(env LD_PRELOAD="$(crash_fail_nth)" RAMET_FAIL_TOLD="$t_dir/told" RAMET_FAIL_CALL=virDomainCreate RAMET_FAIL_NTH=1
  "${full_clone[@]}")
removal=(ramet remove -q --yes cut)

crash_make_base
crash_keep_state

# ------------------------------------------------------------------ without a guest

mapfile -t raw_steps < <(crash_steps "${raw_clone[@]}")
mapfile -t remove_steps < <(crash_steps "${removal[@]}")
mapfile -t full_steps < <(crash_steps "${full_clone[@]}" | sed -n '/^clone-bootstrapping/,/^taken-back:1$/p')
mapfile -t unstarted_steps < <(crash_steps "${unstarted_clone[@]}" | sed -n '/^taken-back:1$/,$p')
note "a clone: ${raw_steps[*]} - ${full_steps[*]} - ${unstarted_steps[*]}"
note "a removal: ${remove_steps[*]}"

t_start "a clone that is killed after any of its steps leaves nothing that doctor does not mend"
for step in "${raw_steps[@]}"; do
  kill_at "$step" "${raw_clone[@]}"
  crash_settle "killed at $step" cut
done
assert_eq raw "$crash_ended" "the VM when its making was killed after the last step"

t_start "so does one that is killed when it was started, or while all is taken back"
for step in "${full_steps[@]}"; do
  kill_at "$step" "${full_clone[@]}"
  crash_settle "killed at $step" cut
done
for step in "${unstarted_steps[@]}"; do
  kill_at "$step" "${unstarted_clone[@]}"
  crash_settle "killed at $step" cut
done
assert_eq gone "$crash_ended" "the VM when its making was killed after all was taken back"

t_start "a removal that is killed after any of its steps leaves nothing that doctor does not mend"
for step in "${remove_steps[@]}"; do
  make_for_removal "$step"
  kill_at "$step" "${removal[@]}"
  crash_settle "killed at $step" cut
  # until then it only looks
  [[ $step == remove-checked:1 ]] || assert_eq gone "$crash_ended" "the VM when its removal was killed at $step"
done

t_start "access that another VM needs still is handed on, whenever the removal is killed"
for step in remove-inherited:1 remove-inherited:2; do
  must "${raw_clone[@]}"
  must ramet clone -q --no-bootstrap --grant hollow other
  kill_at "$step" "${removal[@]}"
  crash_mend "killed at $step"
  check ramet start -q other
  expect_status 3 ramet info cut
  crash_settle "killed at $step" other
done

t_start "with libvirtd killed after any step, a clone or removal ends clearly and leaves nothing that doctor does not mend"
for step in "${raw_steps[@]}"; do
  restart_at "$step" "${raw_clone[@]}"
  crash_settle "libvirtd killed at $step" cut
done
for step in "${full_steps[@]}"; do
  restart_at "$step" "${full_clone[@]}"
  crash_settle "libvirtd killed at $step" cut
done
for step in "${unstarted_steps[@]}"; do
  restart_at "$step" "${unstarted_clone[@]}"
  crash_settle "libvirtd killed at $step" cut
done
for step in "${remove_steps[@]}"; do
  make_for_removal "$step"
  restart_at "$step" "${removal[@]}"
  crash_settle "libvirtd killed at $step" cut
done

# ------------------------------------------------------------------ with a guest

# Clone 'tiny' once for each step in booted_steps, side by side, to be sent the signal $1 there. Sets booted to the VMs, and
# booted_pids.
boot_to_steps ()
{
  local step name
  booted=() booted_pids=()
  for step in "${booted_steps[@]}"; do
    name=cut${#booted[@]}
    reached[${step%:*}]=yes
    RAMET_DATADIR=$t_dir/data RAMET_STOP_AT=$step RAMET_STOP_SIGNAL=$1 \
      ramet clone -q --no-wait --grant -d /home/dev/app tiny "$name" >"$t_dir/$name.err" 2>&1 </dev/null &
    booted+=("$name") booted_pids+=("$!")
  done
}

booted_steps=(bootstrap-met:1 bootstrap-step:1 bootstrap-sealed:1 clone-keys:1 clone-silent:1 clone-finished:1)
crash_make_tiny "$t_dir/data"
crash_keep_state

t_start "clones that are killed while their guests are set up leave nothing that doctor does not mend"
boot_to_steps KILL
for i in "${!booted[@]}"; do
  crash_wait_end "${booted_pids[i]}" 120 2>/dev/null
  [[ $status == 137 ]] || fail "it did not come to '${booted_steps[i]}': status $status, $(cat "$t_dir/${booted[i]}.err")"
done
crash_settle "killed while they are set up" "${booted[@]}"
assert_eq ready "$crash_ended" "the VM when its making was killed after the last step"

t_start "with libvirtd killed while guests are set up, all ends clearly and leaves nothing that doctor does not mend"
boot_to_steps STOP
for i in "${!booted[@]}"; do
  crash_wait_stopped "${booted_pids[i]}" 120 \
    || fail "it did not come to '${booted_steps[i]}': $(cat "$t_dir/${booted[i]}.err")"
done
crash_restart_libvirtd
for i in "${!booted[@]}"; do
  kill -CONT "${booted_pids[i]}"
done
for i in "${!booted[@]}"; do
  end_clearly "${booted_pids[i]}" "$t_dir/${booted[i]}.err" "libvirtd killed at ${booted_steps[i]}"
done
crash_settle "libvirtd killed while they are set up" "${booted[@]}"

# ------------------------------------------------------------------ a real guest

t_start "a clone that is killed when it answers, and is not ready yet, leaves nothing that doctor does not mend"
lab_base
crash_keep_state
kill_at clone-reached:1 ramet clone -q debian-12 cut
crash_settle "killed at clone-reached" cut
assert_eq gone "$crash_ended" "the VM"

# Those of other operations are ended at where these are tried.
t_start "no step was left out"
mapfile -t steps < <(grep -rhoP --include='*.c' 'RAMET_STEP \("\K[^"]+' "$RAMET_CHECKOUT/src" | sort -u)
for step in "${steps[@]}"; do
  case $step in
    bootstrap-agent) continue ;;                                # branch.sh
    clone-became | clone-restored | clone-state) continue ;;          # template.sh
    file-made | folder-made | template-*) continue ;;           # template.sh
    change* | drop-* | overlay-*) continue ;;                   # overlay-faults.sh
    group-* | pause-* | resume-* | shares-*) continue ;;        # pause.sh
    layers-* | merge-* | point-* | revert-*) continue ;;        # snapshot-faults.sh
  esac
  assert_eq yes "${reached[$step]:-no}" "whether it was tried to end at '$step'"
done

t_done

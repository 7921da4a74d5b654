#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# The inside part of the lab does nothing outside of fresh namespaces. Tried in a lab, which is the only thing that would be
# hurt: every way of starting it has all but one thing right.
# light: no guest of it boots a system
source "$(dirname -- "${BASH_SOURCE[0]}")/lib.sh"

inside=$t_system_dir/lab.d/inside
all=(--mount --net --uts --ipc --pid --fork --kill-child --mount-proc --propagation private)
state=
outside=

# Make what the outside part hands over, all of it right: $state with $nonce in it, and $outside.
prepare ()
{
  local kind
  state=$(mktemp -d "$t_dir/lab.XXXXXX")
  nonce=0123456789
  echo "$nonce" >"$state/nonce"
  outside=$(for kind in mnt net pid uts ipc; do readlink "/proc/self/ns/$kind"; done)
}

# Run the rest of the arguments with that handed over.
with_handover ()
{
  env LAB_STATE="$state" LAB_NONCE="$nonce" LAB_OUTSIDE_NAMESPACES="$outside" LAB_CHECKOUT="$RAMET_CHECKOUT" \
    LAB_CACHE="$RAMET_LAB_CACHE" LAB_MDNS=yes "$@"
}

# What of this host the inside part would change at once.
host_state ()
{
  cat /proc/self/mountinfo /etc/passwd /etc/hosts
  hostname
  ip -o link | cut -d: -f2,3
  find /run /etc -xdev | sort
  pgrep -l 'dbus-daemon|avahi|libvirtd|virtlogd'
}

# Run a command that starts the inside part; check that it refuses for the reason $1 and changes nothing here.
refuses ()
{
  local reason=$1
  shift
  host_state >"$t_dir/before"
  expect_status 125 with_handover "$@"
  assert_contains "refused: $reason" "$err" "what it says"
  host_state >"$t_dir/after"
  assert_same_file "$t_dir/before" "$t_dir/after" "the host"
  check test ! -e "$t_dir/ran"
  check test -s "$state/nonce"
  assert_eq nonce "$(ls "$state")" "what is in the state folder"
}

t_start "the checks let the lab's own way pass"
prepare
check with_handover unshare "${all[@]}" bash -c "source '$t_system_dir/lab.d/guard.sh'; guard_or_exit; echo passed"
assert_eq passed "$out"

t_start "it refuses when started by hand"
prepare
refuses "not started by the lab" env -u LAB_STATE -u LAB_NONCE -u LAB_OUTSIDE_NAMESPACES bash "$inside" touch "$t_dir/ran"
refuses "not process 1" bash "$inside" touch "$t_dir/ran"
refuses "the mnt namespace is not a new one" bash "$inside" touch "$t_dir/ran"

t_start "it refuses with only a mount namespace, or only a process namespace"
prepare
refuses "the net namespace is not a new one" unshare --mount --propagation private bash "$inside" touch "$t_dir/ran"
refuses "the mnt namespace is not a new one" unshare --pid --fork --kill-child bash "$inside" touch "$t_dir/ran"

for kind in mount net uts ipc pid; do
  t_start "it refuses without a $kind namespace of its own"
  prepare
  arguments=()
  for argument in "${all[@]}"; do
    case $kind:$argument in
      "$kind:--$kind" | mount:--mount-proc | mount:--propagation | mount:private) ;;
      pid:--fork | pid:--kill-child | pid:--mount-proc) ;;
      *) arguments+=("$argument") ;;
    esac
  done
  refuses "the ${kind/mount/mnt} namespace is not a new one" unshare "${arguments[@]}" bash "$inside" touch "$t_dir/ran"
done

t_start "it refuses where mounts are shared"
prepare
refuses "mounts are shared with another namespace" \
  unshare "${all[@]/private/shared}" bash "$inside" touch "$t_dir/ran"

t_start "it refuses in a network namespace that was used"
prepare
refuses "the network namespace has an interface that is up" \
  unshare "${all[@]}" bash -c 'ip link set lo up; exec bash "$@"' - "$inside" touch "$t_dir/ran"
refuses "the network namespace has an interface of somebody's" \
  unshare "${all[@]}" bash -c 'ip link add v0 type veth peer name v1; exec bash "$@"' - "$inside" touch "$t_dir/ran"

t_start "it refuses where other processes are"
prepare
refuses "other processes are here" \
  unshare "${all[@]}" bash -c 'sleep 5 >/dev/null 2>&1 & exec bash "$@"' - "$inside" touch "$t_dir/ran"

t_start "it refuses with another nonce, another folder, or without knowing the namespaces outside"
prepare
refuses "the lab's nonce does not fit" unshare "${all[@]}" env LAB_NONCE=wrong bash "$inside" touch "$t_dir/ran"
refuses "the state folder is none that the lab makes" unshare "${all[@]}" env LAB_STATE=/etc bash "$inside" touch "$t_dir/ran"
chmod 0755 "$state"
refuses "the state folder is none that the lab makes" unshare "${all[@]}" bash "$inside" touch "$t_dir/ran"
chmod 0700 "$state"
refuses "the mnt namespace outside is not known" \
  unshare "${all[@]}" env -u LAB_OUTSIDE_NAMESPACES bash "$inside" touch "$t_dir/ran"

# Is process $1 in a mount namespace of its own by now?
has_own_mounts ()
{
  [[ $(readlink "/proc/$1/ns/mnt") != "$(readlink /proc/self/ns/mnt)" ]]
}

t_start "a refusal leaves the fresh mount namespace as it was, too"
prepare
# kept by a process that outlives the refusal, so that one can look afterwards
unshare --mount --net --uts --ipc --propagation private sleep 60 &
keeper=$!
wait_for 10 has_own_mounts "$keeper"
# shellcheck disable=SC2016
expect_status 125 with_handover nsenter --target "$keeper" --mount --net --uts --ipc \
  unshare --pid --fork --kill-child bash -c 'mount -t proc proc /proc && exec "$@"' - \
  env LAB_NONCE=wrong bash "$inside" touch "$t_dir/ran"
assert_eq "lab: refused: the lab's nonce does not fit" "$(grep refused "$t_dir/err")" "the only reason"
# the same files at the same paths, as nothing was mounted over them
folders=(/run /etc /etc/passwd /sys /var/lib/libvirt /var/log/libvirt /root /home)
check nsenter --target "$keeper" --mount stat -c '%n %d:%i' "${folders[@]}"
assert_eq "$(stat -c '%n %d:%i' "${folders[@]}")" "$out" "the folders of the mount namespace that it was started in"
kill "$keeper"

t_done

# shellcheck shell=bash
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# Is this process in namespaces made for it alone? What the lab does next would ruin a machine: it mounts over /run, /etc
# and /var/lib/libvirt. So every sign is looked at, though each alone should do, and any doubt is a refusal.

# Interfaces that the kernel itself puts into a new network namespace.
guard_kernel_interfaces='lo|tunl0|gre0|gretap0|erspan0|sit0|ip6tnl0|ip6gre0|ip_vti0|ip6_vti0'

# Print a line if the namespaces that the outside part recorded are missing or one of them is still ours.
guard_namespaces ()
{
  local kind own
  local -a outside
  mapfile -t outside <<<"${LAB_OUTSIDE_NAMESPACES:-}"
  for kind in mnt net pid uts ipc; do
    own=$(readlink "/proc/$$/ns/$kind") || own=
    if [[ ! $own =~ ^$kind:\[[0-9]+\]$ ]]; then
      echo "cannot tell the $kind namespace"
    elif [[ " ${outside[*]} " == *" $own "* ]]; then
      echo "the $kind namespace is not a new one"
    elif [[ " ${outside[*]} " != *" $kind:["* ]]; then
      echo "the $kind namespace outside is not known"
    fi
  done
}

# Print a line unless this is process 1 of a process namespace whose /proc is mounted, with nobody else in it. Starts no
# process itself until it has looked, and is called in one subshell.
guard_processes ()
{
  local -a seen=(/proc/[0-9]*)
  local process
  (($$ == 1)) || echo "not process 1"
  for process in "${seen[@]}"; do
    if [[ $process != "/proc/$$" && $process != "/proc/$BASHPID" ]]; then
      echo "other processes are here"
      break
    fi
  done
  [[ $(readlink /proc/self/ns/pid) == "$(readlink "/proc/$$/ns/pid")" ]] || echo "/proc is of another process namespace"
}

# Print a line if the network namespace has been used: an interface of somebody's, one that is up, or a route.
guard_network ()
{
  local names
  names=$(sed -n 's/^ *\([^: ]*\):.*/\1/p' /proc/net/dev) || names=unknown
  if grep -qvxE "$guard_kernel_interfaces" <<<"$names"; then
    echo "the network namespace has an interface of somebody's"
  fi
  if ! grep -qx lo <<<"$names"; then
    echo "the network namespace has no loopback interface"
  fi
  if [[ -n $(ip -o link show up 2>&1) ]]; then
    echo "the network namespace has an interface that is up"
  fi
  if (($(wc -l </proc/net/route) > 1)); then
    echo "the network namespace has a route"
  fi
}

# Print a line if a mount made here could show up elsewhere, or one made elsewhere here.
guard_mounts ()
{
  local line
  grep -q . /proc/self/mountinfo || { echo "cannot tell the mounts"; return; }
  while read -r line; do
    # the optional fields stand between the sixth field and a lone hyphen
    if [[ ${line%% - *} =~ \ (shared|master|propagate_from): ]]; then
      echo "mounts are shared with another namespace"
      return
    fi
  done </proc/self/mountinfo
}

# Print a line unless the outside part handed over a state folder of root's with the nonce that we were given.
guard_handover ()
{
  local state=${LAB_STATE:-} nonce=
  if [[ -z $state || -z ${LAB_NONCE:-} ]]; then
    echo "not started by the lab"
    return
  fi
  if [[ $state != /*/lab.?????? || -L $state || $(stat -c '%u %a' -- "$state" 2>/dev/null) != "0 700" ]]; then
    echo "the state folder is none that the lab makes"
    return
  fi
  [[ ! -f $state/nonce ]] || read -r nonce <"$state/nonce" || true
  [[ $nonce == "$LAB_NONCE" ]] || echo "the lab's nonce does not fit"
}

# Refuse unless everything fits: print what does not, and leave the shell with status 125.
guard_or_exit ()
{
  local findings
  findings=$(
    ((EUID == 0)) || echo "not root"
    guard_processes
    guard_namespaces
    guard_network
    guard_mounts
    guard_handover
    echo looked
  ) || findings+=$'\na check failed'
  if [[ $findings != looked ]]; then
    grep -vx looked <<<"$findings" | sed 's/^/lab: refused: /' >&2 || true
    echo "lab: nothing was changed; start it with tests/system/lab" >&2
    exit 125
  fi
}

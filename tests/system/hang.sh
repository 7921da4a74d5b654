#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# A libvirtd that hangs: it is there, takes connections, and never answers. No guest here boots.
# light: no guest of it boots a system
# shellcheck disable=SC2154
source "$(dirname -- "${BASH_SOURCE[0]}")/lib.sh"

hook=/etc/libvirt/hooks/qemu
v="virsh -q -c qemu:///system"
pid=

# Have libvirtd hang, or go on again.
freeze ()
{
  kill -STOP "$(cat /run/libvirtd.pid)"
}

thaw ()
{
  kill -CONT "$(cat /run/libvirtd.pid)"
}

# Whatever happens, the lab can end.
trap 'thaw; t_on_exit' EXIT

# Run the rest as a command in the background, all that it says in $t_dir/begun; $pid is its process.
begin ()
{
  "$@" >"$t_dir/begun" 2>&1 &
  pid=$!
}

# Wait until $pid ends, at most $1 seconds: $status, $err, and $took in ms since $since.
finish ()
{
  local i
  for ((i = 0; i < $1 * 10; i++)); do
    [[ $(ps -o state= -p "$pid") == [^Z]* ]] || break
    sleep 0.1
  done
  took=$(($(date +%s%3N) - since))
  if ((i >= $1 * 10)); then
    fail "it has not ended within $1 s"
    kill -KILL "$pid"
  fi
  status=0
  wait "$pid" || status=$?
  err=$(cat "$t_dir/begun")
}

interrupt ()
{
  since=$(date +%s%3N)
  kill -INT "$pid"
}

# What is said after Ctrl-C, and how soon: two seconds, and what a busy machine adds.
ended_by_interrupt ()
{
  finish 20
  assert_eq 130 "$status" "the exit status of $1"
  assert_contains "libvirtd at 'qemu:///system' does not answer" "$err" "what $1 says"
  assert_contains "hint: " "$err" "what $1 says"
  if ((took < 15000)); then ok; else fail "$1 ended after $took ms"; fi
  note "$1 ended after $took ms"
}

# Give ramet time to get into a call.
let_it_hang ()
{
  sleep "${1:-1.5}"
}

lab_hollow hollow
# libvirtd looks for hooks when it starts: this one takes as long as a file says
mkdir -p /etc/libvirt/hooks
printf '#!/bin/sh\ns=$(cat "/run/slow-$2" 2>/dev/null) && sleep "$s"\nexit 0\n' >"$hook"
chmod 755 "$hook"
restart_libvirtd
wait_for 30 $v vol-list default

t_start "Ctrl-C ends a command that libvirtd does not even take the connection of"
freeze
begin ramet list
let_it_hang
interrupt
ended_by_interrupt "'ramet list'"
thaw

t_start "Ctrl-C ends a list that is watched"
begin ramet list --watch
wait_for 10 grep -q "no VMs yet" "$t_dir/begun"
freeze
let_it_hang 3
interrupt
ended_by_interrupt "'ramet list --watch'"
thaw

t_start "Ctrl-C ends a list that is watched in a terminal, and leaves that as it was"
begin script -qec "ramet list --watch; echo status \$?; stty -a" /dev/null
wait_for 10 grep -q "q ends" "$t_dir/begun"
freeze
let_it_hang 3
pkill -INT -x ramet
finish 20
thaw
assert_match $'\e\\[\\?1049l.*does not answer.*status 130' "$(tr '\r\n' '  ' <"$t_dir/begun")" "what the terminal got"
assert_match "[^-]icanon.*[^-]echo " "$(tr '\n' ' ' <"$t_dir/begun")" "the terminal's settings"

t_start "Ctrl-C ends a clone, of which doctor tells what is left"
begin env RAMET_STOP_AT=clone-defined ramet clone --no-bootstrap hollow web
wait_for 20 $v dominfo web
wait_for 20 grep -q '^State:.*T' "/proc/$pid/status"
freeze
kill -CONT "$pid"
let_it_hang
interrupt
ended_by_interrupt "'ramet clone'"
thaw
check ramet remove --yes web
assert_eq "hollow" "$($v list --all --name | xargs)" "the domains"
assert_eq "hollow.qcow2" "$($v vol-list default | awk 'NF { print $1 }' | xargs)" "the volumes"

t_start "without Ctrl-C it is told after half a minute that libvirtd does not answer"
begin ramet list --watch
wait_for 10 grep -q "no VMs yet" "$t_dir/begun"
watching=$pid
mv -- "$t_dir/begun" "$t_dir/watched"
freeze
since=$(date +%s%3N)
begin ramet list
finish 60
assert_eq 1 "$status" "the exit status"
assert_contains "ramet: libvirtd at 'qemu:///system' does not answer" "$err" "what it says"
assert_contains "hint: see 'systemctl status libvirtd'" "$err" "what it says"
if ((took > 25000 && took < 45000)); then ok; else fail "it took $took ms"; fi
pid=$watching
mv -- "$t_dir/watched" "$t_dir/begun"
finish 60
thaw
assert_eq 1 "$status" "the exit status of the list that is watched"
assert_contains "libvirtd at 'qemu:///system' does not answer" "$err" "what the list that is watched says"
note "the list that is watched ended after $took ms"

t_start "a libvirtd that comes back in time is gone on with"
begin ramet list --watch
wait_for 10 grep -q "no VMs yet" "$t_dir/begun"
freeze
sleep 10
thaw
must ramet clone -q --no-bootstrap hollow back
wait_for 20 grep -q back "$t_dir/begun"
interrupt
finish 10
assert_eq 0 "$status" "the exit status"
must ramet remove -q --yes back

t_start "what takes libvirtd long is waited for, and not cut off"
must ramet clone -q --no-bootstrap hollow slow
echo 40 >/run/slow-prepare
since=$(date +%s%3N)
begin ramet start slow
finish 150
rm /run/slow-prepare
assert_eq 0 "$status" "the exit status"
assert_eq "running" "$($v domstate slow)" "the VM"
if ((took > 40000)); then ok; else fail "it took only $took ms"; fi
must ramet remove -q --yes slow

t_start "Ctrl-C in a call that takes long waits for it, and skips nothing that is to be taken back, pressed again or not"
echo 6 >/run/slow-prepare
echo 6 >/run/slow-stopped
begin ramet clone hollow web
wait_for 60 pgrep -f "$hook web prepare"
interrupt
sleep 1
kill -INT "$pid"
wait_for 60 pgrep -f "$hook web stopped"
kill -INT "$pid"
finish 120
rm /run/slow-prepare /run/slow-stopped
assert_eq 130 "$status" "the exit status"
assert_lacks "does not answer" "$err" "what it says"
assert_eq "hollow" "$($v list --all --name | xargs)" "the domains"
assert_eq "hollow.qcow2" "$($v vol-list default | awk 'NF { print $1 }' | xargs)" "the volumes"
t_done

#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# A lab gives its command's status, ends with it, and leaves the host that it ran on as it was. Tried in a lab.
# light: no guest of it boots a system
source "$(dirname -- "${BASH_SOURCE[0]}")/lib.sh"

lab=$t_system_dir/lab
export RAMET_LAB_STATE=$t_dir/labs

# What of this host a lab could have changed.
host_state ()
{
  cat /proc/self/mountinfo /etc/passwd /etc/group /etc/hosts /proc/sys/net/ipv4/ip_forward
  hostname
  ip -o link | cut -d: -f2,3
  iptables-save | grep '^-'
  find /run /etc /var/lib/libvirt /var/log/libvirt /root /home -xdev -path "$t_dir" -prune -o -print | sort
  virsh list --all
  pgrep -lc 'dbus-daemon|avahi|libvirtd|virtlogd|dnsmasq|qemu'
}

# Is the lab at work? Its command tells by a file, which shows up in the state folder.
lab_is_up ()
{
  compgen -G "$RAMET_LAB_STATE/lab.*/tmp/up" >/dev/null
}

no_process_named ()
{
  ! pgrep -f "$1" >/dev/null
}

t_start "a lab gives its command's exit status and takes its input"
expect_status 7 "$lab" sh -c 'exit 7'
check "$lab" virsh net-info default
assert_contains "Active:         yes" "$out"
assert_eq "from outside" "$(echo "from outside" | "$lab" cat)" "input"

t_start "a lab leaves its host as it was"
host_state >"$t_dir/before"
check "$lab" sh -c 'hostname other; useradd --no-log-init someone; ip link add v0 type veth; touch /root/x /home/x /run/x'
host_state >"$t_dir/after"
assert_same_file "$t_dir/before" "$t_dir/after" "the host"
assert_eq "" "$(ls "$RAMET_LAB_STATE")" "state folders left"

for signal in TERM KILL; do
  t_start "a lab that gets SIG$signal is gone with all in it"
  # shellcheck disable=SC2016
  "$lab" sh -c 'touch "$TMPDIR/up"; sleep 98765' >/dev/null 2>&1 &
  outside=$!
  wait_for 30 lab_is_up
  kill "-$signal" "$outside"
  wait_for 5 no_process_named 'sleep 98765'
  host_state >"$t_dir/after"
  assert_same_file "$t_dir/before" "$t_dir/after" "the host"
done

t_start "the next lab removes what a killed one left on disk"
assert_ne "" "$(ls "$RAMET_LAB_STATE")" "state folders left"
check "$lab" true
assert_eq "" "$(ls "$RAMET_LAB_STATE")" "state folders left"

t_start "a lab's ordinary user may use libvirt, and owns a closed home"
check as_dev virsh -c qemu:///system list
expect_status 2 as_dev ls /root
assert_eq "dev 700" "$(stat -c '%U %a' /home/dev)" "the home"

t_start "a lab resolves .local names, and with --no-mdns does not"
check getent hosts lab.local
expect_status 2 "$lab" --no-mdns getent hosts lab.local

t_done

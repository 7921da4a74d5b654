#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# The host is switched off and on: a VM that starts with it comes back as it was.
# shellcheck disable=SC2016,SC2034,SC2154
source "$(dirname -- "${BASH_SOURCE[0]}")/lib.sh"
# shellcheck source=tests/system/lab.d/console.sh
source "$t_system_dir/lab.d/console.sh"

app=/home/projects/app

# Switch the host off and on, as far as libvirt can tell.
reboot_host ()
{
  local pid
  for pid in $(pgrep -x qemu-system-x86) $(cat /run/libvirtd.pid) $(cat /run/virtlogd.pid) $(pgrep -x dnsmasq); do
    kill -KILL "$pid" 2>/dev/null || true # one takes others along
  done
  wait_for 10 bash -c '! pgrep "^(qemu-system|libvirtd)"'
  ip link del virbr0
  rm -rf /run/libvirt /run/libvirtd.pid /run/virtlogd.pid
  virtlogd --daemon
  libvirtd --daemon
  wait_for 60 virsh -c qemu:///system uri
}

mkdir -p "$app"
echo "from the host" >"$app/file"
lab_template

t_start "a VM is set to start with the host"
check ramet clone --template --cpus 1 -d "$app" debian-12 home
check ramet autostart home
check ramet ssh home -- "echo mine >'$app/own'; sync"

t_start "it is back after the host rebooted, with share, name and clock, its console sealed"
reboot_host
wait_for 60 virsh -c qemu:///system domid home
check ramet wait --timeout 300 home
check getent hosts home.local
check ramet ssh home -- "hostname; cat '$app/file' '$app/own'; date +%s"
mapfile -t got <<<"$out"
assert_eq home "${got[0]:-}" "the host name"
assert_eq "from the host" "${got[1]:-}" "a file of the share"
assert_eq mine "${got[2]:-}" "what the guest wrote before"
skew=$((${got[3]:-0} - $(date +%s)))
((skew >= -5 && skew <= 3)) || fail "the clock is off by $skew s"
if console_answers_root home "$t_dir/console"; then
  fail "a root shell answers on the console: $(cat -v "$t_dir/console")"
fi
check ramet autostart --off home
check ramet remove --yes home

t_done

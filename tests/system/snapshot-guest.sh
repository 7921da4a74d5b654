#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# Snapshots of a guest with a system, a share and a service that runs from the share: what is in its memory, on its disk and in
# the share's overlay comes back together, the share is mounted, the clock is right and the name answers.
source "$(dirname -- "${BASH_SOURCE[0]}")/lib.sh"

app=/home/projects/app
helper=/usr/local/lib/ramet/share

# Run the script on stdin as root in the guest.
in_guest ()
{
  ramet ssh web -- sudo bash -s
}

mkdir -p "$app"
echo "from the host" >"$app/file"
lab_template
must ramet clone --template --cpus 1 -d "$app" debian-12 web
linger web
must in_guest <<END
cat >/etc/systemd/system/counter.service <<'UNIT'
[Service]
WorkingDirectory=$app
ExecStart=/bin/bash -c 'n=0; while :; do n=\$((n + 1)); echo \$n >/dev/shm/count; echo \$n >/var/tmp/count; echo \$n >count; sleep 0.2; done'
UNIT
systemctl daemon-reload
systemctl start counter
echo memory >/dev/shm/mark; echo disk >/var/tmp/mark; echo overlay >'$app/mark'
END

t_start "who uses the share is named, and nothing is changed"
expect_status 4 ramet snapshot create web@before
assert_contains "counter.service" "$err" "the error"
assert_contains "--stop-users" "$err" "the hint"
assert_eq "" "$(ramet snapshot list --json web | jq -r '.[].name')" "the snapshots"
assert_eq running "$(virsh -c qemu:///system domstate web | head -1)" "the VM"
check ramet ssh web -- "cat '$app/file'"

t_start "a snapshot with memory is made of a guest whose service runs from the share"
check ramet snapshot create --stop-users web@before

check ramet ssh web -- "cat '$app/file'; systemctl is-active counter; sudo $helper list | cut -f2"
assert_eq "from the host active attached" "$(xargs <<<"$out")" "share and service"
clock_is_right web

t_start "reverting brings memory, disk and overlay back, with the share mounted and the service running"
must in_guest <<END
echo later >/dev/shm/mark; echo later >/var/tmp/mark; echo later >'$app/mark'; rm /etc/hostname; sync; sleep 3
END
sleep 5
check ramet snapshot revert web@before
assert_lacks warning "$err" "what was said"
check ramet ssh web -- "cat /dev/shm/mark /var/tmp/mark '$app/mark' '$app/file' /etc/hostname; systemctl is-active counter; sudo $helper list | cut -f2"
assert_eq "memory disk overlay from the host web active attached" "$(xargs <<<"$out")" "the guest"
clock_is_right web
check getent hosts web.local

t_start "it can be done again, and the share shows what the host has now"
echo "from the host, later" >"$app/file"
check ramet snapshot revert web@before
check ramet ssh web -- "cat '$app/file' /dev/shm/mark"
assert_eq "from the host, later memory" "$(xargs <<<"$out")" "the guest"

t_start "without memory no share is detached, and it boots as it was then"
must in_guest <<END
echo second >/var/tmp/mark
END
check ramet snapshot create --disk-only web@small
check ramet ssh web -- "systemctl is-active counter"
must in_guest <<END
echo third >/var/tmp/mark; sync
END
check ramet snapshot revert web@small
check ramet wait --timeout 300 web
check ramet ssh web -- "cat /var/tmp/mark '$app/mark' '$app/file'"
assert_eq "second overlay from the host, later" "$(xargs <<<"$out")" "the guest"

t_start "deleting a snapshot of a guest that works leaves it at work"
check ramet snapshot delete web@before
check ramet snapshot delete web@small
check ramet ssh web -- "cat /var/tmp/mark; sudo dd if=/dev/vda of=/dev/null bs=1M count=64 status=none && echo read"
assert_eq "second read" "$(xargs <<<"$out")" "the guest"
assert_eq 1 "$(find /var/lib/libvirt/images -name 'web*' | wc -l)" "the number of files"
check qemu-img check -q -U "$(virsh -c qemu:///system domblklist web | awk '$1 == "vda" { print $2 }')"

t_start "a guest whose agent does not answer is not waited for without end, and nothing is done"
must in_guest <<END
systemctl stop qemu-guest-agent
END
began=$SECONDS
expect_status 124 ramet snapshot create web@mute
((SECONDS - began < 90)) && ok || fail "it took $((SECONDS - began)) s"
assert_contains "hint: " "$err"
assert_eq "" "$(ramet snapshot list --json web | jq -r '.[].name')" "the snapshots"
check ramet ssh web -- "cat '$app/file'"
check ramet snapshot create --disk-only web@mute

t_done

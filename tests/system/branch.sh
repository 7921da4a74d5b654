#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# A clone of a VM's snapshot: it holds what was there then, is somebody else from its first packet on, and leaves the VM that
# it comes from alone, which runs all the while.
# long: six boots
# shellcheck disable=SC2016,SC2034
source "$(dirname -- "${BASH_SOURCE[0]}")/lib.sh"

images=/var/lib/libvirt/images
app=/home/projects/app
other=/home/projects/other

# Print what tells one machine from another in the guest $1, a line each.
identity ()
{
  as_dev ramet ssh "$1" -- 'cat /etc/hostname /etc/machine-id /etc/ssh/ssh_host_ed25519_key.pub; sudo cat /var/lib/systemd/random-seed | sha256sum
    cat /sys/class/dmi/id/product_uuid 2>/dev/null || sudo cat /sys/class/dmi/id/product_uuid; cat /sys/class/net/e*/address'
}

address_of ()
{
  ramet --json info "$1" | jq -r '.[0].address'
}

# Whether nothing answers in the place of 'web', at its name or address, until the file $t_dir/watched is there.
watch_web ()
{
  local at mac
  until [[ -e $t_dir/watched ]]; do
    at=$(timeout 3 avahi-resolve -4 -n web.local 2>/dev/null | awk '{ print $2 }')
    [[ -z $at || $at == "$web_address" ]] || echo "web.local is $at" >>"$t_dir/intruders"
    mac=$(ip neigh show "$web_address" | awk '{ for (i = 1; i < NF; i++) if ($i == "lladdr") print $(i + 1) }')
    [[ -z $mac || $mac == "$web_mac" ]] || echo "$web_address is at $mac" >>"$t_dir/intruders"
    at=$(virsh -q -c qemu:///system net-dhcp-leases default | awk -v own="$web_mac" '$3 != own { print $5, $6 }')
    [[ $at != *"$web_address"/* && $at != *" web"* ]] || echo "leased: $at" >>"$t_dir/intruders"
    sleep 0.3
  done
}

# What there is of VMs on this host. Frozen layers are ramet's own: whose they are may change.
host_state ()
{
  virsh -c qemu:///system list --all --name | sort
  find "$images" /var/lib/libvirt/qemu/nvram -mindepth 1 | sort
}

# Check that nothing is left of a VM that was to be.
nothing_left ()
{
  host_state >"$t_dir/host-after"
  assert_same_file "$t_dir/host" "$t_dir/host-after" "the host"
}

lab_base
mkdir -p "$app" "$other"
echo 'from the host' >"$app/file"
echo 'another folder' >"$other/file"
chmod 755 "$app" "$other"
chown -R dev "$app"

t_start "a snapshot of a VM that runs"
must as_dev ramet clone --cpus 1 -d "$app" debian-12 web
must as_dev ramet ssh web -- sudo loginctl enable-linger dev
web_address=$(address_of web)
web_mac=$(ramet --json info web | jq -r '.[0].macs[0]')
must as_dev ramet ssh web -- "echo then >content && echo changed >'$app/file' && sudo touch /etc/then && sync"
identity web >"$t_dir/web"
check as_dev ramet snapshot create web@before
must as_dev ramet ssh web -- "echo now >content; sudo rm /etc/then; sync"
must as_dev ramet ssh web -- 'cat /proc/sys/kernel/random/boot_id' 
booted=$out
frozen=$images/web.qcow2
manifest "$frozen" | sed 's/ c=[0-9]*//' >"$t_dir/frozen"
manifest_domain debian-12 >"$t_dir/base"
host_state >"$t_dir/host"

t_start "what cannot be cloned is refused before anything is made"
expect_status 3 ramet clone web@after two
assert_contains "'web' has no snapshot 'after'" "$err" "the error"
assert_contains "before" "$err" "the hint"
expect_status 5 ramet clone web two
assert_contains "ramet snapshot create" "$err" "the hint"
assert_contains "web@" "$err" "the hint"
expect_status 3 ramet clone nobody@before two
expect_status 2 ramet clone --no-bootstrap web@before two
expect_status 4 ramet clone web@before web
expect_status 2 ramet clone --disk-size 1 web@before two
check ramet clone --dry-run web@before two
assert_contains "on $frozen" "$out" "what would be done"
nothing_left

t_start "a clone of it is another machine with what was there then, and nobody ever mistakes it for the first"
: >"$t_dir/intruders"
watch_web &
check ramet clone --cpus 1 web@before two
touch "$t_dir/watched"
wait
assert_eq "" "$(cat "$t_dir/intruders")" "what took the place of the first"
identity two >"$t_dir/two"
assert_eq "$(wc -l <"$t_dir/web")" "$(wc -l <"$t_dir/two")" "the lines that tell them apart"
assert_eq "" "$(grep -Fxf "$t_dir/web" "$t_dir/two")" "what both have"
assert_eq two "$(head -n 1 "$t_dir/two")" "its host name"
assert_ne "$web_address" "$(address_of two)" "the address"
check as_dev ramet ssh two -- 'grep -c two /etc/hosts; cat content; ls /etc/then; id -un'
assert_eq $'1\nthen\n/etc/then\ndev' "$out" "what is in it"
check as_dev ramet ssh two -- 'systemctl is-system-running --wait; systemctl --failed --no-legend'
assert_eq running "$out" "its services"
check ramet --json info two
assert_eq "web before ready" "$(jq -r '.[0] | [.base, .base_snapshot, .state] | join(" ")' <<<"$out")" "what is known of it"

t_start "it has the share of then, with what the guest had changed"
check as_dev ramet ssh two -- "cat '$app/file'"
assert_eq changed "$out" "the file"
echo 'new on the host' >"$app/new"
check as_dev ramet ssh two -- "cat '$app/new'"
assert_eq 'new on the host' "$out" "a file of the host's"

t_start "the first goes on as it was"
check as_dev ramet ssh web -- 'cat content /proc/sys/kernel/random/boot_id; ! test -e /etc/then'
assert_eq $'now\n'"$booted" "$out" "its content, and since when it runs"
assert_eq "$web_address" "$(address_of web)" "its address"
identity web >"$t_dir/web-after"
assert_same_file "$t_dir/web" "$t_dir/web-after" "its identity"
manifest "$frozen" | sed 's/ c=[0-9]*//' >"$t_dir/frozen-after"
assert_same_file "$t_dir/frozen" "$t_dir/frozen-after" "the frozen layer"
manifest_domain debian-12 >"$t_dir/base-after"
assert_same_file "$t_dir/base" "$t_dir/base-after" "the base"

t_start "both are told apart in lists, and neither is in the other's way"
check ramet tree
assert_match '─ web .*─ @before .*─ two ' "$out" "the tree"
expect_status 4 ramet remove --yes web
assert_contains "two" "$err" "the error"
check ramet doctor
assert_contains "0 errors" "$out$err" "the doctor"

t_start "both stop and start in any order"
check ramet stop web
check ramet stop two
expect_status 5 ramet rebase two
assert_contains "ramet flatten two" "$err" "the hint"
check ramet start two
check ramet start web
check ramet wait --timeout 500 two web
check as_dev ramet ssh two -- 'cat content'
assert_eq "then" "$out" "the clone's content"
check as_dev ramet ssh web -- 'cat content'
assert_eq now "$out" "the first one's content"

t_start "a user who cannot read the files makes one too, with another folder and a script"
check ramet remove --yes two
nothing_left
echo 'echo "$RAMET_HOSTNAME" >/etc/ran' >"$t_dir/script"
chmod 644 "$t_dir/script"
cp "$t_dir/script" /home/dev/script
check as_dev ramet clone --cpus 1 --memory 768 --disk-size 12 -d "$other" --run /home/dev/script --project shop web@before shop-three
check as_dev ramet ssh shop-three -- "cat '$other/file' /etc/ran content; ls -A '$app'; df -BG --output=size / | tail -n 1; nproc"
assert_match $'^another folder\nshop-three\nthen\n *1[12]G\n1$' "$out" "what is in it"
check ramet --json info shop-three
assert_eq shop "$(jq -r '.[0].project' <<<"$out")" "its project"
check ramet remove --yes shop-three
nothing_left

t_start "Ctrl-C while it gets its identity leaves nothing"
setsid bash -c 'exec "$@"' - ramet clone --cpus 1 web@before two >"$t_dir/cut" 2>&1 &
cut=$!
wait_for 500 grep -q "identity of its own" "$t_dir/cut"
kill -INT "$cut"
status=0
wait "$cut" || status=$?
assert_eq 130 "$status" "the exit status"
nothing_left

t_start "without a guest agent there is no clone, and nothing is left of it"
must as_dev ramet ssh web -- 'sudo systemctl mask --now qemu-guest-agent.service 2>&1; sync'
check ramet stop --force web
check as_dev ramet snapshot create web@silent
host_state >"$t_dir/host"
expect_status 5 ramet clone --cpus 1 web@silent two
assert_contains "no guest agent answers in 'two'" "$err" "the error"
nothing_left
expect_status 124 ramet clone --cpus 1 --timeout 10 web@silent two
assert_contains "no guest agent answers in 'two'" "$err" "the error"
nothing_left

t_done

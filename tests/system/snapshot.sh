#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# Snapshots: made of one VM and of several as one point in time, with memory and without, reverted to and deleted in every
# way, and what was done to them on the side. The guests have no system, but count; see snapshot-guest.sh for those that do.
# light: no guest of it boots a system
source "$(dirname -- "${BASH_SOURCE[0]}")/lib.sh"
# shellcheck source=tests/system/snapshot.d/host.sh
source "$(dirname -- "${BASH_SOURCE[0]}")/snapshot.d/host.sh"

counter_base hollow
base_is=$(manifest "$images/hollow.qcow2")
must ramet clone -q --no-bootstrap hollow web
must ramet start -q web
began=$(count_past web 4128)

# ------------------------------------------------------------------ one VM

t_start "a snapshot with memory leaves the VM running, and is shown by ramet and virsh"
check ramet snapshot create web@before
assert_eq "web@before" "$out" "what was printed"
assert_eq running "$(virsh -c qemu:///system domstate web | head -1)" "the VM"
assert_eq before "$(virsh_snapshots web)" "libvirt's snapshots"
assert_eq "before true true running" "$(snapshots web '.[] | "\(.name) \(.memory) \(.current) \(.run)"')" "ramet's list"
assert_eq "web.before.mem web.before.qcow2 web.qcow2" "$(files_of web)" "the files"
check ramet snapshot list web
assert_match 'web@before +[0-9-]+ [0-9:]+ +[0-9.]+ [KM]iB +yes +current' "$out" "the list"
then_count=$(count_of web)

t_start "reverting brings memory and disk back to one point in time, running"
later=$(count_past web $((then_count + 60)))
check ramet snapshot revert web@before
back=$(count_of web)
((back < later && back > began)) && ok || fail "the count was $then_count at the snapshot, $later before the revert, and is $back"
(($(count_past web "$back") > back)) && ok || fail "the guest does not go on"
on_disk=$(count_on_disk web)
now=$(count_of web)
((on_disk <= now && on_disk > began - 64)) && ok || fail "the disk has $on_disk, the memory $now"
assert_eq "web.before.2.qcow2 web.before.mem web.qcow2" "$(files_of web)" "the files"
assert_eq before "$(virsh -c qemu:///system snapshot-current --name web)" "libvirt's current snapshot"
assert_eq "/var/lib/libvirt/images/web.before.2.qcow2" "$(disk_of web)" "the disk"

t_start "it can be done again and again"
for _ in 1 2; do
  check ramet snapshot revert web@before
  n=$(count_of web)
  ((n < later)) && ok || fail "the count is $n"
done
check qemu-img check -q -U "$(disk_of web)"

t_start "deleting it while the VM runs merges the layers and frees the space"
check ramet snapshot delete web@before
assert_eq "" "$(virsh_snapshots web)" "libvirt's snapshots"
assert_eq "" "$(snapshots web '.[].name')" "ramet's list"
assert_eq 1 "$(files_of web | wc -w)" "the number of files: $(files_of web)"
n=$(count_of web)
(($(count_past web "$n") > n)) && ok || fail "the guest does not go on"
assert_eq 2 "$(qemu-img info -U --backing-chain --output=json "$(disk_of web)" | jq length)" "the length of the chain"
check ramet stop --force web
check ramet start web
n=$(count_past web 4096)
((n > 4096)) && ok || fail "the guest does not boot from the merged disk"

t_start "a snapshot gets a name by the clock, and a VM's own name need not come with one"
check ramet snapshot create web
assert_match '^web@20[0-9]{2}-[0-9]{2}-[0-9]{2}-[0-9]{4}$' "$out" "what was printed"
check ramet snapshot delete "$out"

t_start "without memory it is small; the VM boots from it if it ran"
check ramet snapshot create --disk-only web@small
assert_eq false "$(snapshots web '.[0].memory')" "with memory"
assert_lacks ".mem" "$(files_of web)" "the files"
check ramet snapshot revert web@small
assert_eq running "$(virsh -c qemu:///system domstate web | head -1)" "the VM"
n=$(count_past web 4096)
((n > 4096)) && ok || fail "the guest does not boot"
check ramet snapshot delete web@small

t_start "a VM that is paused is paused when it is brought back"
check ramet pause web
n=$(count_of web)
check ramet snapshot create web@still
assert_eq paused "$(virsh -c qemu:///system domstate web | head -1)" "the VM"
check ramet resume web
count_past web "$n" >/dev/null
check ramet snapshot revert web@still
assert_eq paused "$(virsh -c qemu:///system domstate web | head -1)" "the VM"
assert_eq "$n" "$(count_of web)" "the count"
check ramet resume web
check ramet snapshot delete web@still

t_start "of a VM that is off there is the disk, and it is off when it is brought back"
check ramet stop --force web
put_mark web 1
check ramet snapshot create web@one
put_mark web 2
check ramet snapshot create web@two
put_mark web 3
assert_mark web 3
check ramet start web
assert_eq "$base_is" "$(manifest "$images/hollow.qcow2")" "the base's file once the VM runs"
check ramet snapshot revert web@one
assert_eq "shut off" "$(virsh -c qemu:///system domstate web | head -1)" "the VM"
assert_mark web 1
check ramet snapshot revert web@two
assert_mark web 2
assert_eq "one two" "$(virsh_snapshots web)" "libvirt's snapshots"
check ramet start web
check ramet stop --force web

t_start "the list shows which snapshot stands on which"
check ramet snapshot list web
assert_contains $'\n  web@two' "$out" "the list"
check ramet snapshot revert web@one
check ramet snapshot create web@three
assert_eq "one:null two:one three:one" "$(snapshots web '[.[] | "\(.name):\(.parent)"] | join(" ")')" "the tree"

t_start "one that two stand on is deleted, and its layer goes when one of them does"
put_mark web 4
check ramet snapshot delete web@one
assert_eq "two three" "$(snapshots web '[.[].name] | join(" ")')" "the list"
assert_eq "three two" "$(virsh_snapshots web)" "libvirt's snapshots"
assert_mark web 4
check ramet snapshot revert web@two
assert_mark web 2
check ramet snapshot revert web@three
assert_mark web 1
check ramet snapshot delete web@two
assert_mark web 1
assert_eq 3 "$(qemu-img info --backing-chain --output=json "$(disk_of web)" | jq length)" "the length of the chain"
check ramet snapshot delete web@three
assert_mark web 1
assert_eq 1 "$(files_of web | wc -w)" "the number of files: $(files_of web)"
check ramet start web
count_past web 4096 >/dev/null

# ------------------------------------------------------------------ trees, deleted while the VM runs

t_start "inner layers of a VM that runs are merged, and what stands on them is kept"
for name in a b c; do
  check ramet snapshot create web@$name
  eval "at_$name=$(count_of web)"
  count_past web "$(($(count_of web) + 20))" >/dev/null
done
check ramet snapshot delete web@b
assert_eq "a c" "$(virsh_snapshots web)" "libvirt's snapshots"
check ramet snapshot revert web@c
n=$(count_of web)
# shellcheck disable=SC2154
((n >= at_c - 20 && n < at_c + 40)) && ok || fail "c was made at about $at_c, and is back at $n"
check ramet snapshot revert web@a
n=$(count_of web)
# shellcheck disable=SC2154
((n >= at_a - 20 && n < at_a + 40)) && ok || fail "a was made at about $at_a, and is back at $n"
check ramet snapshot create web@d
check ramet snapshot delete web@a
check ramet snapshot revert web@c
check ramet snapshot delete web@d
check ramet snapshot delete web@c
assert_eq 1 "$(files_of web | wc -w)" "the number of files: $(files_of web)"
check qemu-img check -q -U "$(disk_of web)"
n=$(count_of web)
(($(count_past web "$n") > n)) && ok || fail "the guest does not go on"

t_start "remove takes a VM with its snapshots"
check ramet snapshot create web@a
check ramet snapshot create --disk-only web@b
check ramet snapshot revert web@a
check ramet remove --yes web
assert_eq "" "$(files_of web)" "the files"
assert_eq "$base_is" "$(manifest "$images/hollow.qcow2")" "the base's file after all this"

t_done

#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# Templates: one is made, clones go on from its memory, each as somebody else, and what does not fit boots.
# RAMET_TEST_CLONES is how many clones are made four at a time, and all booted again (default 6, of which one is).
# long: a dozen clones
# shellcheck disable=SC2016
source "$(dirname -- "${BASH_SOURCE[0]}")/lib.sh"

n_clones=${RAMET_TEST_CLONES:-6}
app=/home/projects/app
other=/home/projects/other
folder=/var/lib/libvirt/ramet-templates
images=/var/lib/libvirt/images

# Print what must be equal for no two guests, a line each, with what it is in front; then what all have from the template: what
# systemd drew for a service when it started it, in memory only, and who that is and since when.
identity_of ()
{
  ramet ssh "$1" -- 'echo "machine-id $(cat /etc/machine-id)"; echo "hostname $(hostname)"
    echo "mac $(cat /sys/class/net/enp1s0/address)"; echo "key $(cut -d" " -f2 /etc/ssh/ssh_host_ed25519_key.pub)"
    echo "random $(head -c 32 /dev/urandom | od -An -tx1 | tr -d " \n")"
    ip -o -6 addr show dev enp1s0 scope link | while read -r _ _ _ address _; do echo "link-local $address"; done
    echo "nonce $(systemctl show --property=InvocationID --value avahi-daemon)"
    pid=$(systemctl show --property=MainPID --value avahi-daemon); echo "daemon $pid $(cut -d" " -f22 "/proc/$pid/stat")"
    echo "share $(cat /home/projects/*/file)"; echo "boot $(cat /proc/sys/kernel/random/boot_id)"; echo "up $(cut -d. -f1 /proc/uptime)"'
  ramet --json info "$1" | jq -r '.[0] | "uuid \(.uuid)", "address \(.address)", "definition-mac \(.macs[0])"'
}

# Of what identity_of printed, keep what a clone still is when it has booted.
who_it_is ()
{
  grep -v '^random\|^up\|^boot\|^nonce\|^daemon' | sort
}

# Print inode, size, time and content of all that the template is made of.
template_files ()
{
  local file
  for file in "$folder"/*.* "$images/$template".qcow2; do
    stat -c '%n %i %s %.9Y %a %u:%g' "$file"
    sha256sum "$file"
  done
}

mkdir -p "$app" "$other"
echo "from the host" >"$app/file"
echo "from another" >"$other/file"
lab_base

t_start "killed when its files are in place, a template leaves nothing that doctor does not mend"
expect_status 3 ramet template create nobody
find "$images" -type f | sort >"$t_dir/files"
for step in folder-made template-file:2; do
  expect_status 137 env RAMET_STOP_AT="$step" RAMET_STOP_SIGNAL=KILL ramet template create -q --cpus 1 debian-12
  check ramet doctor --fix
  find "$images" "$folder" -type f | sort >"$t_dir/left"
  assert_same_file "$t_dir/files" "$t_dir/left" "what is left of one that was killed at $step"
done
assert_eq 0 "$(ramet --json template list | jq length)" "templates"
rm -r "$folder"

t_start "a template is listed, and is no VM to work in"
lab_template
template=$(ramet --json template list | jq -r '.[0].name')
assert_eq "debian-12 1 $((1024 ** 3)) 4 null" \
  "$(ramet --json template list | jq -r '.[0] | "\(.base) \(.cpus) \(.memory) \(.shares) \(.unusable)"')" "what is listed"
check ramet template list
assert_match "^$template  *debian-12  *1  *1.0 GiB  .* usable" "$(tail -n 1 <<<"$out")" "the list"
check ramet list
assert_lacks "$template" "$out" "the VMs to work in"
template_files >"$t_dir/before"
manifest_domain debian-12 >"$t_dir/base"

t_start "it cannot be used as a VM"
expect_status 5 ramet start "$template"
expect_status 5 ramet clone "$template" one
expect_status 5 ramet set --cpus 2 "$template"
expect_status 5 ramet snapshot create "$template@x"
expect_status 5 ramet flatten "$template"

t_start "what does not fit boots, and it is said why"
while IFS='|' read -r text words; do
  read -ra arguments <<<"$words"
  check ramet clone --dry-run "${arguments[@]}" debian-12 one
  assert_contains "$text" "$err" "why with $words"
  assert_contains "boot it" "$out" "what would be done"
  expect_status 5 ramet clone --template "${arguments[@]}" debian-12 one
  assert_contains "$text" "$err" "why with --template $words"
done <<END
it has 1 CPU, and 2 are wanted|--cpus 2
it has 1.0 GiB of memory, and 2.0 GiB is wanted|--cpus 1 --memory 2G
a larger one is wanted|--cpus 1 --disk-size 20
it was made for the user 'root'|--cpus 1 --user ann
it was set up with other packages|--cpus 1 --package git
END
expect_status 2 ramet clone --cold --template debian-12 one
check ramet clone --dry-run --cpus 1 --cold debian-12 one
assert_contains "boot it" "$out" "what would be done with --cold"

t_start "of very many that look at it at once each sees it"
for i in $(seq 60); do
  (ramet clone -q --dry-run --template --cpus 1 debian-12 "x$i" >/dev/null 2>"$t_dir/look$i" || echo "status $?" >>"$t_dir/look$i") &
done
wait
assert_eq "" "$(grep -h 'status\|cannot' "$t_dir"/look* | head -n 3)" "what failed"

t_start "a clone goes on from it, with its share and under a name of its own"
check ramet clone --template --cpus 1 -d "$app" debian-12 one
assert_contains "going on from '$template'" "$err" "what was said"
assert_eq "one from the host" "$(ramet ssh one -- "hostname; cat '$app/file'" | xargs)" "what the guest says"
assert_eq 0 "$(virsh -c qemu:///system dumpxml --inactive one | grep -c qemu: || true)" "words for QEMU in its definition"
assert_eq "debian-12 ready" "$(ramet --json info one | jq -r '.[0] | "\(.base) \(.state)"' )" "what is known of it"
check ramet ssh one -- "echo mine >'$app/file'; echo here >mine; sync"
expect_status 4 ramet template remove --yes "$template"
assert_contains "one" "$err" "who needs it"

t_start "killed at any step of going on, it leaves nothing that doctor does not mend"
mkdir -p /home/closed/app
chmod 700 /home/closed
access=$(getfacl -p /home/closed /home/closed/app)
for step in file-made clone-state clone-restored clone-became; do
  expect_status 137 env RAMET_STOP_AT="$step" RAMET_STOP_SIGNAL=KILL \
    ramet clone -q --template --cpus 1 --grant -d /home/closed/app debian-12 cut
  assert_ne "$access" "$(getfacl -p /home/closed /home/closed/app)" "the access at $step"
  check ramet doctor --fix
  expect_status 3 ramet info cut
  assert_eq "" "$(find "$images" "$folder" -name 'cut*')" "what is left of one that was killed at $step"
  assert_eq "$access" "$(getfacl -p /home/closed /home/closed/app)" "the access of one that was killed at $step"
done

t_start "where as many begin as there are processors, another one waits for its turn, and says so"
turns=${XDG_RUNTIME_DIR:-$HOME/.cache}/ramet
holders=()
for ((i = 0; i < $(nproc); i++)); do
  flock -n "$turns/turn-$i" sleep 1000 &
  holders+=("$!")
done
env --default-signal=INT ramet clone --template --cpus 1 debian-12 late >/dev/null 2>"$t_dir/late" &
late=$!
wait_for 30 grep -q "late: waiting for its turn: $(nproc) others are beginning" "$t_dir/late"
assert_eq creating "$(ramet --json list --all | jq -r '.[] | select(.name == "late") | .state')" "its state while it waits"
kill -INT "$late"
status=0
wait "$late" || status=$?
assert_eq 130 "$status" "the exit status after Ctrl-C"
expect_status 3 ramet info late
ramet clone -q --template --cpus 1 debian-12 late &
late=$!
wait_for 30 test -e "$images/late.qcow2"
sleep 2
assert_eq "shut off" "$(virsh -c qemu:///system domstate late | xargs)" "its state while it waits"
pkill -P "${holders[0]}" || kill "${holders[0]}"
check wait "$late"
assert_eq late "$(ramet ssh late -- hostname)" "what the guest says"
check ramet remove --yes late
pkill -x -f "sleep 1000"
wait

t_start "$n_clones clones, four at a time, are all somebody else"
seq "$n_clones" | xargs -P 4 -I{} timeout 600 ramet clone -q --template --cpus 1 -d "$other" debian-12 many{} \
  >"$t_dir/many" 2>&1 || fail "making them: $(cat "$t_dir/many")"
for i in $(seq "$n_clones"); do
  identity_of "many$i" >"$t_dir/many$i"
  ps -o etimes= -p "$(cat "/run/libvirt/qemu/many$i.pid")" | xargs >"$t_dir/age$i"
done
for what in machine-id hostname mac key random link-local uuid address definition-mac; do
  assert_eq "$n_clones" "$(cat "$t_dir"/many[0-9]* | grep "^$what " | sort -u | wc -l)" "different values of $what"
done
for what in boot nonce daemon; do
  assert_eq 1 "$(cat "$t_dir"/many[0-9]* | grep "^$what " | sort -u | wc -l)" "$what that they all go on with"
done
assert_match '^nonce [0-9a-f]{32}$' "$(grep '^nonce ' "$t_dir/many1")" "what systemd drew"
for i in $(seq "$n_clones"); do
  assert_eq "many$i" "$(sed -n 's/^hostname //p' "$t_dir/many$i")" "the name"
  # as long as its QEMU runs, and the template before that
  (($(sed -n 's/^up //p' "$t_dir/many$i") > $(cat "$t_dir/age$i"))) || fail "many$i has booted since it was made"
  assert_eq "$(sed -n 's/^definition-mac //p' "$t_dir/many$i")" "$(sed -n 's/^mac //p' "$t_dir/many$i")" "the MAC address of many$i"
  assert_eq "from another" "$(sed -n 's/^share //p' "$t_dir/many$i")" "the share of many$i"
done
template_files >"$t_dir/after"
assert_same_file "$t_dir/before" "$t_dir/after" "the template"

n_boots=${RAMET_TEST_CLONES:-1}
t_start "$n_boots of them, booted two at a time, are still who they were"
seq -f many%g "$n_boots" | xargs -P 2 -I{} sh -c 'ramet restart -q {} && ramet wait --timeout 600 {}' >"$t_dir/boots" 2>&1 \
  || fail "booting them: $(cat "$t_dir/boots")"
for i in $(seq "$n_boots"); do
  who_it_is <"$t_dir/many$i" >"$t_dir/was"
  identity_of "many$i" >"$t_dir/is"
  assert_ne "$(grep '^nonce ' "$t_dir/many$i")" "$(grep '^nonce ' "$t_dir/is")" "what systemd drew in many$i"
  who_it_is <"$t_dir/is" >"$t_dir/again"
  assert_same_file "$t_dir/was" "$t_dir/again" "who many$i is"
done
template_files >"$t_dir/after"
assert_same_file "$t_dir/before" "$t_dir/after" "the template"
check ramet remove --yes $(seq -f many%g 2 "$n_clones")

t_start "it is paused, snapshotted, reverted and saved like any other"
check ramet snapshot create one@then
check ramet ssh one -- "echo later >mine; sync"
check ramet snapshot revert one@then
assert_eq "here mine" "$(ramet ssh one -- "cat mine '$app/file'" | xargs)" "what it has"
check ramet pause --to-disk one
check ramet resume one
assert_eq "here mine" "$(ramet ssh one -- "cat mine '$app/file'" | xargs)" "what it has"
assert_eq 0 "$(virsh -c qemu:///system dumpxml --inactive one | grep -c qemu: || true)" "words for QEMU in its definition"
check ramet snapshot delete one@then

t_start "it boots again as itself"
identity_of one | who_it_is >"$t_dir/one"
check ramet restart one
check ramet wait --timeout 300 one
identity_of one | who_it_is >"$t_dir/again"
assert_same_file "$t_dir/one" "$t_dir/again" "who it is"
assert_eq "here mine" "$(ramet ssh one -- "cat mine '$app/file'" | xargs)" "what it has"
assert_eq 0 "$(virsh -c qemu:///system dumpxml one | grep -c qemu: || true)" "words for QEMU"
assert_eq "" "$(ramet --json doctor | jq -r '.[] | select(.severity == "error") | .message')" "what doctor finds"

t_start "a VM that runs is forked, and both go on as somebody of their own"
check ramet ssh one -- 'nohup sh -c "i=0; while :; do i=\$((i + 1)); echo \$i >/run/count; sleep 0.2; done" >/dev/null 2>&1 </dev/null &'
timeout 120 virsh -q -c qemu:///system event one lifecycle --loop --timestamp >"$t_dir/events" 2>&1 &
events_pid=$!
check ramet fork one two
kill "$events_pid" 2>/dev/null || true
wait "$events_pid" 2>/dev/null || true
note "$(grep -E 'Suspended|Resumed' "$t_dir/events" | sed 's/: event.*: / /' | xargs)"
identity_of one | grep -v '^up' | sort >"$t_dir/one"
identity_of two | grep -v '^up' | sort >"$t_dir/two"
for what in machine-id hostname mac key random link-local uuid address definition-mac; do
  assert_ne "$(grep "^$what " "$t_dir/one")" "$(grep "^$what " "$t_dir/two")" "$what of both"
done
assert_eq "$(grep '^boot ' "$t_dir/one")" "$(grep '^boot ' "$t_dir/two")" "the boot that both come from"
for name in one two; do
  assert_eq "here mine" "$(ramet ssh "$name" -- "cat mine '$app/file'" | xargs)" "what $name has"
  before=$(ramet ssh "$name" -- cat /run/count)
  ((before > 0 && $(ramet ssh "$name" -- cat /run/count) > before)) || fail "what ran in $name does not run on"
done
check ramet snapshot list one
assert_lacks fork "$out" "the snapshots"
assert_eq "" "$(find "$images" -name '*.mem')" "files with memory"
expect_status 4 ramet fork one two
check ramet remove --yes two
check ramet stop one
expect_status 4 ramet fork one two
assert_eq "" "$(ramet --json doctor | jq -r '.[] | select(.severity == "error") | .message')" "what doctor finds"

t_start "a name that was another VM's until just now leads to the new one"
check ramet clone -q --template --cpus 1 debian-12 two
assert_eq "$(ramet --json info two | jq -r '.[0].address')" "$(getent ahostsv4 two.local | awk 'NR == 1 { print $1 }')" \
  "what its name stands for"
assert_eq two "$(ramet ssh two -- hostname)" "who answers"
check ramet remove --yes two

t_start "a VM on whose console root's shell is open is not forked"
check ramet clone -q --template --cpus 1 debian-12 open
check ramet ssh open -- "sudo systemctl stop serial-getty@ttyS0; sudo setsid -f sh -c 'exec sh </dev/ttyS0 >/dev/ttyS0 2>&1'"
expect_status 5 ramet fork open shut
assert_contains "a root shell still answers on the console of 'shut'" "$err" "the error"
expect_status 3 ramet info shut
assert_eq running "$(virsh -c qemu:///system domstate open | xargs)" "the VM that was to be forked"
check ramet remove --yes open

t_start "a template that is not what it was is not used"
memory=$(ls "$folder"/*.memory)
touch "$memory"
check ramet clone --dry-run --cpus 1 debian-12 two
assert_contains "its memory, '$memory', was written to since" "$err" "why"
touch -d "@$(awk '/memory / { print $4; exit }' "$t_dir/before")" "$memory"
state=$(ls "$folder"/*.state)
cp -a "$state" "$t_dir/state"
printf x | dd of="$state" bs=1 seek=500000 conv=notrunc status=none
touch -r "$t_dir/state" "$state"
check ramet clone --dry-run --cpus 1 debian-12 two
assert_contains "has changed since it was made" "$err" "why"
cat "$t_dir/state" >"$state"
touch -r "$t_dir/state" "$state"
check ramet clone --dry-run --cpus 1 debian-12 two
assert_contains "go on from the memory of '$template'" "$out" "what would be done"

t_start "it is removed when nobody needs it, and leaves nothing"
check ramet remove --yes one many1
check ramet template remove --yes "$template"
assert_eq "" "$(find "$folder" -type f)" "files of templates"
assert_eq "debian-12.qcow2" "$(ls "$images")" "disks"

t_done

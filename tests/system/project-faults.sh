#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# A project of several VMs when something goes wrong: one fails, up is interrupted or killed, the file is no good, a name is
# somebody else's.
# shellcheck disable=SC2034
source "$(dirname -- "${BASH_SOURCE[0]}")/lib.sh"

images=/var/lib/libvirt/images
shop=/home/projects/shop

# Print the sorted names of VMs, and of the base.
vm_names ()
{
  virsh -c qemu:///system list --all --name | grep -v '^debian-12-template' | sort | xargs
}

# Write the project's file: the VM 'db', and what is on standard input.
write_project ()
{
  {
    printf '[project]\nname = shop\nbase = debian-12\ncpus = 1\n\n[vm db]\n'
    cat
  } >"$shop/ramet.ini"
}

mkdir -p "$shop"
cd "$shop"
printf '#!/bin/sh\necho it breaks here; exit 3\n' >fails.sh
printf '#!/bin/sh\nsleep 300\n' >slow.sh
lab_template
find "$images" -mindepth 1 -printf '%p\n' | sort >"$t_dir/files"

t_start "a VM that fails leaves nothing, those after it are not begun, and the rest is done"
write_project <<'END'
[vm bad]
run = fails.sh
[vm nopackage]
packages = no-such-package-anywhere
[vm late]
after = bad db
END
expect_status 6 ramet up --json
assert_eq "shop-db" "$(jq -r '[.[] | select(.done).name] | join(" ")' <<<"$out")" "done"
assert_eq "shop-bad shop-nopackage shop-late" "$(jq -r '[.[] | select(.done | not).name] | join(" ")' <<<"$out")" "not done"
assert_contains "fails.sh' failed with status 3" "$(jq -r '.[] | select(.name == "shop-bad").error' <<<"$out")"
assert_contains "no-such-package-anywhere" "$(jq -r '.[] | select(.name == "shop-nopackage") | .error + .hint' <<<"$out")$err"
assert_contains "'shop-bad', which comes before it, failed" "$(jq -r '.[] | select(.name == "shop-late").error' <<<"$out")"
assert_contains "done for 1 of 4 VMs" "$err"
assert_eq "debian-12 shop-db" "$(vm_names)" "VMs left"
assert_lacks "bad" "$(ls "$images")" "files left"
check ramet list
assert_contains "shop-late is not made yet: 'ramet up late'" "$err"
expect_status 6 ramet start
assert_contains "hint: 'ramet up bad' makes it" "$err"

t_start "Ctrl-C in the middle leaves nothing half made"
write_project <<'END'
[vm one]
run = slow.sh
[vm two]
run = slow.sh
[vm three]
after = two
END
ramet up >"$t_dir/int.out" 2>"$t_dir/int.err" &
pid=$!
wait_for 60 grep -q '^shop-one: starting' "$t_dir/int.err"
wait_for 60 grep -q '^shop-two: starting' "$t_dir/int.err"
kill -INT "$pid"
status=0
wait "$pid" || status=$?
assert_eq 130 "$status" "status"
assert_eq "debian-12 shop-db" "$(vm_names)" "VMs left"
assert_lacks "shop-one" "$(ls "$images")" "files left"
assert_contains "shop-one: taking back what was made" "$(cat "$t_dir/int.err")"

t_start "when up itself is killed, what it began is taken back, and the next one need not wait"
ramet up one >"$t_dir/kill.out" 2>"$t_dir/kill.err" &
pid=$!
wait_for 60 grep -q '^shop-one: starting' "$t_dir/kill.err"
kill -KILL "$pid"
wait "$pid" 2>/dev/null || true
# shellcheck disable=SC2016
wait_for 60 bash -c '! virsh -c qemu:///system dominfo shop-one'
assert_lacks "shop-one" "$(ls "$images")" "files left"
write_project </dev/null
check timeout 60 ramet up
assert_contains "nothing to do" "$out"

t_start "a circle, and a VM of that name that is somebody else's"
write_project <<'END'
[vm a]
after = b
[vm b]
after = a
END
expect_status 2 ramet up
assert_contains "a → b → a" "$err"
virsh -c qemu:///system dumpxml debian-12 | sed '/<uuid>/d; s/<name>.*/<name>shop-mine<\/name>/; /<metadata>/,/<\/metadata>/d' >"$t_dir/mine.xml"
must virsh -c qemu:///system define "$t_dir/mine.xml"
write_project <<<'[vm mine]'
expect_status 4 ramet up
assert_contains "there is a VM 'shop-mine' already, which was not made by ramet" "$err"
must virsh -c qemu:///system undefine shop-mine
write_project </dev/null

t_start "a VM that was never set up is started, and not waited for"
must ramet clone --no-bootstrap --cpus 1 --project shop debian-12 shop-raw
write_project <<<'[vm raw]'
check timeout 60 ramet up raw
check virsh -q -c qemu:///system domstate shop-raw
assert_eq running "$(xargs <<<"$out")" "its state"
write_project </dev/null

t_start "remove @PROJECT leaves nothing"
check ramet down --force
check ramet remove --yes @shop
find "$images" -mindepth 1 -printf '%p\n' | sort >"$t_dir/files-after"
assert_same_file "$t_dir/files" "$t_dir/files-after" "files of VMs"

t_done

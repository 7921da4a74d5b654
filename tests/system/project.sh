#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# A project of several VMs, by its file: brought up from nothing, changed, stopped and removed. What goes wrong is in
# project-faults.sh.
# shellcheck disable=SC2034
source "$(dirname -- "${BASH_SOURCE[0]}")/lib.sh"

images=/var/lib/libvirt/images
shop=/home/projects/shop

# What there is of VMs on this host.
host_state ()
{
  virsh -c qemu:///system list --all --name | sort
  find "$images" -mindepth 1 -printf '%p\n' | sort
}

# Write the project's file with three VMs, and what else is on standard input.
write_project ()
{
  {
    cat <<'END'
[project]
name = shop
base = debian-12
cpus = 1

[vm web]
after = db
share = .
run = setup.sh

[vm db]

[vm worker]
END
    cat
  } >"$shop/ramet.ini"
}

# Is line $1 (an extended regular expression) before line $2 in file $3?
assert_before ()
{
  local first second
  first=$(grep -nE -m 1 -- "$1" "$3" | cut -d: -f1) || true
  second=$(grep -nE -m 1 -- "$2" "$3" | cut -d: -f1) || true
  if [[ -n $first && -n $second ]] && ((first < second)); then
    ok
  else
    fail "'$1' (line ${first:-none}) should come before '$2' (line ${second:-none}) in $(cat -- "$3")"
  fi
}

mkdir -p "$shop/sub"
cd "$shop"
echo hello >index.html
printf '#!/bin/sh\necho set up >/root/set-up\n' >setup.sh
lab_template
host_state >"$t_dir/host"
write_project </dev/null

# ------------------------------------------------------------------ up

t_start "up makes all VMs, those that do not wait for each other at once; a second one waits for the first"
began=$SECONDS
ramet -v up >"$t_dir/up.out" 2>"$t_dir/up.err" &
up_pid=$!
wait_for 20 grep -q 'shop-db: creating' "$t_dir/up.err"
# apply locks the folder, and need not wait
check flock --nonblock "$shop" true
cd sub
ramet up db >"$t_dir/second.out" 2>"$t_dir/second.err" &
second_pid=$!
cd ..
status=0
wait "$up_pid" || status=$?
note "up took $((SECONDS - began)) s"
assert_eq 0 "$status" "status of up"
((status == 0)) || sed 's/^/#   /' "$t_dir/up.err"
assert_contains "the project file is '$shop/ramet.ini'" "$(cat "$t_dir/up.err")"
assert_contains "shop-web: waiting for shop-db" "$(cat "$t_dir/up.err")"
assert_before '^shop-worker: creating' '^shop-db: waiting for ssh' "$t_dir/up.err"
assert_before '^shop-db: waiting for ssh' '^shop-web: creating' "$t_dir/up.err"
for name in web db worker; do
  assert_match "shop-$name is made, at [0-9.]*: ramet ssh shop-$name" "$(cat "$t_dir/up.out")"
done
status=0
wait "$second_pid" || status=$?
assert_eq 0 "$status" "status of the second"
assert_contains "waiting for another ramet that works on this project (process $up_pid)" "$(cat "$t_dir/second.err")"
assert_eq "nothing to do: 1 VM is up" "$(cat "$t_dir/second.out")" "the second"
assert_eq "hello" "$(ramet ssh shop-web -- cat "$shop/index.html")" "the share"
assert_eq "set up" "$(ramet ssh shop-web -- sudo cat /root/set-up)" "what the script did"
assert_eq "shop-db shop-web shop-worker" "$(ramet list --json | jq -r '[.[] | select(.project == "shop").name] | sort | join(" ")')"

t_start "up again does nothing, and says so"
began=$SECONDS
check ramet up
assert_eq "nothing to do: 3 VMs are up" "$out"
((SECONDS - began < 5)) || fail "it took $((SECONDS - began)) s"
check ramet up --json
assert_eq "shop-web shop-db shop-worker" "$(jq -r '[.[] | select(.done and .did == null and .run == "running").name] | join(" ")' <<<"$out")"

t_start "commands without a name mean the project of this folder"
check ramet list
assert_eq "shop-web shop-db shop-worker" "$(sed 1d <<<"$out" | cut -d' ' -f1 | xargs)" "order of the file"
expect_status 2 ramet ssh
assert_contains "shop-web, shop-db, shop-worker" "$err"
cd /
check ramet pause @shop --json
assert_eq "paused paused paused" "$(jq -r '[.[].run] | join(" ")' <<<"$out")"
cd "$shop"
check ramet resume
expect_status 2 ramet -q up nothing --jobs -1
expect_status 3 ramet up nothing

# ------------------------------------------------------------------ changes

t_start "what differs between file and VM is listed, and changed as far as that goes"
mkdir -p docs
echo "read me" >docs/file
write_project <<'END'
END
sed -i 's/^\[vm db\]$/&\ncpus = 2\nmemory = 768M\ndisk-size = 12G\nshare = docs:\/srv\/docs/' ramet.ini
check ramet up --dry-run
assert_contains "shop-db: cpus: 2 instead of 1, from the next start on" "$out"
assert_contains "shop-db would be changed" "$out"
check ramet up --dry-run --json
assert_eq "shop-web: shop-db:changed shop-worker:" "$(jq -r '[.[] | .name + ":" + (.would // "")] | join(" ")' <<<"$out")" "what would be done"
assert_contains "cpus: 2 instead of 1, from the next start on" "$(jq -r '.[] | select(.name == "shop-db").notes[]' <<<"$out")"
check ramet -q up --dry-run
assert_eq "" "$out$err" "what a quiet dry run prints"
assert_eq 1 "$(ramet info --json shop-db | jq '.[0].cpus')" "CPUs after a dry run"
check ramet up
assert_contains "shop-db: memory: 768.0 MiB instead of" "$out"
assert_contains "shop-db: disk: 12.0 GiB instead of" "$out"
assert_contains "shop-db: share: '$shop/docs' at '/srv/docs', from the next start on" "$out"
assert_contains "shop-db is changed" "$out"
assert_lacks warning "$err"
size=$(ramet ssh shop-db -- df -BG --output=size / | tail -n 1 | tr -dc 0-9)
((size >= 11)) || fail "the guest's filesystem has $size GiB"
assert_eq 1 "$(ramet ssh shop-db -- nproc)" "CPUs before the restart"
check ramet up
assert_contains "shop-db: it runs as it was before: 'ramet restart shop-db' lets its changes in" "$out"
assert_contains "nothing to do: 3 VMs are up" "$out"
check ramet restart shop-db
assert_lacks warning "$err"
check ramet wait --timeout 300 shop-db
assert_eq 2 "$(ramet ssh shop-db -- nproc)" "CPUs after the restart"
assert_eq "read me" "$(ramet ssh shop-db -- cat /srv/docs/file)" "the share that came later"
check ramet ssh shop-db -- "echo mine | sudo tee /srv/docs/own"
assert_eq "file" "$(ls docs)" "the folder on the host"
check ramet up
assert_eq "nothing to do: 3 VMs are up" "$out"

t_start "what needs a new VM is said"
sed -i 's/^\[vm worker\]$/&\nnetwork = other\nuser = ann\npackages = git\ndisk-size = 1G/; s/^base = .*/base = nowhere/' ramet.ini
check ramet up
assert_contains "nothing to do: 3 VMs are up" "$out"
assert_contains "shop-worker: network: it is in 'default', not 'other'; only a new VM has it: 'ramet remove shop-worker', then 'ramet up worker'" "$out"
assert_contains "shop-worker: user: it is 'root', not 'ann'" "$out"
assert_contains "shop-worker: packages or run: these are for the first boot" "$out"
assert_match "shop-worker: disk-size: .* does not shrink to 1.0 GiB" "$out"
assert_contains "shop-web: base: it was cloned from 'debian-12', not 'nowhere'" "$out"

t_start "set changes any one VM"
check ramet set --cpus 2 shop-db
assert_contains "nothing to do" "$out"
expect_status 2 ramet set --disk-size 1G shop-db
assert_contains "cannot shrink" "$err"
expect_status 3 ramet set --remove-share sub shop-db
expect_status 5 ramet set --cpus 2 --add-share /etc shop-db
check ramet set --remove-share docs --memory 512M shop-db
assert_contains "share: '$shop/docs' at '/srv/docs' no more, from the next start on; what the guest wrote above it stays in the guest" "$out"
assert_eq "0" "$(ramet info --json shop-db | jq '.[0].shares | length')" "shares"
assert_eq "0" "$(virsh -c qemu:///system dumpxml --inactive shop-db | grep -c '<filesystem')" "devices"
tag=$(ramet info --json shop-web | jq -r '.[0].shares[0].tag')
check ramet set --remove-share . shop-web
check ramet set --add-share . shop-web
assert_eq "$tag" "$(ramet info --json shop-web | jq -r '.[0].shares[0].tag')" "the tag of a clone's share that came back"

# ------------------------------------------------------------------ down

t_start "down stops all in the reverse order, and up starts them"
check ramet down
assert_before 'shop-db: waiting for shop-web' 'shop-db: stopping' "$t_dir/err"
assert_eq "off off off" "$(ramet list --json | jq -r '[.[].run] | join(" ")')"
check ramet down
assert_contains "nothing to do" "$out"
check ramet up db
assert_match "shop-db is started, at" "$out"
assert_eq "off running off" "$(ramet list --json | jq -r '[.[].run] | join(" ")')"

t_start "remove @PROJECT leaves nothing"
check ramet remove --yes @shop
host_state >"$t_dir/host-after"
assert_same_file "$t_dir/host" "$t_dir/host-after" "what there is of VMs"

t_done

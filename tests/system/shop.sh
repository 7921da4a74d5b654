# shellcheck shell=bash
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# A whole project, as its user has it: a database, a web server that reads it and runs from the shared folder, a worker that
# counts; made, paused, snapshotted and brought back together.
# long: three guests
source "$(dirname "$0")/lib.sh"

project=/home/shop
worker_log=$t_dir/counted

# Print the number that the web server tells, which it has from the database; fails if it has none.
web_count ()
{
  local address
  address=$(avahi-resolve -4 -n shop-web.local | cut -f2)
  python3 -c 'import sys, urllib.request; print(urllib.request.urlopen(sys.argv[1], timeout=10).read().decode(), end="")' \
    "http://$address:8080/" 2>/dev/null | grep -x '[0-9]*'
}

# Has the web server told at least $1?
web_has ()
{
  local n
  n=$(web_count) && ((n >= $1))
}

# Fetch what the worker has written down: the number and the guest's uptime in seconds, a line each.
worker_fetch ()
{
  must ramet ssh shop-worker -- cat /var/lib/shop/counted
  printf '%s\n' "$out" >"$worker_log"
}

# Check that the worker was given each number once, and never had to wait longer than $1 seconds of its own time for one.
# The snapshot's point counts: had the database another one than the worker, a number would come twice or not at all.
assert_no_gap ()
{
  local what
  worker_fetch
  what=$(awk -v most="$1" '
    NR > 1 && $1 != n + 1 { print "line " NR ": " $1 " after " n }
    NR > 1 && $2 - at > most { print "line " NR ": " $2 - at " s passed" }
    { n = $1; at = $2 }
    END { if (NR < 10) print "only " NR " lines" }' "$worker_log")
  assert_eq "" "$what" "what is wrong with the numbers that the worker was given"
}

# Print a guest's uptime in hundredths of a second.
uptime_of ()
{
  ramet ssh "$1" -- cat /proc/uptime | awk '{ printf "%d\n", $1 * 100 }'
}

# Check the clocks of all three guests.
assert_clocks ()
{
  clock_is_right shop-db
  clock_is_right shop-web
  clock_is_right shop-worker
}

lab_base
mapfile -t debs < <(find "$("$t_system_dir/shop.d/prepare" --print)" -name '*.deb')
repo_serve "${debs[@]}"
cp -r -- "$t_system_dir/shop.d/project" "$project"
chmod -R a+rX "$project"
cd -- "$project"
git init -q
git -c user.name=dev -c user.email=dev@example.org add -A
git -c user.name=dev -c user.email=dev@example.org commit -qm shop

# ------------------------------------------------------------------ up

t_start "a project of three VMs is made by one word"
must ramet up
linger shop-db shop-web shop-worker
check ramet list --json
assert_eq "shop-db shop-web shop-worker" "$(jq -r '[.[].name] | sort | join(" ")' <<<"$out")" "the VMs"
wait_for 60 web_has 20
check ramet up
assert_contains "nothing to do" "$out$err" "what is said the second time"

# ------------------------------------------------------------------ pause

t_start "the project is paused and goes on, without a gap in its own time"
since=$(date +%s)
before=$(uptime_of shop-worker)
check ramet pause
assert_eq "paused paused paused" "$(ramet list --json | jq -r '[.[].run] | join(" ")')" "what runs"
sleep 12
check ramet resume
after=$(uptime_of shop-worker)
wall=$(($(date +%s) - since))
assert_match '^-' "$(((after - before) / 100 - wall + 11))" "seconds of the guest's own time, less those outside, and eleven"
assert_clocks
wait_for 30 web_has "$(($(web_count) + 5))"
assert_no_gap 3

# ------------------------------------------------------------------ a point in time

t_start "a snapshot of a project whose web server runs from the share says so and changes nothing"
expect_status 4 ramet snapshot create before
assert_contains "shop-web.service" "$err" "the service that is named"
assert_contains "--stop-users" "$err" "the hint"
assert_eq "" "$(virsh -c qemu:///system snapshot-list --name shop-web | tr -d '\n')" "snapshots"
check web_count

t_start "all three are taken at one point in time, and brought back to it"
check ramet snapshot create before --stop-users
wait_for 30 web_count
# far enough from the point for what is counted while they are brought back
wait_for 120 web_has "$(($(web_count) + 400))"
late=$(web_count)
worker_fetch
at_point=$(ramet ssh shop-worker -- wc -l /var/lib/shop/counted | cut -d' ' -f1)
must ramet ssh shop-web -- 'echo "later" >/srv/shop/later; sudo -n touch /var/lib/shop/later'
check ramet snapshot list --json
assert_eq "true" "$(jq 'length > 0 and all(.[]; .name == "before" and .memory)' <<<"$out")" "the snapshots listed"
check ramet snapshot revert before
wait_for 60 web_count
back=$(web_count)
assert_match '^-' "$((back - late))" "the number after the revert, less the one before it"
must ramet ssh shop-web -- 'test ! -e /srv/shop/later && test ! -e /var/lib/shop/later && cat /srv/shop/web.pl'
assert_clocks
wait_for 30 web_has "$((back + 10))"
assert_no_gap 10
assert_match '^-' "$(($(head -n 1 "$worker_log" | cut -d' ' -f1) - at_point))" "the first number, less how many there were"
must ramet ssh shop-web -- sort -cn /var/lib/shop/seen

t_start "the project is saved to disk and comes back"
check ramet pause --to-disk --stop-users
assert_eq "" "$(virsh -c qemu:///system list --name | tr -d '\n')" "what runs"
sleep 5
check ramet resume
wait_for 60 web_has "$((back + 10))"
assert_clocks
assert_no_gap 10

t_start "a snapshot that is deleted frees its space"
check ramet snapshot delete before
assert_eq "" "$(find /var/lib/libvirt/images -name '*before*mem*')" "memory files left"
check web_count

# ------------------------------------------------------------------ what the guest changed

t_start "what was changed in a guest is what git applies on the host"
must ramet ssh shop-web -- 'cd /srv/shop && echo "# more" >>web.pl && rm worker.pl && printf "a\0b" >bin && ln -s web.pl link && mkdir deep && echo new >"deep/a file" && chmod +x ramet.ini'
cp -a -- "$project" "$t_dir/other"
git -C "$t_dir/other" update-index -q --refresh
check ramet diff shop-web
cp -- "$t_dir/out" "$t_dir/patch"
check git -C "$t_dir/other" apply --index "$t_dir/patch"
check ramet apply shop-web
git add -A
check git diff --cached --stat
assert_eq "$(git -C "$t_dir/other" write-tree)" "$(git write-tree)" "the tree that git made of the patch, and that of 'apply'"
check ramet diff shop-web
assert_eq "" "$out" "what is left to apply"

# ------------------------------------------------------------------ down

t_start "the project is stopped, and removed"
check ramet down
assert_eq "" "$(virsh -c qemu:///system list --name | tr -d '\n')" "what runs"
check ramet remove --yes @shop
assert_eq "debian-12" "$(virsh -c qemu:///system list --all --name | tr -d '\n')" "domains"
t_done

#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# apply and discard when something comes in between: no room, Ctrl-C, a kill at each step, processes that hold the tree.
# shellcheck source=tests/system/lib.sh
source "$(dirname -- "${BASH_SOURCE[0]}")/lib.sh"
# shellcheck source=tests/system/overlay.d/tree.sh
source "$t_system_dir/overlay.d/tree.sh"

# Check that apply gets as far as the step $1, and is killed there; another shell tells of it.
killed_at ()
{
  expect_status 137 env RAMET_STOP_AT="$1" RAMET_STOP_SIGNAL=KILL sh -c 'ramet apply web; exit $?'
}

t_start "apply is all or nothing: no room, Ctrl-C, a kill at each step"
reset_all
check in_guest 'for i in 1 2 3 4 5; do echo $i >src/new$i; done; echo x >>src/one.txt; rm src/two.txt; rm -r gone; dd if=/dev/zero of=src/large bs=1M count=40 2>/dev/null'
mkdir "$t_dir/small"
before=$(tree_of "$app")
mount -t tmpfs -o size=48m tmpfs "$t_dir/small"
# the same folder, but with hardly any room
cp -a "$app/." "$t_dir/small/"
mount --bind "$t_dir/small" "$app"
expect_status 1 ramet apply web
assert_contains "has" "$err" "the message"
assert_eq "$before" "$(tree_of "$app")" "the tree without room"
umount "$app"
umount "$t_dir/small"
check in_guest 'rm src/large'
if RAMET_STOP_AT='?' ramet diff web 2>&1 >/dev/null | grep -q '^step overlay-listed'; then
  for step in changes-staged changes-journaled change-applied:1 change-applied:4 change-applied:10; do
    killed_at "$step"
    # the next one puts back what was changed, and stops before it changes anything itself
    killed_at changes-staged
    assert_eq "$before" "$(rm -rf "$app"/.ramet-apply.*; tree_of "$app")" "the tree after a kill at $step"
  done
  # so many that it is at work still when the signal gets through
  check in_guest 'i=0; while [ $i -lt 3000 ]; do i=$((i + 1)); : >src/many$i; done'
  (RAMET_STOP_AT=change-applied:5 exec ramet apply web) >"$t_dir/o" 2>"$t_dir/e" &
  pid=$!
  wait_for 60 grep -q '^State:.*T (stopped)' "/proc/$pid/status"
  kill -INT "$pid"
  kill -CONT "$pid"
  status=0
  wait "$pid" || status=$?
  assert_eq 130 "$status" "the status after Ctrl-C"
  assert_eq "$before" "$(tree_of "$app")" "the tree after Ctrl-C"
  assert_eq "" "$(find "$app" -maxdepth 1 -name '.ramet*')" "what is left behind"
else
  note "this build cannot be stopped at a step"
fi
check ramet apply --force web
assert_eq 5 "$(find "$app/src" -name 'new?' | wc -l)" "the new files"

t_start "a guest that holds the tree keeps its copies, is named, and can be stopped"
reset_all
check in_guest 'echo x >>src/one.txt
  printf "[Service]\nWorkingDirectory=%s\nExecStart=/bin/sleep 1000\n" "$PWD" >/etc/systemd/system/holder.service
  systemctl daemon-reload; systemctl start holder; setsid sleep 2000 </dev/null >/dev/null 2>&1 & sleep 1'
check ramet apply web
assert_contains "keeps its own copies" "$err" "the warning"
assert_contains "holder.service" "$err" "who holds it"
check ramet diff web
assert_eq "" "$out" "the diff"
expect_status 4 ramet discard --yes web
assert_contains "holder.service" "$err" "who holds it"
assert_contains "--stop-users" "$err" "the hint"
expect_status 2 ramet discard web </dev/null
assert_contains "--yes" "$err" "the hint"
check ramet discard --yes --stop-users --kill-users web
check in_guest 'systemctl is-active holder; pgrep -f "^sleep 2000" || echo ended'
assert_contains active "$out" "the service"
assert_contains ended "$out" "the process"
check in_guest 'systemctl stop holder'

t_done

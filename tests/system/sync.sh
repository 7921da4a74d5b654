#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# What the host writes to a shared folder is seen in the guest, and its watchers wake up.
# shellcheck source=tests/system/lib.sh
source "$(dirname "$0")/lib.sh"

app=/home/projects/app

in_guest ()
{
  ramet ssh web -- "cd $app && { $1
}"
}

# Print the inotify events on the paths $2… for $1 seconds; perl is in every Debian.
watch_in_guest ()
{
  local seconds=$1
  shift
  ramet ssh web -- "cd $app && timeout $seconds perl -e '
    my \$fd = syscall(294, 0); my %paths; my %names = (2 => q(MODIFY), 4 => q(ATTRIB), 256 => q(CREATE), 512 => q(DELETE));
    for (@ARGV) { \$paths{syscall(254, \$fd, \$_, 774)} = \$_ }
    open(my \$h, q(<&=), \$fd); \$| = 1; print qq(watching\n);
    while (sysread(\$h, my \$b, 65536)) { while (length \$b) {
      my (\$wd, \$mask, \$cookie, \$length) = unpack(q(iIII), \$b); my \$name = unpack(q(Z*), substr(\$b, 16, \$length));
      print qq(\$paths{\$wd} ), join(q(+), map { \$names{\$_} } grep { \$mask & \$_ } sort { \$a <=> \$b } keys %names), qq( \$name\n);
      \$b = substr(\$b, 16 + \$length) } }' $* || :"
}

mkdir -p "$app/src/sub" "$app/.git/x"
for file in a b c d; do echo "$file" >"$app/src/$file"; done
echo inner >"$app/src/sub/inner"
if ! virsh -c qemu:///system dominfo web >/dev/null 2>&1; then
  lab_template
  must ramet clone --template --cpus 1 -d "$app" debian-12 web
  linger web
fi

t_start "a name that the guest looked up too early is seen, without mounting anew"
check in_guest 'ls src/new src/dir/file src/sub/new 2>/dev/null; cat src/* >/dev/null 2>&1; true'
echo new >"$app/src/new"
mkdir "$app/src/dir"
echo file >"$app/src/dir/file"
echo changed >"$app/src/a"
rm "$app/src/b"
rm "$app/src/c"
mkdir "$app/src/c"
echo in >"$app/src/c/in"
expect_status 1 in_guest 'cat src/new src/dir/file'
check ramet sync web
assert_match "^'web' sees '$app' as it is: [0-9]+ paths looked at\$" "$out" "what sync says"
check in_guest 'cat src/new src/dir/file src/a src/c/in; ls src/b 2>&1 | grep -c "No such"'
assert_eq $'new\nfile\nchanged\nin\n1' "$out" "what the guest sees"

t_start "what the guest changed itself is not held against it"
check in_guest 'echo mine >src/a; rm -r src/c; rm -r src/dir; mkdir src/dir'
echo theirs >"$app/src/a"
check ramet sync web
assert_lacks anew "$out" "what sync says"
check in_guest 'cat src/a; ls src/dir'
assert_eq mine "$out" "what the guest sees"
check ramet discard -q --yes web

t_start "a file that became a folder while it is open takes mounting anew"
check in_guest 'sleep 1000 <src/d >/dev/null 2>&1 & sleep 1; perl -e "1"'
rm "$app/src/d"
mkdir "$app/src/d"
echo deep >"$app/src/d/deep"
expect_status 4 ramet sync web
assert_contains "in use by sleep" "$err" "the refusal"
assert_contains "--kill-users" "$err" "the hint"
check ramet sync --kill-users web
assert_contains "mounted anew" "$out" "what sync says"
check in_guest 'cat src/d/deep'
assert_eq deep "$out" "what the guest sees"
check ramet sync --remount web
assert_contains "mounted anew" "$out" "what sync says"

t_start "watchers of folders wake up, and nothing is copied up but folders"
watch_in_guest 240 src src/sub >"$t_dir/events" &
wait_for 120 grep -q watching "$t_dir/events"
ramet -v sync --watch web >"$t_dir/sync.out" 2>"$t_dir/sync.err" &
sync_pid=$!
wait_for 120 grep -q 'watching [0-9]* folders' "$t_dir/sync.err"
echo again >"$app/src/sub/inner"
wait_for 60 grep -q 'src/sub CREATE .ramet-sync' "$t_dir/events"
wait_for 10 grep -q 'src/sub DELETE .ramet-sync' "$t_dir/events"
assert_lacks "src CREATE" "$(cat "$t_dir/events")" "events of a folder in which nothing happened"
odd=$app/$'o\ndd "\e[31m$(touch pwned)`touch pwned`\\'
mkdir -p "$odd/made"
wait_for 60 grep -c 'waking up' "$t_dir/sync.err"
sleep 5
# a folder that is new is watched too
before=$(grep -c 'waking up' "$t_dir/sync.err")
echo x >"$odd/made/file"
wait_for 60 awk -v before="$before" '/waking up/ { n++ } END { exit n <= before }' "$t_dir/sync.err"
before=$(grep -c 'waking up' "$t_dir/sync.err")
for i in $(seq 300); do echo "$i" >"$app/src/many$i"; done
wait_for 60 grep -q 'src CREATE .ramet-sync' "$t_dir/events"
sleep 5
batches=$(($(grep -c 'waking up' "$t_dir/sync.err") - before))
check test "$batches" -lt 10
before=$(grep -c 'waking up' "$t_dir/sync.err")
echo x >"$app/.git/x/ignored"
sleep 3
assert_eq "$before" "$(grep -c 'waking up' "$t_dir/sync.err")" "batches for .git"
kill -INT "$sync_pid"
status=0
wait "$sync_pid" || status=$?
assert_eq 0 "$status" "the status after Ctrl-C"
check in_guest 'ls pwned src/pwned 2>&1 | grep -c "No such"; find /var/lib/ramet/shares/*/upper ! -type d; find . -name ".ramet-sync*"'
assert_eq 2 "$out" "what is in the overlay but folders"
check ramet diff web
assert_eq "" "$out" "the diff"

t_done

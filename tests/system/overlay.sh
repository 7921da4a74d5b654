#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# What a guest writes above a shared folder: shown, taken over, dropped; and what a hostile one tries.
# shellcheck source=tests/system/lib.sh
source "$(dirname -- "${BASH_SOURCE[0]}")/lib.sh"
# shellcheck source=tests/system/overlay.d/tree.sh
source "$t_system_dir/overlay.d/tree.sh"

t_start "nothing changed is an empty diff, and nothing to apply or discard"
check ramet diff web
assert_eq "" "$out" "the diff"
check ramet apply web
assert_contains "nothing to take over" "$out" "apply"
check ramet discard web
assert_contains "nothing to discard" "$out" "discard"

t_start "a diff is what git takes, and apply gives the same tree as git apply"
check in_guest '
  echo third >>src/one.txt
  printf "no end of line" >src/two.txt
  rm src/three.txt
  mv src/deep/numbers src/renamed
  head -c 50000 /dev/urandom >src/blob
  head -c 3000 /dev/urandom >src/new.bin
  chmod -x src/run.sh
  printf "#!/bin/sh\n" >src/new.sh; chmod +x src/new.sh
  : >src/empty
  ln -sf two.txt src/link
  ln -s ../gone/x src/other-link
  rm -rf gone
  rm -rf whole; mkdir whole; echo mine >whole/d
  mkdir -p fresh/deeper; echo f >fresh/deeper/f
  rm src/deep -rf; echo "a file now" >src/deep
  echo x >"src/a b"; echo x >"src/tab	x"; echo x >"src/quote\"x"; echo x >"src/back\\slash"; echo x >"src/new
line"; printf x >"src/$(printf "na\357ve")"; echo y >>"src/$(printf "caf\351")"
  chmod u+s src/new.sh; mkfifo fifo'
check ramet diff web
assert_contains "'fifo' is left out" "$err" "the warning"
cp "$t_dir/out" "$t_dir/patch"
git clone -q "$app" "$copy"
check git -C "$copy" apply --check "$t_dir/patch"
check git -C "$copy" apply "$t_dir/patch"
check ramet diff --stat web
assert_match 'src/one.txt +\| +1 \+' "$out" "the statistics"
check ramet diff --name-only web src
assert_contains '"src/new\nline"' "$out" "quoted names"
assert_lacks fresh/ "$out" "only those asked for"
ramet diff -q --name-only -z web 2>/dev/null >"$t_dir/names"
assert_eq "$(git -C "$copy" ls-files -z -m -o | sort -zu | tr '\0\n' '\n?')" "$(sort -z "$t_dir/names" | tr '\0\n' '\n?')" "the names"
assert_eq 0 "$(git -C "$app" status --porcelain | wc -l)" "changes of the host's tree before"
check ramet apply web
assert_match '^[0-9]+ changes of .web. are in' "$out" "apply"
assert_eq "$(tree_of "$copy")" "$(tree_of "$app")" "the trees of git apply and ramet apply"
assert_eq 755 "$(stat -c %a "$app/src/new.sh")" "no setuid bit is taken over"
check ramet diff web
assert_eq "" "$out" "the diff after apply"
check in_guest 'cat src/two.txt; cat whole/d; ls gone 2>&1; ls -A'
assert_contains "no end of linemine" "$out" "what the guest sees"
echo "from the host" >"$app/src/two.txt"
check in_guest 'cat src/two.txt; ls -l fifo'
assert_contains "from the host" "$out" "a host's edit behind apply"
check test -z "$(find "$app" -maxdepth 1 -name '.ramet*')"

t_start "some paths alone are applied and discarded"
reset_all
check in_guest 'echo A >>src/one.txt; echo B >>src/two.txt; rm -r gone; rm -rf whole; mkdir whole; echo mine >whole/d'
check ramet apply web "$app/src/one.txt"
assert_eq " M src/one.txt" "$(git -C "$app" status --porcelain)" "the host's changes"
check env -C "$app/src" ramet diff --name-only web two.txt
assert_eq "src/two.txt" "$out" "a path from the folder one stands in"
expect_status 4 ramet discard --yes web gone/a
assert_contains "removed it as a whole" "$err" "a path in a removed folder"
expect_status 4 ramet discard --yes web whole/a
check ramet discard --yes web gone src
check ramet diff --name-only web
assert_eq $'whole/a\nwhole/b\nwhole/c\nwhole/d' "$out" "what is left"
check in_guest 'cat gone/a src/two.txt'
assert_contains "a" "$out" "what is back"
expect_status 2 ramet diff web /etc
expect_status 3 ramet diff web --share /nonexistent

t_start "what changed on both sides is refused, unless forced"
reset_all
check in_guest 'sleep 1; echo guest >>src/one.txt; rm src/two.txt; echo same >src/same; echo guest >src/made'
sleep 1
echo host >>"$app/src/one.txt"
echo host >>"$app/src/two.txt"
echo same >"$app/src/same"
echo host >"$app/src/made"
# the folder itself had another one in it for a while
manifest "$app" | grep -v "^'\.' " >"$t_dir/before"
expect_status 4 ramet apply web
for file in src/one.txt src/two.txt src/made; do
  assert_contains "'$file' was" "$err" "the refusal"
done
assert_lacks "'src/same'" "$err" "what is the same on both sides"
manifest "$app" | grep -v "^'\.' " >"$t_dir/after"
assert_same_file "$t_dir/before" "$t_dir/after" "the host's tree"
check ramet apply --force web
assert_eq "one|second line|guest" "$(tr '\n' '|' <"$app/src/one.txt" | sed 's/|$//')" "the guest's side"
check test ! -e "$app/src/two.txt"
reset_all
echo "host first" >>"$app/src/one.txt"
sleep 1.5
check in_guest 'echo "then the guest" >>src/one.txt'
check ramet apply web
assert_contains "then the guest" "$(cat "$app/src/one.txt")" "a guest's change on top of the host's"

t_start "symlinks that lead out, and folders of git's own, are not for a guest to plant"
reset_all
check in_guest 'ln -s /etc/passwd src/absolute; ln -s ../../.. src/up; echo "#!/bin/sh" >.git/hooks/pre-commit; echo ok >>src/one.txt; mkdir -p sub/.GIT; echo x >sub/.GIT/config'
expect_status 5 ramet apply web
assert_contains "'src/absolute' is a symlink that points out" "$err" "the refusal"
assert_contains "'src/up' is a symlink that points out" "$err" "the refusal"
assert_eq "" "$(git -C "$app" status --porcelain)" "the host's changes"
check ramet discard --yes web src/absolute src/up
check ramet apply web
assert_contains ".git folders are left out" "$err" "the warning"
assert_eq " M src/one.txt" "$(git -C "$app" status --porcelain)" "the host's changes"
check test ! -e "$app/.git/hooks/pre-commit"
check ramet apply --with-git web
check test -e "$app/.git/hooks/pre-commit"
rm "$app/.git/hooks/pre-commit"

t_start "a symlink on the host is not followed out of the tree"
reset_all
mkdir "$t_dir/outside"
check in_guest 'echo guest >src/one.txt; echo guest >src/evil'
mv "$app/src" "$t_dir/src"
ln -s "$t_dir/outside" "$app/src"
expect_status 4 ramet apply web
ramet apply -q --force web >/dev/null 2>&1 || true
assert_eq "" "$(ls -A "$t_dir/outside")" "the folder outside"
rm -rf "$app/src"
mv "$t_dir/src" "$app/src"

# each file costs an emulated guest milliseconds, several times over; RAMET_TEST_FILES=100000 is the long way
files=${RAMET_TEST_FILES:-20000}
t_start "a hostile guest: $files files, escape sequences, devices, and claims that cannot be"
reset_all
check in_guest 'printf x >"$(printf "src/\033[31mred\033]0;title\007")"; mkfifo "$(printf "src/\033[2Jfifo")"
  mknod src/null c 1 3; mknod src/disk b 8 0; truncate -s 8T src/huge'
expect_status 1 ramet diff web
assert_contains "take" "$err" "the refusal"
expect_status 1 ramet apply web
check in_guest 'rm src/huge; truncate -s 600M src/big'
expect_status 5 ramet diff web
assert_contains "too much for a diff" "$err" "the refusal"
check ramet diff --stat web src/one.txt
check in_guest 'rm src/big'
# through the overlay so many would take minutes on an emulated CPU; its root can write them below it
check in_guest 'set -e; cd /; share=/usr/local/lib/ramet/share; read -r tag _ </etc/ramet/shares; $share detach
  cd "/var/lib/ramet/shares/$tag/upper"
  perl -e "
    mkdir q(many);
    for my \$i (1 .. '"$files"') { open my \$f, q(>), qq(many/f\$i) or die; print \$f \$i }"
  cd /; $share attach'
since=$SECONDS
python3 - "$t_dir" <<'END'
import resource, subprocess, sys
folder = sys.argv[1]
subprocess.run(['ramet', 'diff', 'web'], stdout=open(folder + '/patch', 'w'), stderr=open(folder + '/err', 'w'), check=True)
open(folder + '/peak', 'w').write(str(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss // 1024))
END
note "diff of $files files: $((SECONDS - since)) s, at most $(cat "$t_dir/peak") MiB"
check test "$(cat "$t_dir/peak")" -lt 100
assert_lacks $'\e' "$(cat "$t_dir/err")" "what a terminal is told"
assert_eq $((files + 1)) "$(grep -c '^diff --git' "$t_dir/patch")" "files in the diff"
script -qec "ramet diff web src" /dev/null </dev/null >"$t_dir/terminal" || true
assert_contains 'src/\033[31mred' "$(cat "$t_dir/terminal")" "a name on a terminal"
assert_lacks $'\e[31m' "$(cat "$t_dir/terminal")" "escape sequences on a terminal"
since=$SECONDS
check ramet apply web
note "apply of $files files: $((SECONDS - since)) s"
assert_eq "$files" "$(find "$app/many" -type f | wc -l)" "files on the host"
assert_eq 17777 "$(cat "$app/many/f17777")" "one of them"
check test ! -e "$app/src/null"
check test ! -e "$app/src/disk"
assert_eq 1 "$(find "$app/src" -name '*red*' | wc -l)" "a file with an odd name"
t_done

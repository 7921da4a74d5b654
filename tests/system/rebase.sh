#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# Clones whose base is moved, renamed, gone or replaced: rebase follows it and flatten does without it, and whatever comes
# in between, a guest sees the same on its disks. One guest is booted, at the end.
source "$(dirname -- "${BASH_SOURCE[0]}")/lib.sh"
# shellcheck source=tests/system/lab.d/console.sh
source "$t_system_dir/lab.d/console.sh"
# shellcheck source=tests/system/rebase.d/clones.sh
source "$t_system_dir/rebase.d/clones.sh"

elsewhere=$images/elsewhere # another filesystem

mkdir "$elsewhere"
mount -t tmpfs -o mode=0711 tmpfs "$elsewhere"
make_base hollow

# ------------------------------------------------------------------ rebase

t_start "a clone follows its base to another folder, and is not started before"
make_clone hollow one
make_clone hollow two
mkdir -m 0711 "$images/near"
move_base hollow "$images/near"
expect_status 5 ramet start one
assert_contains "ramet rebase one" "$err" "the hint"
check ramet rebase one two
assert_contains "one stands on hollow" "$out" "the result"
for name in one two; do
  assert_eq "$images/near/hollow.qcow2" "$(chain_by_definition "$name" vda)" "what $name stands on"
  check_content "$name"
done
check_starts one

t_start "rebasing once more changes no file"
find "$images" -type f -printf '%p %s %T@\n' | sort >"$t_dir/before"
check ramet rebase two
find "$images" -type f -printf '%p %s %T@\n' | sort >"$t_dir/after"
assert_same_file "$t_dir/before" "$t_dir/after" "the files"

t_start "a clone follows its base to another filesystem, and back"
move_base hollow "$elsewhere"
check ramet rebase two
check_content two
check_starts two
move_base hollow "$images"
check ramet rebase one two
check_content one
check_content two

t_start "a base's new name is taken over"
must "${v[@]}" domrename hollow empty
check ramet rebase one
assert_contains "one stands on empty" "$out" "the result"
check ramet list
assert_match "one .* empty " "$out" "the list"
check ramet tree
assert_match 'empty .*─ one ' "$out" "the tree"
must "${v[@]}" domrename empty hollow
check ramet rebase one

t_start "a base with other content is refused; with --force it is taken"
qemu-io -c 'write -P 0x31 100M 1M' "$images/hollow.qcow2" >/dev/null
refuses 5 "whose content is not what it was cloned from" ramet rebase two
assert_contains "ramet rebase --force two" "$err" "the hint"
check ramet rebase --force one two
assert_contains "is not what it was when the clone was made" "$err" "the warning"
check_starts two
# the content they saw is another one now
for name in one two; do
  qemu-img convert -O qcow2 "$(disk_of "$name" vda)" "$t_dir/$name-vda"
done

t_start "a copy that lost the time of its last change counts as other content"
move_base hollow "$images/near" cp
rm "$images/hollow.qcow2" "$images/hollow.img"
refuses 5 "it was written to at" ramet rebase two
check ramet rebase --force two
check_content two
check ramet rebase --force one

t_start "a base or a file of it that is nowhere is told"
mv "$images/near/hollow.img" "$images/near/hidden.img"
refuses 3 "hollow.img' is not there" ramet rebase two
assert_contains "virsh edit hollow" "$err" "the hint"
mv "$images/near/hidden.img" "$images/near/hollow.img"
"${v[@]}" dumpxml --inactive hollow >"$t_dir/hollow.xml"
"${v[@]}" undefine hollow
refuses 3 "the base of 'two', 'hollow', is not there any more" ramet rebase two
sed '/<uuid>/d; s/<name>hollow/<name>again/' "$t_dir/hollow.xml" >"$t_dir/again.xml"
must "${v[@]}" define "$t_dir/again.xml"
check ramet rebase --base again two one
assert_contains "two stands on again" "$out" "the result"
check_content two
check_starts two
refuses 3 "there is no VM 'nobody'" ramet rebase --base nobody two
refuses 2 "cannot be its own base" ramet rebase --base two two
refuses 3 "there is no VM 'nobody'" ramet rebase nobody
refuses 5 "was not made by ramet" ramet rebase again

t_start "a base that runs is not followed"
must "${v[@]}" start again
refuses 4 "its base 'again' is running" ramet rebase two
must "${v[@]}" destroy again
check ramet rebase --force one two

t_start "what QEMU's user cannot read is refused, and the hint opens it"
mkdir -m 0700 "$images/closed"
move_base again "$images/closed" "cp -p"
refuses 5 "cannot read the base's disk" ramet rebase two
check bash -c "$(sed -n 's/^hint: //p' <<<"$err")"
check ramet rebase two one
check_content two
check_starts two

# ------------------------------------------------------------------ what neither does

t_start "neither touches a VM that runs, is paused or is saved"
must ramet start two
for verb in rebase flatten; do
  refuses 4 "cannot $verb 'two': it is running" ramet "$verb" two
done
must ramet pause two
for verb in rebase flatten; do
  refuses 4 "cannot $verb 'two': it is paused" ramet "$verb" two
done
must "${v[@]}" managedsave two
for verb in rebase flatten; do
  refuses 4 "cannot $verb 'two': it is saved" ramet "$verb" two
done
must "${v[@]}" managedsave-remove two

t_start "neither touches a VM with snapshots, whoever made them"
make_clone again snapped
must "${v[@]}" snapshot-create-as snapped first
for verb in rebase flatten; do
  refuses 4 "cannot $verb 'snapped': it has snapshots" ramet "$verb" snapped
done
must "${v[@]}" snapshot-delete snapped first
must qemu-img snapshot -c second "$(disk_of snapped vdb)"
for verb in rebase flatten; do
  refuses 4 "cannot $verb 'snapped': it has snapshots" ramet "$verb" snapped
done
must qemu-img snapshot -d second "$(disk_of snapped vdb)"
must "${v[@]}" snapshot-create-as snapped third --disk-only --no-metadata
for verb in rebase flatten; do
  refuses 4 "is not the file that ramet made any more" ramet "$verb" snapped
done
must ramet remove --yes snapped
rm -f "$images"/snapped.third "$images"/snapped-vdb.third

t_start "neither touches a VM that others stand on, a base, or what is none of ramet's"
must ramet clone --no-bootstrap --grant two child
for verb in rebase flatten; do
  refuses 4 "clones stand on its disk: child" ramet "$verb" two
  refuses 5 "was not made by ramet" ramet "$verb" again
  refuses 3 "there is no VM 'nobody'" ramet "$verb" nobody
done
check ramet rebase child
assert_contains "child stands on two" "$out" "the result"
check ramet flatten child
check ramet rebase two
must ramet remove --yes child

t_start "a clone is not put on what stands on it"
base_xml loop "$images" >"$t_dir/loop.xml"
qemu-img create -q -f qcow2 -F qcow2 -b "$(disk_of two vda)" "$images/loop.qcow2"
truncate -s 64M "$images/loop.img"
must "${v[@]}" define "$t_dir/loop.xml"
refuses 5 "which stands on it" ramet rebase --force --base loop two
"${v[@]}" undefine loop
rm "$images/loop.qcow2" "$images/loop.img"

# ------------------------------------------------------------------ rebase, cut off

t_start "a rebase that was cut off half way is mended by the next one"
move_base again "$images"
# what a kill leaves behind the first header, before the definition
qemu-img rebase -u -f qcow2 -F qcow2 -b "$images/hollow.qcow2" "$(disk_of two vda)"
expect_status 5 ramet start two
expect_status 5 ramet flatten two
check ramet rebase two
check_content two
for delay_ms in 10 25 40 55 70 90; do
  folder=$images
  [[ $(disk_of again vda) == "$images"/near/* ]] || folder=$images/near
  move_base again "$folder"
  ramet rebase two >/dev/null 2>&1 &
  pid=$!
  sleep "0.0$delay_ms"
  kill -KILL "$pid" 2>/dev/null || true
  { wait "$pid" || true; } 2>/dev/null
  check ramet rebase two
  check_content two
done
check ramet rebase one

# ------------------------------------------------------------------ flatten

t_start "a flattened clone shows a guest the same, and stands on nothing"
check ramet flatten one
assert_contains "one stands alone" "$out" "the result"
check_content one
assert_eq "" "$(chain_by_headers one vda)$(chain_by_definition one vdb)" "what it stands on"
assert_eq "$(files_of one)" "$(own_files one | sort)" "its files, by the metadata"
assert_eq 2 "$(files_of one | wc -l)" "the number of its files"
assert_eq 600 "$(stat -c %a "$(disk_of one vda)")" "the mode of its file"
check ramet list
assert_match "one .* - +-" "$out" "the list"
check_starts one

t_start "flattening what stands alone is done at once, and rebasing it is refused"
state >"$t_dir/before"
check ramet flatten one
state >"$t_dir/after"
assert_same_file "$t_dir/before" "$t_dir/after" "the host"
refuses 4 "it stands on no base" ramet rebase one

t_start "a flattened clone outlives its base, and its removal leaves nothing"
check ramet remove --yes two
"${v[@]}" undefine again
rm -f "$(find "$images" -name hollow.qcow2)" "$(find "$images" -name hollow.img)"
check_content one
check_starts one
check ramet remove --yes one
assert_eq "" "$(files_of one)" "the files that are left"

t_start "a clone of a UEFI base is rebased and flattened, its variables left alone"
make_base firm uefi
make_clone firm uefi
check_starts uefi
sum=$(sha256sum /var/lib/libvirt/qemu/nvram/uefi_VARS.fd)
move_base firm "$elsewhere"
check ramet rebase uefi
check_content uefi
check_starts uefi
check ramet flatten uefi
check_content uefi
assert_eq "$sum" "$(sha256sum /var/lib/libvirt/qemu/nvram/uefi_VARS.fd)" "the variables"
check_starts uefi
check ramet remove --yes uefi

t_start "settings that libvirt keeps to itself survive both"
make_clone firm secret
"${v[@]}" dumpxml --inactive secret \
  | sed "s|</devices>|<graphics type='vnc' autoport='yes' passwd='pass wd'/></devices>|" >"$t_dir/secret.xml"
must "${v[@]}" define "$t_dir/secret.xml"
check ramet rebase secret
check ramet flatten secret
assert_contains "passwd='pass wd'" "$("${v[@]}" dumpxml --inactive --security-info secret)" "the definition"
check ramet remove --yes secret

t_start "a base that has changed is not copied"
make_clone firm drifted
qemu-io -f raw -c 'write -P 0x41 9M 1M' "$elsewhere/firm.img" >/dev/null
refuses 5 "whose base has changed" ramet flatten drifted
check ramet flatten --force drifted
assert_contains "is not what it was" "$err" "the warning"
assert_eq "" "$(chain_by_headers drifted vda)" "what it stands on"
check ramet remove --yes drifted

t_start "what does not fit is refused beforehand, and what is in the way is left alone"
mkdir "$t_dir/tiny"
chmod 0711 "$t_dir" "$t_dir/tiny"
mount -t tmpfs -o size=100m tmpfs "$t_dir/tiny"
must "${v[@]}" pool-define-as tiny dir --target "$t_dir/tiny"
must "${v[@]}" pool-start tiny
must ramet clone --no-bootstrap --pool tiny firm tight
refuses 1 "the storage pool 'tiny' has" ramet flatten tight
check ramet remove --yes tight
must "${v[@]}" pool-destroy tiny
umount "$t_dir/tiny"
make_clone firm blocked
echo precious >"$images/blocked.flat.qcow2"
refuses 4 "there is a file '$images/blocked.flat.qcow2' already" ramet flatten blocked
assert_eq precious "$(cat "$images/blocked.flat.qcow2")" "the file"
rm "$images/blocked.flat.qcow2"
check ramet flatten blocked
check_content blocked
check ramet remove --yes blocked

# ------------------------------------------------------------------ flatten, cut off

# A base with enough on it for the copying to take a while.
make_base large
dd if=/dev/urandom of="$t_dir/noise" bs=1M count=150 status=none
qemu-img convert -f raw -O qcow2 "$t_dir/noise" "$images/large.qcow2"
qemu-img resize -q "$images/large.qcow2" 512M
rm "$t_dir/noise"

# libvirtd's copies go slowly from here on, and wait before they begin while $t_dir/hold is there.
mkdir "$t_dir/real"
cp /usr/bin/qemu-img "$t_dir/real/"
cat >"$t_dir/qemu-img" <<SCRIPT
#!/bin/bash
if [[ \$1 == convert && "\$*" == *.flat.qcow2* ]]; then
  while [[ -e $t_dir/hold ]]; do
    sleep 0.05
  done
  set -- convert -r 80M "\${@:2}"
fi
exec "$t_dir/real/qemu-img" "\$@"
SCRIPT
chmod +x "$t_dir/qemu-img"
mount --bind "$t_dir/qemu-img" /usr/bin/qemu-img

# Run `ramet flatten $1` in the background, and wait until libvirt is in the midst of copying its larger disk. The copying
# stands still then, until copy_go.
flatten_begin ()
{
  local deadline=$((SECONDS + 20))
  ramet flatten "$1" >"$t_dir/flatten" 2>&1 &
  pid=$!
  until (($(stat -c %b "$images/$1.flat.qcow2" 2>/dev/null || echo 0) > 4096)); do
    if ((SECONDS >= deadline)) || ! kill -0 "$pid" 2>/dev/null; then
      break
    fi
  done
  copier=$(pgrep -f "^[^ ]*qemu-img convert .*/$1\.flat\.qcow2" || true)
  kill -STOP "${copier:-none}" || fail "the copying was not seen: $(cat "$t_dir/flatten")"
}

# Let the copying that flatten_begin stopped go on.
copy_go ()
{
  kill -CONT "$copier"
}

# Wait until the copying is over.
copy_end ()
{
  while kill -0 "$copier" 2>/dev/null; do
    sleep 0.002
  done
}

# Kill ramet, whatever it is at.
kill_it ()
{
  kill -KILL "$pid" 2>/dev/null || true
  { wait "$pid" || true; } 2>/dev/null
}

# Check that VM $1 is whole, and that each file of its is in its metadata.
check_whole ()
{
  local file
  check_content "$1"
  for file in $(files_of "$1"); do
    assert_contains "$file" "$(own_files "$1")" "the files in the metadata"
  done
}

t_start "Ctrl-C leaves a clone as it was"
make_clone large big
state >"$t_dir/before"
flatten_begin big
kill -INT "$pid"
copy_go
status=0
wait "$pid" || status=$?
assert_eq 130 "$status" "the exit status"
assert_contains "interrupted" "$(cat "$t_dir/flatten")" "what it says"
state >"$t_dir/after"
assert_same_file "$t_dir/before" "$t_dir/after" "the host"

t_start "kill -9 in the midst of the copying leaves a clone as it was, and the next try clears what is left"
flatten_begin big
kill_it
expect_status 1 ramet flatten big
assert_contains "libvirt may be at its copy still" "$err" "the hint while libvirt copies yet"
copy_go
copy_end
check_whole big
check_starts big
qemu-img convert -O qcow2 "$(disk_of big vda)" "$t_dir/big-vda"
check ramet flatten big
check_whole big
assert_eq 2 "$(files_of big | wc -l)" "the number of its files"
check_starts big
check ramet remove --yes big

t_start "kill -9 at any moment after it leaves a clone the old or the new, whole, and no file that is nobody's"
old=0
new=0
for delay_ms in 00 20 40 60 80 99; do
  make_clone large "big$delay_ms"
  flatten_begin "big$delay_ms"
  copy_go
  copy_end
  sleep "0.0$delay_ms"
  kill_it
  wait_for 30 bash -c '! pgrep -x qemu-img'
  check_whole "big$delay_ms"
  if [[ -n $(chain_by_headers "big$delay_ms" vda) ]]; then
    old=$((old + 1))
  else
    new=$((new + 1))
  fi
  check ramet flatten "big$delay_ms"
  check_content "big$delay_ms"
  assert_eq 2 "$(files_of "big$delay_ms" | wc -l)" "the number of its files"
  check ramet remove --yes "big$delay_ms"
done
note "killed before the change $old times, after it $new times"
((old > 0)) || fail "ramet was never killed before the change"

t_start "a clone that was being flattened when ramet was killed can be removed"
make_clone large cut
flatten_begin cut
kill_it
copy_go
copy_end
check ramet remove --yes cut
assert_eq "" "$(files_of cut)" "the files that are left"

t_start "a VM that is being flattened cannot be started, and one that ran meanwhile keeps what it wrote"
make_clone large raced
flatten_begin raced
expect_status 1 "${v[@]}" start raced
assert_contains "lock" "$err" "QEMU's error"
copy_go
status=0
wait "$pid" || status=$?
assert_eq 0 "$status" "the exit status"
check_content raced
check ramet remove --yes raced
# the first disk is written to when it is copied already, and the second one is not
make_clone large raced
flatten_begin raced
touch "$t_dir/hold"
copy_go
copy_end
qemu-io -c 'write -P 0x55 5M 1M' "$(disk_of raced vda)" >/dev/null
qemu-img convert -O qcow2 "$(disk_of raced vda)" "$t_dir/raced-vda"
rm "$t_dir/hold"
status=0
wait "$pid" || status=$?
assert_eq 4 "$status" "the exit status"
assert_contains "was written to meanwhile" "$(cat "$t_dir/flatten")" "the error"
check_content raced
check ramet remove --yes raced
umount /usr/bin/qemu-img

# ------------------------------------------------------------------ as an ordinary user

t_start "a member of group libvirt does both"
ramet=$(command -v ramet)
chmod 0644 "$images/large.qcow2" "$images/large.img"
make_clone large mine
move_base large "$images/near"
check as_dev "$ramet" rebase mine
check_content mine
check as_dev "$ramet" flatten mine
check_content mine
check_starts mine
check ramet remove --yes mine
"${v[@]}" undefine large
rm -f "$images"/near/*

# ------------------------------------------------------------------ a guest that boots

lab_base

t_start "a guest boots from what was rebased and flattened, its base out of reach"
must ramet clone --no-bootstrap debian-12 web
disk=$(disk_of debian-12 vda)
mkdir -m 0711 "$images/moved"
mv "$disk" "$images/moved/"
"${v[@]}" dumpxml --inactive --security-info debian-12 | sed "s|$disk|$images/moved/debian-12.qcow2|" >"$t_dir/base.xml"
must "${v[@]}" define "$t_dir/base.xml"
check ramet rebase web
check ramet flatten web
mv "$images/moved/debian-12.qcow2" "$disk"
chmod 0600 "$disk"
check ramet start web
wait_for 300 console_answers_root web "$t_dir/console"
check ramet stop --force web
chmod 0644 "$disk"
sed -i "s|$images/moved/debian-12.qcow2|$disk|" "$t_dir/base.xml"
must "${v[@]}" define "$t_dir/base.xml"

t_done

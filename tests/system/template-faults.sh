#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# Templates on a host, and in hands, that are not as they should be: an ordinary user's, one that does not fit any more, files
# that were changed, full disks, what happens at once or behind ramet's back, and Ctrl-C. Nothing of it boots to the end but the
# one template.
# shellcheck disable=SC2016
source "$(dirname -- "${BASH_SOURCE[0]}")/lib.sh"

export LIBVIRT_DEFAULT_URI=qemu:///system
folder=/var/lib/libvirt/ramet-templates
images=/var/lib/libvirt/images
base_disk=$images/debian-12.qcow2
app=/home/dev/src/app
ramet=$(command -v ramet)

dev ()
{
  as_dev "$ramet" "$@"
}

# Begin `ramet` as the user dev in the background, with the arguments. Sets job and pid; what it says goes to $t_dir/said. It
# stops at the step $stop_at, if that is set.
dev_begin ()
{
  : >"$t_dir/pid"
  as_dev env --default-signal=INT ${stop_at:+"RAMET_STOP_AT=$stop_at"} sh -c 'echo $$ >&9; exec 9>&- "$@"' sh "$ramet" "$@" \
    9>"$t_dir/pid" >"$t_dir/said" 2>&1 </dev/null &
  job=$!
  wait_for 10 test -s "$t_dir/pid"
  pid=$(cat "$t_dir/pid")
}

is_stopped ()
{
  grep -q '^State:.T' "/proc/$pid/status"
}

# The same, and wait until it has stopped at the step $1.
dev_stop_at ()
{
  local stop_at=$1
  shift
  dev_begin "$@"
  wait_for 60 is_stopped
}

# Wait for what dev_begin began, and check that it ends with status $1, or one of them: "1|4".
dev_end ()
{
  local want=$1 code=0
  { wait "$job" || code=$?; } 2>/dev/null
  assert_match "^($want)\$" "$code" "the exit status of what said: $(tail -n 3 "$t_dir/said")"
  err=$(cat "$t_dir/said")
}

# Cut off what dev_begin began, as Ctrl-C does, and check that it leaves nothing.
dev_cut_off ()
{
  kill -INT "$pid"
  kill -CONT "$pid"
  dev_end 130
  nothing_new "$1"
}

# All that a clone or template could leave behind.
state ()
{
  virsh list --all --name | sort
  find "$folder" -mindepth 1 -printf '%p %y %s %m %u %T@\n' | sort
  find "$images" -mindepth 1 | sort
  virsh pool-list --all --name | sort
}

nothing_new ()
{
  state >"$t_dir/after"
  assert_same_file "$t_dir/before" "$t_dir/after" "the host: $1"
}

# Check that the template is not used since $1: `template list` says so, a clone that insists on it is refused, one that does not
# would boot.
unusable ()
{
  local why=$1
  check ramet --json template list
  assert_contains "$why" "$(jq -r '.[0].unusable' <<<"$out")" "what is listed"
  expect_status 5 dev clone --template --cpus 1 debian-12 cut
  assert_contains "$why" "$err" "why it is refused"
  assert_contains "hint: 'ramet template create debian-12'" "$err" "what to do"
  check dev clone --dry-run --cpus 1 debian-12 cut
  assert_contains "it will boot: '$template': " "$err" "what is said"
  assert_contains "$why" "$err" "why it would boot"
  assert_contains "boot it, set it up" "$out" "what would be done"
}

usable ()
{
  check ramet --json template list
  assert_eq null "$(jq -r '.[0].unusable' <<<"$out")" "why it would be of no use"
}

# Check that `ramet clone` with the arguments behind $1 boots, saying $1; it is cut off then.
boots ()
{
  local why=$1
  shift
  state >"$t_dir/before"
  dev_begin clone "$@" debian-12 cut
  wait_for 60 grep -q '^cut: booting' "$t_dir/said"
  dev_cut_off "of a clone with $*"
  assert_contains "it will boot: '$template': $why" "$err" "what is said with $*"
}

# Change what is recorded of the template by the sed script $1; without, put it back.
record ()
{
  if [[ -z ${kept_record:-} ]]; then
    kept_record=$(virsh metadata "$template" --uri urn:ramet:1 | sed "s|<ramet:vm |<vm xmlns='' |; s|/ramet:vm|/vm|; s|ramet:||g")
  fi
  must virsh metadata "$template" --uri urn:ramet:1 --key ramet --set "$(sed "${1:-}" <<<"$kept_record")"
}

mkdir -p "$t_dir/tiny"
chmod 0711 "$t_dir"
as_dev mkdir -p "$app"
as_dev sh -c "echo mine >$app/file; chmod 0700 /home/dev/src"
as_dev sh -c 'mkdir -m 0700 -p .ssh; ssh-keygen -q -t ed25519 -N "" -f .ssh/id_ed25519'
lab_base

# ------------------------------------------------------------------ made by whom

t_start "an ordinary user makes a template"
# beside it, for it takes as long, one of another user's for which there is no room
mount -t tmpfs -o size=100m tmpfs "$t_dir/tiny"
XDG_CACHE_HOME=$t_dir/tiny ramet template create --cpus 1 debian-12 >"$t_dir/full" 2>&1 &
full_job=$!
check dev template create --cpus 1 debian-12
template=$(ramet --json template list | jq -r '.[0].name')

t_start "where there is no room for it while it is made, it says so and leaves nothing"
code=0
wait "$full_job" || code=$?
assert_eq 1 "$code" "the exit status"
assert_contains "No space left on device" "$(cat "$t_dir/full")" "the error"
assert_contains "hint: make room; XDG_CACHE_HOME may name another place" "$(cat "$t_dir/full")" "the error"
assert_eq "" "$(find "$t_dir/tiny" -name 'template-*')" "what is left where there was no room"
assert_eq "$template" "$(ramet --json template list | jq -r '.[].name')" "templates"
assert_eq 2 "$(find "$folder" -type f | wc -l)" "files of templates"
assert_eq "debian-12 $template" "$(virsh list --all --name | sort | xargs)" "VMs"
umount "$t_dir/tiny"

t_start "of its removal and a clone of it at once, with a folder of a closed home, the clone wins"
stop_at=remove-checked dev_begin template remove --yes "$template"
wait_for 20 is_stopped
removal=("$job" "$pid")
dev_stop_at clone-state clone --template --grant --cpus 1 -d "$app" debian-12 one
expect_status 4 ramet template remove --yes "$template"
assert_contains "clones stand on its disk: one" "$err" "who needs it"
kill -CONT "${removal[1]}"
code=0
{ wait "${removal[0]}" || code=$?; } 2>/dev/null
assert_eq 4 "$code" "the exit status of the removal"
usable
kill -CONT "$pid"
dev_end 0
assert_eq "one dev $(id -u dev) mine" "$(dev ssh one -- "hostname; id -un; id -u; cat $app/file" | xargs)" "what dev finds in the guest"

t_start "another user's clone does not fit it, and boots"
expect_status 5 ramet clone --template --cpus 1 debian-12 cut
assert_contains "it was made for the user 'dev' with the number $(id -u dev), not for 'root' with 0" "$err" "why"
check ramet clone --dry-run --cpus 1 debian-12 cut
assert_contains "it will boot: '$template': it was made for the user 'dev'" "$err" "what is said"

# ------------------------------------------------------------------ what does not fit any more

t_start "a template of another CPU, QEMU or libvirt is not used"
while IFS='|' read -r script why; do
  record "$script"
  unusable "$why"
done <<'END'
s/host-cpu="[^"]*"/host-cpu="EPYC-Milan 0123456789ab"/|it was made on another CPU: EPYC-Milan, and here is
s/\(host-cpu="[^ "]*\) [^"]*"/\1 0123456789ab"/|it was made on a CPU of the same model
s/ qemu="[^"]*"/ qemu="6.2.0"/|it was made with QEMU 6.2.0, and here is 
s/ libvirt="[^"]*"/ libvirt="8.0.0"/|it was made with libvirt 8.0.0, and here is 
s/ vcpus="1"/ vcpus="none"/|what was recorded of it is not whole
END
boots "what was recorded of it is not whole" --cpus 1
record 's/ qemu="[^"]*"/ qemu="6.2.0"/'
boots "it was made with QEMU 6.2.0" --cpus 1
record
usable

t_start "a template whose files are shorter, others, or gone is not used"
for what in memory state; do
  file=$(echo "$folder"/*."$what")
  # moved to another filesystem it would be another file
  mv "$file" "$folder/kept"
  unusable "'$file', is gone, or is no file any more"
  ln -s "$folder/kept" "$file"
  unusable "'$file', is gone, or is no file any more"
  rm "$file"
  mkdir "$file"
  unusable "'$file', is gone, or is no file any more"
  rmdir "$file"
  cp -a --sparse=always "$folder/kept" "$file"
  unusable "'$file', was replaced by another file"
  truncate -s -4096 "$file"
  unusable "'$file', has another length than it had"
  rm "$file"
  mv "$folder/kept" "$file"
  usable
done

t_start "a template whose files were changed without a trace in size and time is found"
for what in memory state; do
  file=$(echo "$folder"/*."$what")
  touch -r "$file" "$t_dir/time"
  dd if="$file" of="$t_dir/bytes" bs=1 skip=700000 count=4 status=none
  printf '\1\2\3\4' | dd of="$file" bs=1 seek=700000 conv=notrunc status=none
  touch -r "$t_dir/time" "$file"
  if [[ $what == memory ]]; then
    expect_status 1 ramet --json doctor
    assert_contains "'$file', of the template '$template', is not what it was" "$out" "what doctor finds"
  else
    expect_status 5 dev clone --template --cpus 1 debian-12 cut
    assert_contains "the saved state '$file' has changed since it was made" "$err" "why"
  fi
  dd if="$t_dir/bytes" of="$file" bs=1 seek=700000 conv=notrunc status=none
  touch -r "$t_dir/time" "$file"
done

t_start "a template whose base has changed since is not used"
virsh dumpxml --inactive --security-info debian-12 >"$t_dir/base.xml"
sed 's|<on_crash>.*</on_crash>|<on_crash>restart</on_crash>|; t; s|</features>|<pmu state="off"/></features>|' "$t_dir/base.xml" >"$t_dir/other.xml"
must virsh define "$t_dir/other.xml"
unusable "the definition of its base 'debian-12' has changed since"
must virsh define "$t_dir/base.xml"
usable
touch -r "$base_disk" "$t_dir/time"
touch "$base_disk"
unusable "'$base_disk' is not what it was"
touch -r "$t_dir/time" "$base_disk"
usable

t_start "a clone with more than the template has boots"
boots "it has 1 CPU, and 2 are wanted" --cpus 2
boots "it has 1.0 GiB of memory, and 1.5 GiB is wanted" --cpus 1 --memory 1536M
check dev clone --dry-run --cpus 1 --disk-size 9G debian-12 cut
assert_contains "it will boot: '$template': its disk is as large as its base's" "$err" "why with a larger disk"
shares=()
for i in 1 2 3 4 5; do
  as_dev mkdir -p "$app/$i"
  shares+=(-d "$app/$i")
done
check dev clone --dry-run --grant --cpus 1 "${shares[@]:0:8}" debian-12 cut
assert_contains "let it go on from the memory of '$template'" "$out" "what would be done with 4 shares"
check dev clone --dry-run --grant --cpus 1 "${shares[@]}" debian-12 cut
assert_contains "it will boot: '$template': it has room for 4 shares, and 5 are wanted" "$err" "why with 5 shares"
must virsh attach-interface debian-12 network default --model virtio --config
boots "it has one network interface, and 2 are wanted" --cpus 1
state >"$t_dir/before"
expect_status 5 dev template create --cpus 1 debian-12
assert_contains "it has not just one network interface" "$err" "why there is no template of two interfaces"
nothing_new "a template of two interfaces"
must virsh define "$t_dir/base.xml"
must qemu-img create -q -f qcow2 "$images/more.qcow2" 64M
must virsh attach-disk debian-12 "$images/more.qcow2" vdb --subdriver qcow2 --config
unusable "the definition of its base 'debian-12' has changed since"
must virsh define "$t_dir/base.xml"
rm "$images/more.qcow2"
usable

# ------------------------------------------------------------------ no room

t_start "where there is no room for a clone's state, it says so and leaves nothing"
mount -t tmpfs -o size=512k,mode=777 tmpfs "$t_dir/tiny"
state >"$t_dir/before"
expect_status 1 as_dev env XDG_CACHE_HOME="$t_dir/tiny" "$ramet" clone --template --cpus 1 debian-12 cut
assert_contains "No space left on device" "$err" "the error"
assert_contains "hint: " "$err" "the error"
nothing_new "no room in the user's folder"
umount "$t_dir/tiny"
mkdir "$t_dir/folder"
mount --bind "$folder" "$t_dir/folder"
used_kib=$(du -sk "$folder" | cut -f1)
mount -t tmpfs -o size=$((used_kib + 1024))k,mode=711 tmpfs "$folder"
cp -a --sparse=always "$t_dir/folder/." "$folder/"
memory=$(echo "$folder"/*.memory)
saved=$(echo "$folder"/*.state)
record "s|\(<memory [^>]* inode=\)\"[0-9]*\"|\1\"$(stat -c %i "$memory")\"|; s|\(<state [^>]* inode=\)\"[0-9]*\"|\1\"$(stat -c %i "$saved")\"|"
usable
head -c 100M /dev/zero >"$folder/fill" 2>/dev/null || true
state >"$t_dir/before"
expect_status 1 dev clone --template --cpus 1 debian-12 cut
assert_contains "cannot " "$err" "the error"
assert_contains "$folder/cut.state" "$err" "the error"
assert_contains "hint: " "$err" "the error"
nothing_new "no room for the state"
umount "$folder"
umount "$t_dir/folder"
record
usable

# ------------------------------------------------------------------ Ctrl-C

t_start "Ctrl-C at any step of going on from a template leaves nothing"
state >"$t_dir/before"
for step in clone-planned clone-defined clone-volume clone-bootstrapping file-made clone-state clone-restored clone-became clone-keys; do
  dev_stop_at "$step" clone --template --cpus 1 debian-12 cut
  dev_cut_off "Ctrl-C at $step"
done

t_start "Ctrl-C before a template boots leaves nothing"
for step in folder-made folder-made:2 clone-planned clone-defined clone-volume clone-started; do
  dev_stop_at "$step" template create --cpus 1 debian-12
  dev_cut_off "Ctrl-C at $step"
done
usable

# ------------------------------------------------------------------ at once, and behind ramet's back

t_start "a clone that is switched off by other means while it is made is told, and leaves nothing"
state >"$t_dir/before"
dev_stop_at clone-restored clone --template --cpus 1 debian-12 cut
must virsh destroy cut
kill -CONT "$pid"
dev_end "1|4"
assert_contains "ramet: " "$err" "the error"
nothing_new "a clone that was switched off"

t_start "what needs a template keeps it, running or saved, with snapshots or without"
check dev clone --template --cpus 1 debian-12 two
check dev snapshot create one@then
check dev pause --to-disk two
expect_status 4 dev template remove --yes "$template"
assert_contains "cannot remove '$template': clones stand on its disk: one two" "$err" "why"
assert_contains "hint: remove them first: 'ramet remove one two'" "$err" "what to do"
expect_status 5 dev remove --yes "$template"
assert_contains "hint: 'ramet template remove $template'" "$err" "what to do"
expect_status 4 dev base remove --yes debian-12
assert_contains "$template" "$err" "what stands on the base"
assert_contains "hint: remove them first: 'ramet remove one two', then 'ramet template remove $template'" "$err" "what to do"
check dev resume two
check dev snapshot revert one@then
check dev snapshot delete one@then
assert_eq "one two" "$(dev ssh one -- hostname) $(dev ssh two -- hostname)" "who they are"

t_start "a template that was renamed is the same template, and so is one whose base was"
must virsh domrename "$template" other
check dev clone --dry-run --template --cpus 1 debian-12 cut
assert_contains "go on from the memory of 'other'" "$out" "what would be done"
expect_status 4 dev template remove --yes other
must virsh domrename other "$template"
must virsh domrename debian-12 base
usable
check dev clone --dry-run --template --cpus 1 base cut
assert_contains "go on from the memory of '$template'" "$out" "what would be done"
must virsh domrename base debian-12

t_start "a template that was started by other means is told of, and not used"
# QEMU itself keeps it from starting while a clone runs; paused, or it might come as far as to write
check dev pause --to-disk one two
must virsh start --paused "$template"
unusable "it is paused, and was to stay off"
expect_status 1 dev --json doctor
assert_contains "the template '$template' is paused" "$out" "what doctor finds"
must virsh destroy "$template"
usable

t_start "what was saved for a template that was undefined by other means is told of, and comes back with it or is deleted"
expect_status 0 dev --json doctor
assert_lacks "is not there any more" "$out" "what doctor finds before that"
virsh dumpxml --inactive --security-info "$template" >"$t_dir/template.xml"
must virsh undefine "$template"
# what was saved of the clones goes on from it
t_run dev --json doctor --fix
for file in "$folder"/*.*; do
  assert_contains "'$file' was saved for a template or clone that is not there any more" "$out" "what doctor finds"
done
assert_eq 2 "$(find "$folder" -type f | wc -l)" "files of the template, with clones saved"
must virsh define "$t_dir/template.xml"
usable
check dev resume one two
echo old >"$folder/0123456789abcdef.memory"
check dev --json doctor --fix
assert_contains "deleted '$folder/0123456789abcdef.memory'" "$out" "what doctor does"
assert_eq 2 "$(find "$folder" -type f | wc -l)" "files of the template"
usable

# ------------------------------------------------------------------ a guest that does not hear that it goes on elsewhere

t_start "a guest whose kernel does not hear of it gets new random numbers, or is not forked"
check dev ssh one -- 'sudo mount -t tmpfs none /sys/bus/acpi/drivers'
check dev fork one three
assert_ne "$(dev ssh one -- head -c 32 /dev/urandom | base64)" "$(dev ssh three -- head -c 32 /dev/urandom | base64)" "random bytes"
check dev remove --yes three
check dev ssh one -- 'for file in /usr/bin/perl /usr/bin/python3; do [ ! -e $file ] || sudo mount --bind /bin/false $file; done'
expect_status 1 dev fork one three
assert_contains "the kernel's random numbers cannot be made new" "$err" "why"
expect_status 3 dev info three
check dev snapshot list one
assert_lacks fork "$out" "the snapshots"

# ------------------------------------------------------------------ the end of it

t_start "a clone that goes on from a template is not rebased past it, not even by force; flattened it needs nothing of it"
check dev stop --force one two
state >"$t_dir/before"
for force in "" --force; do
  expect_status 5 dev rebase ${force:+"$force"} two
  assert_contains "cannot rebase 'two': it stands on the template '$template'" "$err" "why"
  assert_contains "'ramet flatten two'" "$err" "what to do"
done
nothing_new "a rebase that was refused"
check dev flatten two
check dev set --remove-share "$app" one
check dev set --grant --add-share "$app" one
assert_eq ramet0 "$(dev --json info one | jq -r '.[0].shares[0].tag')" "the device of a share that comes back"
check dev remove --yes one
assert_eq 0 "$(ramet --json template list | jq '.[0].users | length')" "who needs the template"

t_start "a template that is removed before a clone of it is there fails it, and leaves nothing"
dev_stop_at clone-planned clone --template --cpus 1 debian-12 cut
check dev template remove --yes "$template"
state >"$t_dir/before"
kill -CONT "$pid"
dev_end 4
assert_contains "'$template' was removed meanwhile" "$err" "why"
nothing_new "a clone without its template"
assert_eq "" "$(find "$folder" -type f)" "files of templates"

t_start "a clone that was flattened is whole without its template and its base"
check qemu-img check "$(virsh domblklist two | awk '/vda/ { print $2 }')"
assert_eq "" "$(qemu-img info --output=json "$(virsh domblklist two | awk '/vda/ { print $2 }')" | jq -r '."backing-filename" // ""')" "what it stands on"
check dev start two
assert_eq running "$(virsh domstate two | xargs)" "its state"
check dev remove --yes two
assert_eq debian-12.qcow2 "$(ls "$images")" "disks"

t_done

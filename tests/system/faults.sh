#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# Bad input, and a host that is not as it should be: each time a clear error, the exit status that stands in the help, and
# nothing left behind. None of the guests here gets far enough to be called booted; see faults-guest.sh for those that do.
# light: no guest of it boots a system
source "$(dirname -- "${BASH_SOURCE[0]}")/lib.sh"

images=/var/lib/libvirt/images
projects=/home/projects
hints=yes # whether each error must come with a hint

# ------------------------------------------------------------------ bases without anything on their disks

# Print the XML of a base $1 with the disk $2 of format $3, of 64 MiB; $4 is what <os> holds besides.
base_xml ()
{
  cat <<END
<domain type='qemu'>
  <name>$1</name>
  <memory unit='MiB'>64</memory>
  <os><type arch='x86_64' machine='q35'>hvm</type>${4:-}</os>
  <devices>
    <disk type='file' device='disk'>
      <driver name='qemu' type='$3'/>
      <source file='$2'/>
      <target dev='vda' bus='virtio'/>
    </disk>
    <interface type='network'><source network='default'/><model type='virtio'/></interface>
    <serial type='pty'/>
    <memballoon model='none'/>
  </devices>
</domain>
END
}

# Define the base $1 with the disk $2 of format $3.
define_base ()
{
  base_xml "$@" >"$t_dir/base.xml"
  virsh -q -c qemu:///system undefine "$1" >/dev/null 2>&1 || true
  must virsh -q -c qemu:///system define "$t_dir/base.xml"
}

# What ramet could leave behind: domains, files, access. The logs of attempts may stay.
host_state ()
{
  virsh -c qemu:///system list --all --uuid --name | sort
  { find "$images" /var/lib/libvirt/qemu/nvram /var/lib/libvirt/qemu/save "$t_dir/tiny" "$t_dir/lasting" \
      ! -type d -printf '%p %s %m %u %T@\n' 2>/dev/null || true; } | sort
  virsh -q -c qemu:///system vol-list default | awk '{ print $1 }' | sort
  getfacl --absolute-names --recursive "$projects" /home/dev/app 2>/dev/null || true
  getfacl --absolute-names /home/dev
  pgrep -x qemu-system-x86 || true
}

# Run a command (from the third argument on), and check that it ends with status $1 and an error that contains $2, and that
# the host is as before.
refuses ()
{
  local want=$1 text=$2
  shift 2
  host_state >"$t_dir/before"
  expect_status "$want" "$@"
  assert_contains "$text" "$err" "the error of '$*'"
  assert_contains "ramet: " "$err" "the error of '$*'"
  [[ $hints == no ]] || assert_contains "hint: " "$err" "the error of '$*'"
  assert_eq "" "$out" "what '$*' printed"
  host_state >"$t_dir/after"
  assert_same_file "$t_dir/before" "$t_dir/after" "the host after '$*'"
}

# The same for `ramet clone hollow …`, which would wait for no guest for long.
clone_refuses ()
{
  local want=$1 text=$2
  shift 2
  refuses "$want" "$text" ramet clone --timeout 3 hollow "$@"
}

# Start libvirtd again, and wait until it and the pool are ready.
libvirtd_start ()
{
  must libvirtd --daemon
  wait_for 30 virsh -c qemu:///system uri
  wait_for 30 virsh -c qemu:///system vol-list default
}

# End libvirtd with signal $1, and wait until it is gone.
libvirtd_end ()
{
  local pid
  pid=$(cat /run/libvirtd.pid)
  kill "-$1" "$pid"
  wait_for 10 test ! -e "/proc/$pid"
}

# The hint's command, behind "or: ".
hinted_command ()
{
  sed -n 's/^hint: .*or: //p' <<<"$err"
}

must qemu-img create -q -f qcow2 "$images/hollow.qcow2" 1G
define_base hollow "$images/hollow.qcow2" qcow2
mkdir -p "$projects/app"
echo text >"$projects/app/file"
virsh -q -c qemu:///system pool-refresh default >/dev/null
manifest_domain hollow >"$t_dir/hollow"

# ------------------------------------------------------------------ names

t_start "a name that is no host name is refused before anything is made"
long=$(printf 'a%.0s' {1..64})
while IFS='|' read -r name text; do
  clone_refuses 2 "$text" -- "$name"
done <<END
|is empty
../x|has a '.' in it
-rf|starts with a hyphen
web-|ends with a hyphen
a b|has a ' ' in it
é|has a 'é' in it
Web|has upper-case letters
web.local|has a '.' in it
$long|is too long: 64 characters
localhost|cannot be named 'localhost'
@web|has a '@' in it
END
clone_refuses 2 "Unknown option" -rf
clone_refuses 2 "in it" -- $'a\nb'
clone_refuses 2 "in it" -- $'a\xff'
clone_refuses 2 "in it" -- $'a\e[31m'
assert_lacks $'\e' "$err" "what reaches the terminal"

t_start "the longest name there may be is taken"
check ramet clone --dry-run hollow "${long:1}"

t_start "a name that is taken is refused, whoever has it"
must ramet clone --no-bootstrap hollow mine
define_base theirs "$images/theirs.qcow2" qcow2
clone_refuses 4 "there is a VM 'mine' already" mine
clone_refuses 4 "there is a VM 'theirs' already, which was not made by ramet" theirs
assert_lacks "ramet remove" "$err" "the hint for a VM that is not ramet's"

t_start "a file in the way of a disk is not overwritten"
echo precious >"$images/held.qcow2"
clone_refuses 4 "'$images/held.qcow2'" held
virsh -q -c qemu:///system pool-refresh default
clone_refuses 4 "'$images/held.qcow2'" held
assert_eq precious "$(cat "$images/held.qcow2")" "the file"

t_start "VMs that ramet did not make are left alone"
for command in start stop restart pause resume autostart "remove --yes" wait ssh; do
  # shellcheck disable=SC2086
  refuses 5 "'theirs' was not made by ramet" ramet $command theirs
done
for command in start stop restart pause resume autostart "remove --yes" wait ssh info console; do
  # shellcheck disable=SC2086
  refuses 3 "there is no VM 'nobody'" ramet $command nobody
done

# ------------------------------------------------------------------ bases

t_start "a base that is not there is refused"
refuses 3 "there is no base 'nobody'" ramet clone nobody web
refuses 2 "the base name '' is empty" ramet clone "" web

t_start "a base that runs, is paused or is saved is refused"
must cp "$images/hollow.qcow2" "$images/busy.qcow2"
define_base busy "$images/busy.qcow2" qcow2
must virsh -q -c qemu:///system start busy
refuses 4 "cannot clone 'busy': it is running" ramet clone busy web
must virsh -q -c qemu:///system suspend busy
refuses 4 "cannot clone 'busy': it is paused" ramet clone busy web
must virsh -q -c qemu:///system managedsave busy
refuses 4 "cannot clone 'busy': its memory is saved" ramet clone busy web
must virsh -q -c qemu:///system managedsave-remove busy

t_start "a base whose disk is gone or is not what the base says is refused"
qemu-img create -q -f raw "$images/raw.img" 64M
qemu-img create -q -f qcow2 "$images/qcow2.img" 64M
qemu-img create -q -f qcow2 -b "$images/raw.img" -F raw "$images/gone.img"
qemu-img rebase -u -f qcow2 -b "$images/nowhere.img" -F raw "$images/gone.img"
qemu-img create -q -f qcow2 "$images/loop-a.img" 64M
qemu-img create -q -f qcow2 "$images/loop-b.img" 64M
qemu-img rebase -u -f qcow2 -b "$images/loop-b.img" -F qcow2 "$images/loop-a.img"
qemu-img rebase -u -f qcow2 -b "$images/loop-a.img" -F qcow2 "$images/loop-b.img"
qemu-img create -q -f qcow2 "$images/unsaid.img" 64M
qemu-img rebase -u -f qcow2 -b "$images/qcow2.img" -F qcow2 "$images/unsaid.img"
qemu-img rebase -u -f qcow2 -b "" "$images/unsaid.img"
mkdir "$images/folder.img"
virsh -q -c qemu:///system pool-refresh default
while IFS='|' read -r file format want text; do
  define_base odd "$images/$file" "$format"
  hints=no refuses "$want" "$text" ramet clone --timeout 3 odd web
  assert_contains "odd" "$err" "the error names the base"
done <<END
missing.img|qcow2|3|'$images/missing.img' is not there
raw.img|qcow2|5|is declared as qcow2 and is raw
qcow2.img|raw|5|is declared as raw and is qcow2
gone.img|qcow2|3|'$images/nowhere.img' is not there
loop-a.img|qcow2|5|go round in a circle
folder.img|raw|5|is neither a file nor a block device
END

t_start "a base is not changed by attempts to clone it"
manifest_domain hollow >"$t_dir/hollow-after"
assert_same_file "$t_dir/hollow" "$t_dir/hollow-after" "the base"

# ------------------------------------------------------------------ shares

ln -s nothing "$projects/dangling"
t_start "a folder that is not there, or is none, cannot be shared"
hints=no clone_refuses 3 "cannot share '$projects/nothing'" web -d "$projects/nothing"
hints=no clone_refuses 3 "cannot share '$projects/dangling'" web -d "$projects/dangling"
clone_refuses 2 "it is no folder" web -d "$projects/app/file"
hints=no clone_refuses 2 "" web -d ""

t_start "the host's own folders, homes and keys cannot be shared, by whatever path"
mkdir -p /root/.ssh
ln -s / "$projects/to-root"
ln -s /root "$projects/to-home"
ln -s /root/.ssh "$projects/to-keys"
ln -s /etc "$projects/to-etc"
for folder in / /root /root/.ssh /etc /etc/ssh /home /var/lib/libvirt/images /proc /dev "$projects"/to-*; do
  clone_refuses 5 "cannot share '" web -d "$folder"
done
(cd /root && clone_refuses 5 "it is your whole home" web -d .)
for folder in /home/dev /home/dev/.ssh /home /; do
  as_dev mkdir -p /home/dev/.ssh
  refuses 5 "cannot share '$folder'" as_dev "$(command -v ramet)" clone hollow web -d "$folder"
done

t_start "a share cannot lie over what the guest's system needs"
for folder in / /etc /usr /var/lib/ramet/x; do
  clone_refuses 5 "cannot put a share over '$folder'" web -d "$projects/app:$folder"
done
hints=no clone_refuses 2 "two shares would be at '/srv/x'" web -d "$projects/app:/srv/x" -d "$projects:/srv/x"

t_start "a folder closed to QEMU's user is refused; the hint opens it"
mkdir -p /home/dev/app/sub
chown -R dev: /home/dev/app
clone_refuses 5 "cannot reach '/home/dev/app': it may not pass '/home/dev'" web -d /home/dev/app
command=$(hinted_command)
assert_contains "setfacl" "$command" "the hint"
check bash -c "$command"
check ramet clone --dry-run hollow web -d /home/dev/app
assert_contains "share /home/dev/app" "$out"
setfacl --remove-all /home/dev /home/dev/app
clone_refuses 5 "it may not pass '/home/dev'" web -d /home/dev/app
check ramet clone --dry-run --grant hollow web -d /home/dev/app
assert_contains "let QEMU's user reach /home/dev/app" "$out"
assert_lacks "libvirt-qemu" "$(getfacl --absolute-names /home/dev)" "the access after a dry run"

t_start "a folder in the middle of a path that is closed is the one that is named"
mkdir -p "$projects/open/closed/deep/app"
chmod 0700 "$projects/open/closed"
clone_refuses 5 "it may not pass '$projects/open/closed'" web -d "$projects/open/closed/deep/app"
check bash -c "$(hinted_command)"
check ramet clone --dry-run hollow web -d "$projects/open/closed/deep/app"

t_start "files closed to QEMU's user are counted and named beforehand"
mkdir "$projects/secrets"
touch "$projects/secrets/"{one,two,open}
chmod 0600 "$projects/secrets/one" "$projects/secrets/two"
check ramet clone --dry-run hollow web -d "$projects/secrets"
assert_contains "2 of 3 files in '$projects/secrets'" "$err"
assert_contains "one" "$err"
assert_lacks "open" "${err#*:}" "the files named"

t_start "the path of a share may hold what shells and XML make much of, but no newline"
# shellcheck disable=SC2016
for name in 'a,b' "it's" 'say "x"' 'a&b<c>' 'büro' '日本語' '$HOME' '%s' 'a;b' 'a\b' ' lead'; do
  mkdir -p "$projects/$name"
  check ramet clone --dry-run hollow web -d "$projects/$name"
  assert_contains "share $projects/$name, read-only, at $projects/$name" "$out"
  check ramet clone --print-xml hollow web -d "$projects/$name"
  printf '%s' "$out" >"$t_dir/clone.xml"
  assert_eq "$projects/$name" "$(xmllint --xpath 'string(//filesystem/source/@dir)' "$t_dir/clone.xml")" "the share's path"
  # libvirt takes it, with QEMU's own commas and quotes in mind
  check virsh -q -c qemu:///system domxml-to-native qemu-argv --xml "$t_dir/clone.xml"
done
mkdir "$projects/new"$'\n'"line" "$projects/bell"$'\a'
clone_refuses 2 "new\\x0aline" web -d "$projects/new"$'\n'"line"
clone_refuses 2 "bell\\x07" web -d "$projects/bell"$'\a'

# ------------------------------------------------------------------ options

t_start "wrong options and arguments are told as such"
while IFS='|' read -r text arguments; do
  read -ra words <<<"$arguments"
  hints=no refuses 2 "$text" ramet "${words[@]}"
done <<END
wants [BASE|clone
wants a base, and none is set|clone hollow
takes only [BASE|clone hollow web more
there is no command 'frobnicate'|frobnicate
'ramet base' wants another word|base
no command given|
Unknown option|--frobnicate
Unknown option|clone hollow web --frobnicate
--cpus|clone hollow web --cpus 0
--cpus|clone hollow web --cpus many
--memory|clone hollow web --memory 0
--memory|clone hollow web --memory 1K
--memory|clone hollow web --memory -5G
--memory|clone hollow web --memory 99999999999G
--disk-size|clone hollow web --disk-size 1M
--disk-size|clone hollow web --disk-size big
--timeout|clone hollow web --timeout soon
--timeout|clone --dry-run hollow web --timeout -1
--timeout|clone --dry-run hollow web --timeout 0
is not a MAC address|clone hollow web --mac 1:2:3
multicast|clone hollow web --mac 01:00:5e:00:00:01
--mac was given 2 times|clone hollow web --mac 52:54:00:00:00:01 --mac 52:54:00:00:00:02
package name|clone hollow web --package --force-yes
user name|clone hollow web --user -x
user name|clone hollow web --user 1000
project name|clone hollow web --project A
--no-bootstrap|clone hollow web --no-bootstrap -d /home/projects/app
prints no data|console mine --json
prints no data|base remove --yes hollow --json
takes only|list mine
END

t_start "an option's file or thing that is not there is told as such"
hints=no clone_refuses 3 "cannot read the script '$t_dir/nothing'" web --run "$t_dir/nothing"
hints=no clone_refuses 3 "'$t_dir/nothing'" web --ssh-key "$t_dir/nothing"
clone_refuses 3 "there is no network 'nowhere'" web --network nowhere
hints=no clone_refuses 4 "belongs to another VM" web --mac "$(virsh -c qemu:///system domiflist hollow | awk '/network/ { print $5 }')"
clone_refuses 3 "there is no storage pool 'nowhere'" web --pool nowhere
refuses 3 "no VM belongs to a project 'nothing'" ramet stop @nothing
echo "no key" >"$t_dir/nokey"
hints=no clone_refuses 2 "nokey" web --ssh-key "$t_dir/nokey"

t_start "all that stands in the way is told at once"
clone_refuses 4 "there is a VM 'mine' already" mine --network nowhere -d "$projects/nothing" -d /etc
assert_contains "there is no network 'nowhere'" "$err"
assert_contains "cannot share '$projects/nothing'" "$err"
assert_contains "cannot share '/etc'" "$err"

t_start "nothing is removed without a terminal to ask on, or --yes"
refuses 2 "there is no terminal" ramet remove mine </dev/null

# ------------------------------------------------------------------ a host that is not ready

t_start "a storage pool that is not active is refused"
must virsh -q -c qemu:///system pool-define-as lasting dir --target "$t_dir/lasting"
clone_refuses 1 "the storage pool 'lasting' is not active" web --pool lasting
assert_contains "virsh pool-start lasting" "$err" "the hint"

t_start "a storage pool that is full is refused"
mkdir "$t_dir/tiny"
chmod 0711 "$t_dir"
mount -t tmpfs -o size=32m tmpfs "$t_dir/tiny"
must virsh -q -c qemu:///system pool-define-as tiny dir --target "$t_dir/tiny"
must virsh -q -c qemu:///system pool-start tiny
clone_refuses 1 "the storage pool 'tiny' is full" web --pool tiny

t_start "a storage pool that fills up while a VM is made leaves nothing of it"
mount -o remount,size=256m "$t_dir/tiny"
must virsh -q -c qemu:///system pool-refresh tiny
head -c 256M /dev/zero >"$t_dir/tiny/fill" 2>/dev/null || true
hints=no clone_refuses 1 "No space left on device" web --pool tiny
rm "$t_dir/tiny/fill"
check ramet clone --no-bootstrap hollow web --pool tiny
check ramet remove --yes web
virsh -q -c qemu:///system pool-destroy tiny
umount "$t_dir/tiny"

t_start "without permission to use libvirt it says what to do"
stranger ()
{
  setpriv --reuid=nobody --regid=nogroup --clear-groups env -i HOME=/nonexistent USER=nobody PATH="$PATH" \
    RAMET_DATADIR="$RAMET_DATADIR" "$@"
}
refuses 5 "" stranger ramet list
assert_contains "group" "$err" "the hint"
assert_contains "libvirt" "$err" "the hint"
refuses 5 "" stranger ramet clone hollow web

t_start "with libvirtd not running it says what to do"
host_state >"$t_dir/with"
libvirtd_end TERM
for command in list "clone hollow web" "info mine" "remove --yes mine"; do
  # shellcheck disable=SC2086
  expect_status 1 ramet $command
  assert_contains "ramet: " "$err"
  assert_contains "hint: " "$err"
  assert_contains "libvirtd" "$err"
done
libvirtd_start
host_state >"$t_dir/after"
assert_same_file "$t_dir/with" "$t_dir/after" "the host"

t_start "a libvirt address that makes no sense is refused"
expect_status 1 ramet -c nonsense:///system list
assert_contains "nonsense:///system" "$err"
expect_status 1 ramet -c qemu+unix:///system?socket=/nowhere list
assert_contains "hint: " "$err"

# ------------------------------------------------------------------ many at once

# Start $1 clones of one name at once; print how each ended.
clone_at_once ()
{
  local count=$1 name=$2 i
  for ((i = 0; i < count; i++)); do
    { timeout 60 ramet clone --no-bootstrap hollow "$name" >"$t_dir/at-once.$i" 2>&1 && echo 0 || echo "$?"; } &
  done
  wait
}

for count in 2 8; do
  t_start "of $count that make a VM of one name at once, one wins"
  for _ in 1 2 3; do
    ended=$(clone_at_once "$count" "race$count" | sort | uniq -c | tr -s ' \n' ' ')
    assert_eq " 1 0 $((count - 1)) 4 " "$ended" "how many ended with which status"
    assert_eq raw "$(ramet info --json "race$count" | python3 -c 'import json, sys; print(json.load(sys.stdin)[0]["state"])')" \
      "the state of the one that was made"
    check qemu-img info "$images/race$count.qcow2"
    check ramet remove --yes "race$count"
    assert_eq "" "$(find "$images" -name 'race*')" "files left"
  done
done

t_start "many VMs of different names are made at once"
names=(many1 many2 many3 many4 many5 many6)
printf '%s\n' "${names[@]}" | xargs -P 6 -I{} ramet clone -q --no-bootstrap hollow {} || fail "one of them was not made"
assert_eq 6 "$(for name in "${names[@]}"; do virsh -c qemu:///system domiflist "$name" | awk '/network/ { print $5 }'; done | sort -u | wc -l)" "different MACs"
check ramet remove --yes "${names[@]}"

# ------------------------------------------------------------------ cut off

t_start "a guest that never shows a console is given up in time, and nothing is left"
host_state >"$t_dir/before"
began=$SECONDS
expect_status 124 ramet clone --timeout 6 hollow silent
((SECONDS - began < 15)) || fail "it took $((SECONDS - began)) s to give up after 6"
assert_contains "hint: " "$err"
log=$(sed -n 's/.*log[^/]*: \(\/.*\)$/\1/p' <<<"$err" | tail -n 1)
check test -f "$log"
host_state >"$t_dir/after"
assert_same_file "$t_dir/before" "$t_dir/after" "the host"

# Run `ramet clone hollow cut`, send the signal $1 after $2 seconds and check that it ends as interrupted.
cut_off ()
{
  local signal=$1 delay_s=$2 pid status=0
  env --default-signal=INT ramet clone --timeout 30 hollow cut >"$t_dir/cut" 2>&1 &
  pid=$!
  sleep "$delay_s"
  kill "-$signal" "$pid"
  { wait "$pid" || status=$?; } 2>/dev/null
  # the last is how a program ends that had hardly begun
  if [[ $status != 130 && ! ($status == $((128 + $(kill -l "$signal"))) && ! -s $t_dir/cut) ]]; then
    fail "cut off by SIG$signal after $delay_s s it ended with $status"
    sed 's/^/#   /' "$t_dir/cut"
  else
    ok
  fi
}

t_start "a guest that reads nothing from its console is given up in time, and nothing is left"
# what ramet sends piles up; libvirtd, which waits for the guest, must not take ramet for dead
libvirtd_end TERM
printf 'keepalive_interval = 1\nkeepalive_count = 3\n' >>/etc/libvirt/libvirtd.conf
libvirtd_start
host_state >"$t_dir/before"
ramet clone --timeout 28 hollow deaf >"$t_dir/deaf" 2>&1 &
pid=$!
wait_for 10 virsh -c qemu:///system ttyconsole deaf
console=$(virsh -c qemu:///system ttyconsole deaf | xargs)
{ head -c 200000 /dev/zero | timeout 20 dd of="$console" bs=4096 || true; } >/dev/null 2>&1 &
status=0
wait "$pid" || status=$?
assert_eq 124 "$status" "the exit status"
assert_lacks "connection" "$(cat "$t_dir/deaf")" "what it says"
host_state >"$t_dir/after"
assert_same_file "$t_dir/before" "$t_dir/after" "the host"
if virsh -c qemu:///system dominfo deaf >/dev/null 2>&1; then
  check ramet remove --yes deaf
fi
sed -i '/^keepalive/d' /etc/libvirt/libvirtd.conf
libvirtd_end TERM
libvirtd_start

# moments before, in the midst of and after the making of domain and disk, and with the guest running
for moments in "INT 0.06 1.2" "TERM 0.1 0.6" "HUP 0.03 0.25"; do
  read -r signal delays <<<"$moments"
  t_start "SIG$signal at any moment leaves nothing"
  host_state >"$t_dir/before"
  for delay_s in $delays; do
    cut_off "$signal" "$delay_s"
    host_state >"$t_dir/after"
    assert_same_file "$t_dir/before" "$t_dir/after" "the host after $delay_s s"
  done
done

t_start "Ctrl-C on a terminal, and the terminal going away, leave nothing"
host_state >"$t_dir/before"
check python3 - <<'END'
import os, pty, select, signal, sys, time
def run(action):
    pid, fd = pty.fork()
    if pid == 0:
        os.environ['TERM'] = 'xterm'
        os.execvp('ramet', ['ramet', 'clone', '--timeout', '60', 'hollow', 'cut'])
    seen, began = b'', time.time()
    while b'booting' not in seen and time.time() - began < 30:
        if select.select([fd], [], [], 0.2)[0]:
            seen += os.read(fd, 65536)
    if b'booting' not in seen:
        sys.exit(f'no step was shown: {seen!r}')
    action(fd)
    began = time.time()
    while time.time() - began < 20:
        done, status = os.waitpid(pid, os.WNOHANG)
        if done:
            return os.waitstatus_to_exitcode(status)
        try:
            if action is not os.close and select.select([fd], [], [], 0.1)[0]:
                os.read(fd, 65536)
        except OSError:
            pass
        time.sleep(0.02)
    sys.exit('it did not end')
for what, action in ('Ctrl-C', lambda fd: os.write(fd, b'\x03')), ('the terminal gone', os.close):
    code = run(action)
    if code != 130:
        sys.exit(f'{what}: ended with {code}')
END
host_state >"$t_dir/after"
assert_same_file "$t_dir/before" "$t_dir/after" "the host"

t_start "what a kill -9 leaves half made, remove clears"
host_state >"$t_dir/before"
ramet clone --timeout 30 hollow cut >/dev/null 2>&1 &
pid=$!
wait_for 10 virsh -c qemu:///system domid cut
sleep 1
kill -KILL "$pid"
{ wait "$pid" || true; } 2>/dev/null
expect_status 4 ramet start cut
assert_contains "ramet remove cut" "$err" "the hint"
expect_status 4 ramet ssh cut true
expect_status 4 ramet clone --no-bootstrap hollow cut
check ramet list --json
check ramet remove --yes cut
host_state >"$t_dir/after"
assert_same_file "$t_dir/before" "$t_dir/after" "the host"

t_start "libvirtd going away under a clone is told, and what is left can be cleared"
host_state >"$t_dir/before"
ramet clone --timeout 60 hollow cut >"$t_dir/cut" 2>&1 &
pid=$!
# not while libvirt is being asked for something, which then tells of it in words of its own
wait_for 30 grep -q "cut: booting" "$t_dir/cut"
sleep 1
libvirtd_end KILL
status=0
wait "$pid" || status=$?
assert_eq 1 "$status" "the exit status"
assert_contains "the connection to libvirt was lost" "$(cat "$t_dir/cut")" "the error"
assert_lacks "nothing is left" "$(cat "$t_dir/cut")" "the error, with the VM still there"
assert_contains "ramet remove cut" "$(cat "$t_dir/cut")" "the error"
libvirtd_start
if virsh -c qemu:///system dominfo cut >/dev/null 2>&1; then
  check ramet remove --yes cut
fi
host_state >"$t_dir/after"
assert_same_file "$t_dir/before" "$t_dir/after" "the host"

t_start "--keep leaves what failed, and says how to clear it"
expect_status 124 ramet clone --keep --timeout 3 hollow kept
assert_contains "ramet remove kept" "$err" "the hint"
assert_eq "running" "$(virsh -c qemu:///system domstate kept | xargs)" "the VM"
check ramet remove --yes kept
expect_status 1 virsh -c qemu:///system dominfo kept

t_start "after all of it the base is as it was"
manifest_domain hollow >"$t_dir/hollow-after"
assert_same_file "$t_dir/hollow" "$t_dir/hollow-after" "the base"
check ramet remove --yes mine
assert_eq "" "$(virsh -c qemu:///system list --name)" "VMs that run"

t_done

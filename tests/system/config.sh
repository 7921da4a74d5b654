#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# What a person sets once for all commands, what is kept of a VM, and what is said while it is waited for. None of these guests
# boots an operating system.
# light: no guest of it boots a system
source "$(dirname -- "${BASH_SOURCE[0]}")/lib.sh"

images=/var/lib/libvirt/images
logs=/var/log/libvirt
config=/home/dev/.config/ramet

# Write the disk $1 (raw, 1 MiB) of a guest that prints the text $2 on its serial line, and halts.
talker_disk ()
{
  {
    # xor ax,ax; mov ds,ax; mov si,0x7c16; cld; lodsb; test al,al; jz end; mov dx,0x3f8; out dx,al; jmp lodsb; hlt; jmp hlt
    printf '\x31\xc0\x8e\xd8\xbe\x16\x7c\xfc\xac\x84\xc0\x74\x06\xba\xf8\x03\xee\xeb\xf5\xf4\xeb\xfd'
    printf '%b' "$2"
  } >"$1"
  truncate -s 510 "$1"
  printf '\x55\xaa' >>"$1"
  truncate -s 1M "$1"
}

# Define the base $1 with the disk $2.
define_base ()
{
  cat >"$t_dir/domain.xml" <<XML
<domain type='qemu'>
  <name>$1</name>
  <memory unit='MiB'>64</memory>
  <vcpu>1</vcpu>
  <os><type arch='x86_64' machine='q35'>hvm</type></os>
  <devices>
    <disk type='file' device='disk'>
      <driver name='qemu' type='raw'/>
      <source file='$2'/>
      <target dev='vda' bus='virtio'/>
    </disk>
    <interface type='network'><source network='default'/><model type='virtio'/></interface>
    <serial type='pty'/>
    <memballoon model='none'/>
  </devices>
</domain>
XML
  must virsh -q -c qemu:///system define "$t_dir/domain.xml"
}

# Write $1 as the settings of user 'dev'.
settings ()
{
  printf '[defaults]\n%b' "$1" >"$config/config.ini"
  chown dev: "$config/config.ini"
}

talker_disk "$images/talker.img" 'setup \x1e frame\r\nhello \x1b[31mred\x1b[0m \x07bell\x1b]0;title\x07\r\n printf \\036%s\r\nlast line\r\n'
define_base talker "$images/talker.img"
must virsh -q -c qemu:///system pool-refresh default
mkdir -p /var/lib/libvirt/big "$config/guest"
chown -R dev: /home/dev/.config
must virsh -q -c qemu:///system pool-create-as big dir --target /var/lib/libvirt/big

t_start "what is set holds where nothing is typed, and what is typed goes first"
settings 'base = talker\nmemory = 48M\ncpus = 2\npool = big\n'
check as_dev ramet clone --no-bootstrap web
check as_dev ramet clone --no-bootstrap --memory 40M --cpus 3 --pool default talker db
assert_eq "49152 2" "$(virsh -c qemu:///system dumpxml web | xmllint --xpath 'concat(/domain/memory, " ", /domain/vcpu)' -)" "web"
assert_eq "40960 3" "$(virsh -c qemu:///system dumpxml db | xmllint --xpath 'concat(/domain/memory, " ", /domain/vcpu)' -)" "db"
assert_eq "/var/lib/libvirt/big/web.qcow2" "$(virsh -c qemu:///system domblklist web | awk '$1 == "vda" { print $2 }')" "its disk"
assert_eq "$images/db.qcow2" "$(virsh -c qemu:///system domblklist db | awk '$1 == "vda" { print $2 }')" "the other's disk"

t_start "'ramet config' tells what holds, and by which file"
mkdir -p /etc/xdg/ramet
printf '[defaults]\nuser = ada\nmemory = 1G\n' >/etc/xdg/ramet/config.ini
echo 'echo mine' >"$config/guest/80-mine.sh"
ln -s /dev/null "$config/guest/15-timezone.sh"
check as_dev ramet config --json
assert_eq "48M $config/config.ini" "$(jq -r '.settings[] | select(.name == "memory") | .value + " " + .from' "$t_dir/out")" "memory"
assert_eq "ada /etc/xdg/ramet/config.ini" "$(jq -r '.settings[] | select(.name == "user") | .value + " " + .from' "$t_dir/out")" "user"
assert_eq "added $config/guest/80-mine.sh" "$(jq -r '.steps[] | select(.name == "80-mine.sh") | .is + " " + .file' "$t_dir/out")" "a step more"
assert_eq "off $config/guest/15-timezone.sh" "$(jq -r '.steps[] | select(.name == "15-timezone.sh") | .is + " " + .file' "$t_dir/out")" "a step less"

t_start "what others may write to is not believed, and what means nothing is told"
chmod 0777 "$config/guest"
expect_status 5 as_dev ramet config
assert_contains "hint: 'chmod o-w $config/guest'" "$err" "the error"
chmod 0775 "$config/guest"
chgrp libvirt "$config/guest"
expect_status 5 as_dev ramet config
assert_contains "others may write to '$config/guest': those of its group 'libvirt'" "$err" "the error"
assert_contains "hint: 'chmod g-w $config/guest'" "$err" "the error"
expect_status 5 as_dev ramet clone talker other
check virsh -q -c qemu:///system domstate web
expect_status 1 virsh -q -c qemu:///system domstate other
chgrp dev "$config/guest"
check as_dev ramet config
chown root:dev "$config/guest"
expect_status 5 as_dev ramet config
chown dev:dev "$config/guest"
setfacl -m u:nobody:rwx "$config/guest"
expect_status 5 as_dev ramet config
setfacl -b "$config/guest"
chmod 0775 "$config/guest"
cp -- /etc/passwd /etc/group "$t_dir"
echo "eve:x:4242:$(id -g dev)::/:/bin/sh" >>/etc/passwd
expect_status 5 as_dev ramet config
cp -- "$t_dir/passwd" /etc/passwd
sed -i 's/^\(dev:.*:\)$/\1nobody/' /etc/group
expect_status 5 as_dev ramet config
cp -- "$t_dir/group" /etc/group
check as_dev ramet config
chmod 0755 "$config/guest"
chown nobody: "$config/config.ini"
expect_status 5 as_dev ramet list
assert_contains "belongs to another user" "$err" "the error"
settings 'base = talker\nssh-keys = gone.pub\n'
expect_status 3 as_dev ramet clone --dry-run one
assert_contains "$config/config.ini:3: 'ssh-keys': cannot read the ssh key '$config/gone.pub': No such file" "$err" "the error"
expect_status 3 as_dev ramet clone --dry-run --ssh-key typed.pub one
assert_contains "ramet: cannot read the ssh key 'typed.pub': No such file" "$err" "the error for one that was typed"
settings 'memry = 1G\n'
expect_status 2 as_dev ramet list
assert_contains "$config/config.ini:2: there is no key 'memry'" "$err" "the error"
settings 'base = talker\n'

t_start "a base is made by the user's own template, and by no half of one"
mkdir -p "$config/templates"
sed '/<cpu\/>/d' "$RAMET_DATADIR/templates/base-domain.xml" >"$config/templates/base-domain.xml"
chown -R dev: "$config/templates"
qemu-img create -q -f qcow2 "$t_dir/empty.qcow2" 8M
chmod 0755 "$t_dir"
chmod 0644 "$t_dir/empty.qcow2"
expect_status 2 as_dev ramet base build --image "$t_dir/empty.qcow2" mine
assert_contains "'$config/templates/base-domain.xml': the template of bases has no element 'cpu'" "$err" "the error"
expect_status 1 virsh -q -c qemu:///system domstate mine
rm -r "$config/templates"

t_start "what a guest prints is kept, shown to whoever may use libvirt, and never as commands to a terminal"
expect_status 1 as_dev test -r "$logs"
check as_dev ramet start db
log=$logs/db-$(virsh -c qemu:///system domuuid db | xargs)-serial0.log
wait_for 20 grep -q 'last line' "$log"
check as_dev ramet log db
assert_contains $'hello red \\x07bell\nlast line' "$out" "what it printed"
assert_lacks $'\e' "$out" "what it printed"
assert_lacks "frame" "$out" "what came since it was set up"
assert_lacks "printf" "$out" "what came since it was set up"

t_start "while an address is awaited, it is said why there is none"
expect_status 124 as_dev ramet wait --timeout 14 db
assert_contains "db: no address yet: guest has sent no DHCP request, nor anything else" "$err" "what is said"
assert_eq 1 "$(grep -c 'no address yet' <<<"$err")" "how often"
device=$(virsh -c qemu:///system domiflist db | awk '$2 == "network" { print $1 }')
must virsh -q -c qemu:///system domif-setlink db "$device" down
expect_status 124 as_dev ramet wait --timeout 10 db
assert_contains "db: no address yet: its network cable is unplugged" "$err" "what is said"
expect_status 124 as_dev ramet -q wait --timeout 10 db
assert_lacks "no address yet" "$err" "what is said with -q"

t_start "-v tells each call of libvirt, and how long it took; without it none is told"
check as_dev ramet -v stop --force db
assert_match "libvirt: virDomainDestroy: [0-9]+\.[0-9] ms" "$err" "what is said"
check as_dev ramet start db
assert_lacks "libvirt: vir" "$err" "what is said without it"

t_start "a VM that was renamed keeps its log, which no other VM of its first name gets, and takes it along"
must as_dev ramet stop --force db
must virsh -q -c qemu:///system domrename db old
mkdir -p /home/dev/.local/state/ramet/log
echo "another's setup" >/home/dev/.local/state/ramet/log/old.log
chown -R dev: /home/dev/.local
check as_dev ramet log old
assert_contains "last line" "$out" "what the renamed one printed"
assert_lacks "another's setup" "$out" "what is shown of the renamed one"
must as_dev ramet clone -q --no-bootstrap --pool big talker db
expect_status 3 as_dev ramet log db
check as_dev ramet remove --yes old
expect_status 2 ls "$log"
check test -e /home/dev/.local/state/ramet/log/old.log
must as_dev ramet start db
log=$logs/db-$(virsh -c qemu:///system domuuid db | xargs)-serial0.log
wait_for 20 grep -q 'last line' "$log"
check as_dev ramet log db

t_start "a clone of a base that has a log of its own writes to none of the base's folder"
define_base logged "$images/talker.img"
must virt-xml -c qemu:///system logged --edit --serial log.file="$logs/logged.log",log.append=on
must as_dev ramet clone -q --no-bootstrap logged own
assert_eq "$logs/own-$(virsh -c qemu:///system domuuid own | xargs)-serial0.log" \
  "$(virsh -c qemu:///system dumpxml own | xmllint --xpath 'string(//serial[1]/log/@file)' -)" "its log"
must as_dev ramet remove --yes own

t_start "of a long log the last part is shown, and that it is no more than that"
must as_dev ramet clone -q --no-bootstrap talker long
log_long=$logs/long-$(virsh -c qemu:///system domuuid long | xargs)-serial0.log
{ echo "very first"; perl -e 'print "in the middle\n" x 1300000'; printf '\nvery last\n'; } >"$log_long"
as_dev ramet log long >"$t_dir/long" 2>"$t_dir/long-err"
assert_eq "very last" "$(tail -n 1 "$t_dir/long")" "the last line"
assert_eq 0 "$(grep -c "very first" "$t_dir/long")" "how often the first line is there"
assert_eq "ramet: warning: long: it has printed more: this is the last 16 MiB of it" "$(cat "$t_dir/long-err")" "what is said"

# Follow the log of 'long' into $t_dir/followed; $follower is the process.
follow ()
{
  ramet log --follow long >"$t_dir/followed" 2>&1 &
  follower=$!
}

t_start "a log is followed until Ctrl-C, line by line, whatever becomes of the file"
rm -- "$log_long"
follow
sleep 2
echo "it runs" >"$log_long"
wait_for 10 grep -q "^it runs" "$t_dir/followed"
printf 'hal\x1b[31m' >>"$log_long"
sleep 2.5
expect_status 1 grep "hal" "$t_dir/followed"
printf 'f\nlast of it' >>"$log_long"
wait_for 10 grep -qx "half" "$t_dir/followed"
echo anew >"$log_long"
wait_for 10 grep -qx "anew" "$t_dir/followed"
kill -INT "$follower"
status=0
wait "$follower" || status=$?
assert_eq 130 "$status" "the exit status"
assert_eq "it runs half anew ramet: interrupted" "$(xargs <"$t_dir/followed")" "all that was shown"

t_start "following ends where nobody reads any more, and with the VM"
t_run timeout 20 bash -o pipefail -c 'ramet log -f long | head -n 1'
assert_eq 0 "$status" "the exit status"
follow
sleep 2
must as_dev ramet remove --yes long
status=0
wait "$follower" || status=$?
assert_eq 0 "$status" "the exit status"
expect_status 3 as_dev ramet log -f long
virsh -q -c qemu:///system dumpxml talker >"$t_dir/talker.xml"
expect_status 3 as_dev ramet log -f talker
assert_contains "is not kept" "$err" "the error"

t_start "a VM's logs go with it"
check as_dev ramet remove --yes web db
expect_status 2 ls "$log"
expect_status 3 as_dev ramet log db

t_done

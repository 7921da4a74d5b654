#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# Real faults in a host and in VMs: `ramet doctor` names each, says what to type, and mends what ramet left behind. No
# guest here gets so far as to boot.
# light: no guest of it boots a system
source "$(dirname -- "${BASH_SOURCE[0]}")/lib.sh"

images=/var/lib/libvirt/images
projects=/home/projects
v="virsh -q -c qemu:///system"

# Print the diagnoses of check $1 (about $2, if given), one line of JSON each.
found ()
{
  ramet doctor --json >"$t_dir/found" 2>"$t_dir/found.err" || true
  jq -c --arg check "$1" --arg subject "${2:-}" \
    '.[] | select (.check == $check and ($subject == "" or .subject == $subject))' "$t_dir/found"
}

# Check that the doctor finds $1 (about $2) with severity $3, naming what stands in $4, with a reason and a remedy that
# holds $5; and says the same to people.
finds ()
{
  local line remedy
  line=$(found "$1" "$2")
  assert_eq 1 "$(grep -c . <<<"$line")" "how often '$1' about '$2' is found in $(cat "$t_dir/found")"
  line=$(head -n 1 <<<"$line")
  assert_eq "$3" "$(jq -r .severity <<<"${line:-null}")" "the severity of '$1'"
  assert_contains "$4" "$(jq -r .what <<<"${line:-null}")" "what '$1' is"
  assert_ne null "$(jq -r .why <<<"${line:-null}")" "why '$1' matters"
  remedy=$(jq -r .remedy <<<"${line:-null}")
  assert_contains "$5" "$remedy" "the remedy for '$1'"
  t_run ramet doctor
  assert_contains "$3: $(jq -r .what <<<"${line:-null}")" "$out" "what people read"
  assert_contains "$remedy" "$out" "what people read"
  assert_eq "$([[ $3 == error ]] && echo 1 || echo "$status")" "$status" "the exit status with '$1'"
}

# Check that the doctor does not find $1 (about $2).
finds_no ()
{
  assert_eq "" "$(found "$1" "${2:-}")" "what is found of '$1'"
}

# What ramet could leave behind: domains, files, access, pools.
host_state ()
{
  $v list --all --uuid --name | sort
  $v pool-list --all --name | sort
  { find "$images" /var/lib/libvirt/qemu/nvram -mindepth 1 -printf '%p %s %m %u %T@\n' 2>/dev/null || true; } | sort
  $v vol-list default | awk '{ print $1 }' | sort
  getfacl --absolute-names --recursive "$projects" /home/dev 2>/dev/null || true
  pgrep -x qemu-system-x86 || true
}

# Define the base $1 with an empty disk and, with $2 'uefi', with UEFI and variables of its own; with 'efi', with UEFI as
# libvirt picks it, and no variables yet.
define_base ()
{
  local os='' features='' firmware=''
  must qemu-img create -q -f qcow2 "$images/$1.qcow2" 1G
  if [[ ${2:-} == uefi ]]; then
    mkdir -p /var/lib/libvirt/qemu/nvram
    head -c 4096 /dev/urandom >"/var/lib/libvirt/qemu/nvram/$1_VARS.fd"
    os="<loader readonly='yes' type='pflash'>/usr/share/OVMF/OVMF_CODE_4M.fd</loader>
        <nvram>/var/lib/libvirt/qemu/nvram/$1_VARS.fd</nvram>"
    features="<features><acpi/></features>"
  fi
  if [[ ${2:-} == efi ]]; then
    firmware=" firmware='efi'"
    features="<features><acpi/></features>"
  fi
  cat >"$t_dir/base.xml" <<XML
<domain type='qemu'>
  <name>$1</name>
  <memory unit='MiB'>64</memory>
  <os$firmware><type arch='x86_64' machine='q35'>hvm</type>$os</os>$features
  <devices>
    <disk type='file' device='disk'>
      <driver name='qemu' type='qcow2'/><source file='$images/$1.qcow2'/><target dev='vda' bus='virtio'/>
    </disk>
    <interface type='network'><source network='default'/><model type='virtio'/></interface>
    <serial type='pty'/>
    <memballoon model='none'/>
  </devices>
</domain>
XML
  must $v define "$t_dir/base.xml"
  $v pool-refresh default
}

# Write attribute $2 of ramet's own element in the metadata of domain $1 as $3.
set_metadata ()
{
  local xml
  xml=$($v metadata "$1" urn:ramet:1 | sed -E "s/^(<vm [^>]*$2=\")[^\"]*/\1$3/")
  must $v metadata "$1" urn:ramet:1 --key ramet --set "$xml"
}

define_base hollow
define_base hollow-uefi uefi
define_base hollow-efi efi
mkdir -p /home/dev/app
chown -R dev: /home/dev/app
chmod 0700 /home/dev
manifest_domain hollow >"$t_dir/hollow"

# ------------------------------------------------------------------ nothing wrong

t_start "where all is well, nothing is found but that there is no KVM"
check ramet doctor
check ramet doctor --json
assert_eq "" "$(jq -r '.[] | select (.check != "kvm") | .what' <<<"$out")" "what is found in a whole host"
if ! grep -qE '^flags.*\b(vmx|svm)\b' /proc/cpuinfo; then
  finds kvm "" warning "no virtualization extension (vmx or svm)" "nested virtualization"
fi
check ramet doctor -v
assert_contains "looking: apparmor" "$err" "what -v tells"
expect_status 2 ramet doctor hollow
host_state >"$t_dir/before"
check ramet doctor --fix
host_state >"$t_dir/after"
assert_same_file "$t_dir/before" "$t_dir/after" "a whole host after --fix"

t_start "an ordinary user is told the same, and with -v what cannot be seen"
check as_dev "$(command -v ramet)" doctor -v
assert_contains "cannot look: " "$err" "what -v tells"
assert_lacks "error: " "$out" "what is found"

# ------------------------------------------------------------------ VMs that were cut off

t_start "a VM that somebody is just making is left alone"
ramet clone --timeout 60 hollow busy >/dev/null 2>&1 &
pid=$!
for _ in {1..50}; do
  ! $v metadata busy urn:ramet:1 2>/dev/null | grep -q bootstrapping || break
  sleep 0.1
done
finds_no cut-off busy
t_run ramet doctor --fix
check kill -0 "$pid"
check $v dominfo busy
t_run ramet doctor -v
assert_contains "'busy' is being worked on" "$err" "what -v tells"
kill -KILL "$pid"
{ wait "$pid" || true; } 2>/dev/null

t_start "a VM whose maker was killed is found, and --fix clears it"
finds cut-off busy error "'busy' is half made" "ramet doctor --fix"
t_run ramet doctor --fix
assert_contains "done: removed 'busy'" "$out" "what --fix says"
expect_status 1 $v dominfo busy
check test ! -e "$images/busy.qcow2"
finds_no cut-off

t_start "half-made VMs of unknown makers are cleared when they are old, and told of when they are not"
for name in old new; do
  must ramet clone -q --no-bootstrap hollow "$name"
  set_metadata "$name" state creating
  set_metadata "$name" worker 012345678901-01234567-1-1-1-1
done
set_metadata old created 2020-01-01T00:00:00Z
finds cut-off old error "'old' is half made" "ramet remove old"
finds cut-off new warning "whether anybody is still at it" "if nobody is: 'ramet remove new'"
t_run ramet doctor --fix
expect_status 1 $v dominfo old
check $v dominfo new
check ramet remove --yes new

t_start "a VM kept by --keep is no VM that was cut off"
expect_status 124 ramet clone -q --keep --timeout 1 hollow kept
finds cut-off kept note "was kept so by --keep" "ramet remove kept"
t_run ramet doctor --fix
check $v dominfo kept
check ramet remove --yes kept

t_start "a trial clone that a base build left is cleared, one of a build at work is not"
must ramet clone -q --no-bootstrap hollow ramet-trial-01234567
finds cut-off ramet-trial-01234567 error "left behind by a 'ramet base build'" "ramet doctor --fix"
worker=$($v metadata ramet-trial-01234567 urn:ramet:1 | sed -nE 's/.* worker="([^"]*)".*/\1/p')
IFS=- read -r machine boot namespace _ <<<"$worker"
set_metadata ramet-trial-01234567 worker "$machine-$boot-$namespace-$$-$(sed 's/.*) //' /proc/$$/stat | cut -d' ' -f20)-1"
finds_no cut-off
set_metadata ramet-trial-01234567 worker "$worker"
t_run ramet doctor --fix
expect_status 1 $v dominfo ramet-trial-01234567

t_start "a pool left by a ramet that was killed is ended, one that may be a user's is not"
for name in "ramet-$worker-0badcafe" ramet-mine; do
  mkdir -p "$t_dir/$name"
  cat >"$t_dir/pool.xml" <<XML
<pool type='dir'><name>$name</name><target><path>$t_dir/$name</path></target></pool>
XML
  must $v pool-create "$t_dir/pool.xml"
done
touch "$t_dir/ramet-mine/file" "$t_dir/ramet-$worker-0badcafe/file"
finds stray-pool "ramet-$worker-0badcafe" warning "left behind by a ramet" "virsh pool-destroy"
finds stray-pool ramet-mine note "cannot be seen from here" "virsh pool-destroy ramet-mine"
t_run ramet doctor --fix
assert_eq ramet-mine "$($v pool-list --name | grep ^ramet | xargs)" "the pools after --fix"
check test -e "$t_dir/ramet-$worker-0badcafe/file"
must $v pool-destroy ramet-mine

t_start "UEFI variables that were there before are no clone's, and stay"
echo precious >/var/lib/libvirt/qemu/nvram/taken_VARS.fd
for base in hollow-uefi hollow-efi; do
  expect_status 4 ramet clone --no-bootstrap "$base" taken
  assert_contains "'/var/lib/libvirt/qemu/nvram/taken_VARS.fd'" "$err" "the error"
  expect_status 1 $v dominfo taken
  assert_eq precious "$(cat /var/lib/libvirt/qemu/nvram/taken_VARS.fd)" "the variables of somebody else"
done
rm /var/lib/libvirt/qemu/nvram/taken_VARS.fd
check ramet clone --no-bootstrap hollow-efi taken
check ramet remove --yes taken

t_start "killed at any moment of clone or remove, a VM is whole or gone after --fix, and nothing else is left"
host_state >"$t_dir/before"
kinds=0
for step in clone remove; do
  for base in hollow hollow-uefi; do
    for delay_s in 0.01 0.03 0.04 0.05 0.06 0.08 0.1 0.15 0.3 0.6; do
      # with --keep: a guest that never answers, but all that a clone is made of
      [[ $step == clone ]] || expect_status 124 ramet clone -q --keep --timeout 1 --grant -d /home/dev/app "$base" cut
      if [[ $step == clone ]]; then
        ramet clone -q --grant -d /home/dev/app "$base" cut >/dev/null 2>&1 &
      else
        ramet remove -q --yes cut >/dev/null 2>&1 &
      fi
      pid=$!
      sleep "$delay_s"
      kill -KILL "$pid" 2>/dev/null || true
      { wait "$pid" || true; } 2>/dev/null
      t_run ramet doctor --fix
      [[ $out != *"done: "* ]] || kinds=$((kinds + 1))
      t_run ramet doctor --fix
      assert_lacks "done: " "$out" "the second time"
      if $v dominfo cut >/dev/null 2>&1; then
        check ramet remove --yes cut
      fi
      host_state >"$t_dir/after"
      assert_same_file "$t_dir/before" "$t_dir/after" "the host after $step of a clone of $base killed after $delay_s s"
    done
  done
done
((kinds >= 5)) || fail "only $kinds of 40 kills left anything to mend: they came too late or too early"
note "$kinds of 40 kills left something to mend"

# ------------------------------------------------------------------ disks

t_start "a clone's disk that is gone is named"
must ramet clone -q --no-bootstrap hollow web
set_metadata web state ready
finds_no disk
mv "$images/web.qcow2" "$t_dir/web.qcow2"
finds disk web error "the disk 'vda' of 'web' is gone: '$images/web.qcow2'" "ramet remove web"
mv "$t_dir/web.qcow2" "$images/web.qcow2"
finds_no disk

t_start "a base whose file was written to is named for each clone"
finds_no drift
touch --reference "$images/hollow.qcow2" "$t_dir/time"
touch "$images/hollow.qcow2"
finds drift web error "'$images/hollow.qcow2' is not what it was" "ramet rebase web"
touch --reference "$t_dir/time" "$images/hollow.qcow2"
finds_no drift

t_start "a base that runs is named, whoever made it"
must $v start hollow
finds running-base hollow error "the base 'hollow' is running" "virsh shutdown hollow"
must $v destroy hollow
finds_no running-base

t_start "files without a VM are told of and never deleted"
qemu-img create -q -f qcow2 -b "$images/hollow.qcow2" -F qcow2 "$images/lost.qcow2"
qemu-img create -q -f qcow2 "$images/own.qcow2" 64M
must $v pool-refresh default
finds stray-file "$images/lost.qcow2" note "stands on the base 'hollow' and belongs to no VM" \
  "virsh vol-delete --pool default lost.qcow2"
finds_no stray-file "$images/own.qcow2"
t_run ramet doctor --fix
check test -e "$images/lost.qcow2" -a -e "$images/own.qcow2"
# one that another overlay stands on is in use
qemu-img create -q -f qcow2 -b "$images/lost.qcow2" -F qcow2 "$images/above.qcow2"
must $v pool-refresh default
finds_no stray-file
rm "$images/lost.qcow2" "$images/own.qcow2" "$images/above.qcow2"
must $v pool-refresh default

t_start "an open root console is named"
must ramet clone -q --no-bootstrap hollow raw
finds console raw warning "the root console of 'raw' is open" "ramet remove raw"
finds_no console web
check ramet remove --yes raw

# ------------------------------------------------------------------ pools and networks

t_start "a pool that is not active, not started with the host, full, closed to QEMU or read-only is named"
must $v pool-destroy default
finds pool default error "is not active" "virsh pool-start default"
must $v pool-start default
must $v pool-autostart --disable default
finds pool default warning "does not start with the host" "virsh pool-autostart default"
must $v pool-autostart default
chmod 0700 "$images"
finds pool default error "may not pass '$images'" "setfacl"
check bash -c "$(found pool default | jq -r .remedy | tr -d "'")"
finds_no pool
setfacl -b "$images"
chmod 0711 "$images"
mkdir "$t_dir/small"
chmod 0711 "$t_dir"
mount -t tmpfs -o size=300m tmpfs "$t_dir/small"
must $v pool-define-as small dir --target "$t_dir/small"
must $v pool-autostart small
must $v pool-start small
must ramet clone -q --no-bootstrap --pool small hollow tight
finds pool small warning "nearly full" "ramet tree"
head -c 290M /dev/zero >"$t_dir/small/fill"
finds pool small error "is full" "ramet tree"
rm "$t_dir/small/fill"
mount -o remount,ro "$t_dir/small"
finds pool small error "mounted read-only" "findmnt"
mount -o remount,rw "$t_dir/small"
check ramet remove --yes tight
must $v pool-destroy small
must $v pool-undefine small
umount "$t_dir/small"
finds_no pool

t_start "a network that is not active or not started with the host is named"
must $v net-destroy default
finds network default error "is not active" "virsh net-start default"
must $v net-start default
must $v net-autostart --disable default
finds network default warning "does not start with the host" "virsh net-autostart default"
must ramet autostart web
finds network default warning "'web', which is on it, should" "virsh net-autostart default"
must $v net-autostart default
finds_no network
must ramet autostart --off web

# ------------------------------------------------------------------ names

t_start "avahi that is told to leave the bridge out, or does not run, is named"
sed -i 's/^\[server\]/[server]\ndeny-interfaces=virbr0/' /etc/avahi/avahi-daemon.conf
finds avahi virbr0 warning "deny-interfaces with virbr0" "/etc/avahi/avahi-daemon.conf"
sed -i '/^deny-interfaces/d' /etc/avahi/avahi-daemon.conf
finds_no avahi
must avahi-daemon --kill
finds avahi "" warning "avahi-daemon is not running" "avahi-daemon"

t_start "avahi in another network namespace is named"
unshare --net avahi-daemon --daemonize 2>/dev/null
wait_for 10 avahi-daemon --check
finds avahi "" warning "another network namespace" "where the bridge"
must avahi-daemon --kill
avahi-daemon --daemonize 2>/dev/null
wait_for 10 avahi-daemon --check
finds_no avahi

t_start "a firewall that drops multicast DNS is named, one that does not is not"
finds_no firewall
while IFS='|' read -r text rule; do
  read -ra words <<<"$rule"
  must iptables -I "${words[@]}"
  if [[ -n $text ]]; then
    finds firewall virbr0 warning "$text" "5353"
  else
    finds_no firewall
  fi
  must iptables -D "${words[@]}"
done <<END
dport 5353 -j DROP|INPUT -p udp --dport 5353 -j DROP
-j REJECT|INPUT -i virbr0 -p udp -m udp -m multiport --dports 5353,5355 -j REJECT
OUTPUT|OUTPUT -o virbr0 -d 224.0.0.0/4 -j DROP
|INPUT -i lo -p udp --dport 5353 -j DROP
|INPUT -p tcp --dport 5353 -j DROP
END
must iptables -P INPUT DROP
finds firewall virbr0 warning "the policy of INPUT" "iptables -I INPUT -i virbr0 -p udp --dport 5353 -j ACCEPT"
check bash -c "$(found firewall | jq -r .remedy | sed "s/.*: 'sudo \(.*\)', 'sudo \(.*\)'/\1; \2/")"
finds_no firewall
must iptables -P INPUT ACCEPT
must iptables -D INPUT -i virbr0 -p udp --dport 5353 -j ACCEPT
must iptables -D OUTPUT -o virbr0 -p udp --dport 5353 -j ACCEPT

t_start "a host whose programs do not look up names is told so"
cp /etc/nsswitch.conf "$t_dir/nsswitch.conf"
sed -i 's/^hosts:.*/hosts: files dns/' /etc/nsswitch.conf
finds nsswitch "" note "/etc/nsswitch.conf names no mdns" "libnss-mdns"
cp "$t_dir/nsswitch.conf" /etc/nsswitch.conf
finds_no nsswitch

# Answer to web.local with address $1, as another machine would; $pid is the one who does.
publish ()
{
  avahi-publish -a -R web.local "$1" >/dev/null 2>&1 &
  pid=$!
  # shellcheck disable=SC2016
  wait_for 10 bash -c '[[ $(timeout 5 avahi-resolve -4 -n web.local) == *"$1" ]]' - "$1"
}

publish_no_more ()
{
  kill "$pid"
  { wait "$pid" || true; } 2>/dev/null
}

t_start "a name that another machine answers to is named"
must ramet start web
mac=$($v domiflist web | awk '/network/ { print $5 }')
# what dnsmasq tells libvirt once a guest has asked for an address
cat >/var/lib/libvirt/dnsmasq/virbr0.status <<JSON
[{"ip-address": "192.168.122.50", "mac-address": "$mac", "hostname": "web", "expiry-time": $(($(date +%s) + 3600))}]
JSON
assert_contains 192.168.122.50 "$($v domifaddr web)" "the lease"
finds_no name
publish 192.168.122.77
finds name web error "'web.local' is answered by 192.168.122.77, but 'web' has 192.168.122.50" "another name"
publish_no_more
publish 192.168.122.50
finds_no name
publish_no_more
must ramet stop --force web

# ------------------------------------------------------------------ the rest of the host

t_start "ramet's own ssh key that others may read is named and closed"
key=$HOME/.local/share/ramet/id_ed25519
mkdir -p "${key%/*}"
[[ -e $key ]] || must ssh-keygen -q -t ed25519 -N '' -f "$key"
chmod 0644 "$key"
finds ssh "$key" error "others may read" "chmod 600"
check ramet doctor --fix
assert_contains "done: closed" "$out" "what --fix says"
assert_eq 600 "$(stat -c %a "$key")" "the key's mode"
finds_no ssh

t_start "a VM that wants KVM where there is none is an error"
if grep -qE '^flags.*\b(vmx|svm)\b' /proc/cpuinfo; then
  skip "this machine has KVM"
else
  $v dumpxml --inactive web >"$t_dir/web.xml"
  sed "s/<domain type='qemu'/<domain type='kvm'/" "$t_dir/web.xml" >"$t_dir/kvm.xml"
  must $v define "$t_dir/kvm.xml"
  finds kvm web error "'web' wants it" "nested virtualization"
  must $v define "$t_dir/web.xml"
fi

t_start "without libvirtd the doctor says so, and looks at what it can"
pid=$(cat /run/libvirtd.pid)
kill "$pid"
wait_for 10 test ! -e "/proc/$pid"
chmod 0644 "$key"
finds libvirt "" error "cannot reach libvirt at 'qemu:///system'" "systemctl start libvirtd"
finds ssh "$key" error "others may read" "chmod 600"
expect_status 1 ramet doctor -v --fix
assert_contains "cannot look: libvirt cannot be reached" "$err" "what -v tells"
must libvirtd --daemon
wait_for 30 $v uri
wait_for 30 $v vol-list default
finds_no libvirt

t_start "after all of it the bases are as they were"
check ramet remove --yes web
manifest_domain hollow >"$t_dir/hollow-after"
# the change time is that of the file's own repair above
sed -i 's/ c=[0-9]*//' "$t_dir/hollow" "$t_dir/hollow-after"
assert_same_file "$t_dir/hollow" "$t_dir/hollow-after" "the base"
check ramet doctor
assert_eq "" "$(ramet doctor --json | jq -r '.[] | select (.check != "kvm") | .what')" "what is found at the end"

t_done

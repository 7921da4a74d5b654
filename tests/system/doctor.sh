#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# Real faults in a host and in VMs: `ramet doctor` names each, says what to type, and mends what ramet left behind. No
# guest here gets so far as to boot.
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

# Define the base $1 with an empty disk and, with $2 'uefi', with variables of its own.
define_base ()
{
  local os= features=
  must qemu-img create -q -f qcow2 "$images/$1.qcow2" 1G
  if [[ ${2:-} == uefi ]]; then
    mkdir -p /var/lib/libvirt/qemu/nvram
    head -c 4096 /dev/urandom >"/var/lib/libvirt/qemu/nvram/$1_VARS.fd"
    os="<loader readonly='yes' type='pflash'>/usr/share/OVMF/OVMF_CODE_4M.fd</loader>
        <nvram>/var/lib/libvirt/qemu/nvram/$1_VARS.fd</nvram>"
    features="<features><acpi/></features>"
  fi
  cat >"$t_dir/base.xml" <<XML
<domain type='qemu'>
  <name>$1</name>
  <memory unit='MiB'>64</memory>
  <os><type arch='x86_64' machine='q35'>hvm</type>$os</os>$features
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
mkdir -p /home/dev/app
chown -R dev: /home/dev/app
chmod 0700 /home/dev
manifest_domain hollow >"$t_dir/hollow"

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

t_start "killed at any moment of clone or remove, a VM is whole or gone after --fix, and nothing else is left"
host_state >"$t_dir/before"
kinds=0
for step in clone remove; do
  for base in hollow hollow-uefi; do
    for delay_s in 0.01 0.03 0.04 0.05 0.06 0.07 0.08 0.1 0.15 0.3; do
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
((kinds >= 10)) || fail "only $kinds of 40 kills left anything to mend: they came too late or too early"
note "$kinds of 40 kills left something to mend"

t_done

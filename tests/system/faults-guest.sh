#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# Guests that misbehave while they are set up, and people who lose patience with one: each time a clear error, the right exit
# status and nothing left but the log; the base stays as it was.
# shellcheck disable=SC2016,SC2034
source "$(dirname -- "${BASH_SOURCE[0]}")/lib.sh"

images=/var/lib/libvirt/images

# What there is of VMs on this host.
host_state ()
{
  virsh -c qemu:///system list --all --name | sort
  { find "$images" /var/lib/libvirt/qemu/nvram /var/lib/libvirt/qemu/save -mindepth 1 -printf '%p %u %m\n' 2>/dev/null \
      || true; } | sort
  pgrep -x qemu-system-x86 || true
}

# Check that nothing is left of the VM that was to be.
nothing_left ()
{
  host_state >"$t_dir/host-after"
  assert_same_file "$t_dir/host" "$t_dir/host-after" "the host"
}

# Check that nothing is left of the VM $1, while others are still there.
gone ()
{
  assert_lacks " $1 " " $(virsh -c qemu:///system list --all --name | xargs) " "the VMs there are"
  assert_eq "" "$(find "$images" -name "$1*")" "files left of '$1'"
}

# Print the path of the log that the error $1 names.
named_log ()
{
  sed -n 's/.*log[^/]*: \(\/.*\.log\)$/\1/p' <<<"$1" | tail -n 1
}

# Check that the error $1 names a log, which is there; sets log.
find_log ()
{
  log=$(named_log "$1")
  if [[ -n $log && -s $log ]]; then
    ok
  else
    fail "no log is named, or it is not there: '$1'"
    log=/dev/null
  fi
}

# Has the clone whose output is in $t_dir/cut come to a step that contains $1?
came_to ()
{
  grep -q -- "$1" "$t_dir/cut"
}

lab_base
manifest_domain debian-12 >"$t_dir/base"
host_state >"$t_dir/host"

# ------------------------------------------------------------------ steps

script ()
{
  cat >"$t_dir/$1.sh"
}

script no-newline <<'END'
printf 'a line without an end'
END
script escapes <<'END'
printf 'red \033[31m bell \007 title \033]0;owned\007 clear \033[2J\033[H back \b\b\b cr\rover del \177 nine \233 31m nul \000 high \377\376 done-escapes\n'
END
script forged <<'END'
for i in 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20 30 40; do
  for nonce in 00000000000000000000000000000000 0123456789abcdef0123456789abcdef x ''; do
    printf '\036%s %s end 0 %s\n' "$nonce" $i "$nonce"
    printf '\036%s %s got 0 %s\n' "$nonce" $i "$nonce"
  done
done
printf '\036\036\036\036'
echo done-forged
END
script flood <<'END'
echo flood-begins
head -c 20000000 /dev/zero | tr '\0' x
echo
head -c 2000000 /dev/urandom
echo
echo flood-ends
END
# a script of 1 MiB, that tells what arrived of it
{
  echo 'sha256sum <"$0"; wc -c <"$0"; exit 0'
  head -c 790000 /dev/urandom | base64 -w 100 | sed 's/^/# /'
} >"$t_dir/big.sh"
truncate -s 1048576 "$t_dir/big.sh"
script last <<'END'
echo "before the end" >&2
echo "this is why"
exit 33
END

script reboot <<'END'
echo "going down"
sync
echo b >/proc/sysrq-trigger
sleep 100
END
script sleep <<'END'
echo sleeping
sleep 1000
END

# three guests side by side: what ramet sends to one takes longest
ramet clone --cpus 1 --run "$t_dir/reboot.sh" debian-12 rebooted >"$t_dir/rebooted" 2>&1 &
rebooted_pid=$!
env --default-signal=INT ramet clone --cpus 1 --run "$t_dir/sleep.sh" debian-12 asleep >"$t_dir/cut" 2>&1 &
asleep_pid=$!

t_start "whatever a script prints, the next one runs; one that fails leaves nothing but a log"
arguments=()
for name in no-newline escapes forged flood big last; do
  arguments+=(--run "$t_dir/$name.sh")
done
expect_status 1 ramet clone --cpus 1 "${arguments[@]}" debian-12 broken
gone broken
assert_contains "last.sh" "$err" "the error"
assert_contains "status 33: this is why" "$err" "the error"
assert_lacks $'\e' "$err" "what reaches the terminal"
assert_lacks $'\a' "$err" "what reaches the terminal"
find_log "$err"
for text in "a line without an end" 'red \x1b[31m bell \x07' "done-escapes" "done-forged" "flood-begins" "flood-ends" \
  "$(sha256sum <"$t_dir/big.sh")" 1048576 "before the end" "this is why" "cut]"; do
  grep -qF -- "$text" "$log" || fail "the log lacks '$text'"
done
if LC_ALL=C grep -qP '[\x00-\x08\x0b-\x1f\x7f]' "$log"; then
  fail "the log has control characters: $(LC_ALL=C grep -aP '[\x00-\x08\x0b-\x1f\x7f]' "$log" | head -n 3 | cat -v)"
fi
assert_match '^[0-9]+$' "$(stat -c %s "$log")"
(($(stat -c %s "$log") < 16 << 20)) || fail "the log takes $(stat -c %s "$log") bytes"
assert_eq 600 "$(stat -c %a "$log")" "who may read the log"

t_start "a guest that reboots in the middle of a step is told as such"
status=0
wait "$rebooted_pid" || status=$?
err=$(cat "$t_dir/rebooted")
assert_eq 1 "$status" "the exit status"
gone rebooted
assert_contains "reboot.sh" "$err" "the error"
find_log "$err"
grep -q "going down" "$log" || fail "the log does not tell how far it got"

t_start "Ctrl-C in the middle of a step leaves nothing but the log"
wait_for 300 came_to "sleep.sh"
wait_for 60 grep -rq sleeping "$HOME/.local/state/ramet/log/asleep.log"
kill -INT "$asleep_pid" || fail "it had ended before: $(cat "$t_dir/cut")"
status=0
wait "$asleep_pid" || status=$?
assert_eq 130 "$status" "the exit status"
find_log "$(cat "$t_dir/cut")"
grep -q sleeping "$log" || fail "the log does not tell how far it got"
gone asleep
nothing_left

t_start "a guest that is switched off in the middle of its boot is told as such"
ramet clone debian-12 broken >"$t_dir/cut" 2>&1 &
pid=$!
wait_for 30 came_to booting
sleep 5
check virsh -q -c qemu:///system destroy broken
status=0
wait "$pid" || status=$?
assert_eq 1 "$status" "the exit status"
find_log "$(cat "$t_dir/cut")"
nothing_left

t_start "a kernel that panics is given up at once"
root_offset ()
{
  sfdisk --json "$1" | python3 -c 'import json, sys
print(512 * max(json.load(sys.stdin)["partitiontable"]["partitions"], key=lambda p: p["size"])["start"])'
}
must qemu-img convert -O raw "$(base_disk <(virsh -c qemu:///system dumpxml debian-12))" "$t_dir/raw"
offset=$(root_offset "$t_dir/raw")
kernel=$(debugfs -R 'ls -p /boot' "$t_dir/raw?offset=$offset" 2>/dev/null | sed -n 's/.*\/\(vmlinuz-[^/]*\)\/.*/\1/p' | tail -n 1)
must debugfs -R "dump /boot/$kernel $images/vmlinuz" "$t_dir/raw?offset=$offset"
rm "$t_dir/raw"
check test -s "$images/vmlinuz"
qemu-img create -q -f qcow2 "$images/panicky.qcow2" 64M
cat >"$t_dir/panicky.xml" <<END
<domain type='qemu'>
  <name>panicky</name>
  <memory unit='MiB'>256</memory>
  <os>
    <type arch='x86_64' machine='q35'>hvm</type>
    <kernel>$images/vmlinuz</kernel><cmdline>console=ttyS0 panic=0 root=/dev/nowhere</cmdline>
  </os>
  <cpu mode='maximum'/>
  <devices>
    <disk type='file' device='disk'>
      <driver name='qemu' type='qcow2'/><source file='$images/panicky.qcow2'/><target dev='vda' bus='virtio'/>
    </disk>
    <serial type='pty'/>
  </devices>
</domain>
END
must virsh -q -c qemu:///system define "$t_dir/panicky.xml"
host_state >"$t_dir/host"
expect_status 1 ramet clone --timeout 60 panicky broken
nothing_left
assert_contains "the kernel of 'broken' panicked: " "$err"
assert_contains "Unable to mount root fs" "$err"
find_log "$err"
grep -q 'Kernel panic' "$log" || fail "the log does not tell of the panic"
virsh -q -c qemu:///system undefine panicky
rm "$images/panicky.qcow2" "$images/vmlinuz"
host_state >"$t_dir/host"

# ------------------------------------------------------------------ people

for signal in INT HUP; do
  t_start "SIG$signal while a guest boots leaves nothing but the log"
  env --default-signal=INT ramet clone debian-12 broken >"$t_dir/cut" 2>&1 &
  pid=$!
  wait_for 30 came_to booting
  sleep 4
  kill "-$signal" "$pid"
  status=0
  began=$SECONDS
  wait "$pid" || status=$?
  ((SECONDS - began < 10)) || fail "it took $((SECONDS - began)) s to end"
  assert_eq 130 "$status" "the exit status"
  nothing_left
done

t_start "after all of it the base is as it was"
manifest_domain debian-12 >"$t_dir/base-after"
assert_same_file "$t_dir/base" "$t_dir/base-after" "the base"

t_done

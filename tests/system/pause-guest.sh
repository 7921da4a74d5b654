#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# What a pause does to a guest, in memory and to disk: its clock, its name, its shares and those who use them, an agent that
# does not answer, and whatever comes in between. See pause.sh for several VMs.
# long: a guest that is paused and asked time and again
# shellcheck disable=SC2016
source "$(dirname -- "${BASH_SOURCE[0]}")/lib.sh"

app=/home/projects/app
save=/var/lib/libvirt/qemu/save
helper=/usr/local/lib/ramet/share

# Run the script on stdin as root in the guest.
in_guest ()
{
  ramet ssh web -- sudo bash -s
}

# Check that it runs with its share, and the service: 'active' unless $1 is another word.
# shellcheck disable=SC2120
goes_on ()
{
  assert_eq running "$(virsh -c qemu:///system domstate web | xargs)" "its state"
  assert_eq "" "$(ls "$save")" "files with memory"
  check ramet ssh web -- "cat '$app/file'; systemctl is-active webby || :; sudo $helper list | cut -f2"
  assert_eq "from the host ${1:-active} attached" "$(xargs <<<"$out")" "share and service"
}

hold ()
{
  ramet ssh web -- "cd '$app' && exec setsid -f sleep 5000 >/dev/null 2>&1 </dev/null"
}

release ()
{
  ramet ssh web -- "pkill -x -f 'sleep 5000' || :"
}

# Begin ramet with the arguments in the background; its pid in $pid.
begin ()
{
  env --default-signal=INT ramet "$@" >"$t_dir/begun-out" 2>"$t_dir/begun-err" </dev/null &
  pid=$!
}

# Wait for what was begun; as check keeps it, and $took in seconds.
finish ()
{
  local began=$SECONDS
  status=0
  wait "$pid" || status=$?
  # shellcheck disable=SC2034
  out=$(cat "$t_dir/begun-out") err=$(cat "$t_dir/begun-err") took=$((SECONDS - began))
}

mkdir -p "$app"
echo "from the host" >"$app/file"
lab_template
must ramet clone --template --cpus 1 -d "$app" debian-12 web
linger web
must in_guest <<END
cat >/etc/systemd/system/webby.service <<'UNIT'
[Service]
WorkingDirectory=$app
ExecStart=/bin/sleep 100000
UNIT
cat >/etc/systemd/system/mulish.service <<'UNIT'
[Service]
WorkingDirectory=$app
ExecStart=/bin/sh -c 'trap "" TERM; while :; do sleep 1; done'
TimeoutStopSec=infinity
UNIT
systemctl daemon-reload
systemctl start webby
END

# ------------------------------------------------------------------ in memory

t_start "a guest that stood still has the right time"
check ramet pause web
assert_lacks warning "$err" "what was said"
sleep 5
check ramet resume web
assert_lacks warning "$err" "what was said"
clock_is_right web
goes_on

t_start "a name that avahi gave itself is seen and mended"
# not by what looks after its name for some seconds from the last resume on
check in_guest <<'END'
while pgrep -x -f 'sleep (2|5|15)'; do sleep 1; done >/dev/null
busctl call org.freedesktop.Avahi / org.freedesktop.Avahi.Server SetHostName s web-2
END
check ramet pause web
check ramet resume web
assert_contains "it had taken the name 'web-2.local'" "$err" "what was said"
check ramet ssh web -- "busctl call org.freedesktop.Avahi / org.freedesktop.Avahi.Server GetHostName"
assert_eq 's "web"' "$out" "avahi's name"
wait_for 20 getent hosts web.local
# once more, some seconds later, as avahi does
check ramet pause web
check ramet resume web
assert_lacks "web-" "$err" "what was said"
check in_guest <<'END'
busctl call org.freedesktop.Avahi / org.freedesktop.Avahi.Server SetHostName s web-3
sleep 12
busctl call org.freedesktop.Avahi / org.freedesktop.Avahi.Server GetHostName
END
assert_eq 's "web"' "$out" "avahi's name"

# ------------------------------------------------------------------ on disk

t_start "who uses a share is named, with the service, and nothing is changed"
hold
expect_status 4 ramet pause --to-disk web
assert_match "cannot detach the shares of 'web': in use by .*sleep \([0-9]+, webby.service\)" "$err" "the error"
assert_match "sleep \([0-9]+\)" "$err" "the error, of a plain process"
assert_contains "--stop-users" "$err" "the hint"
assert_contains "--kill-users" "$err" "the hint"
goes_on
expect_status 4 ramet pause --to-disk --stop-users web
assert_contains "--kill-users" "$err" "the hint"
assert_lacks "--stop-users" "$err" "the hint"
goes_on
expect_status 4 ramet pause --to-disk --kill-users web
assert_contains "--stop-users" "$err" "the hint"
goes_on
check ramet ssh web -- "pgrep -x -f 'sleep 5000'"

t_start "services are stopped, processes are ended, and after a reboot of the host all is as it was"
check ramet pause --to-disk --stop-users --kill-users web
assert_eq "web.save" "$(ls "$save")" "files with memory"
assert_eq saved "$(ramet list --json | jq -r '.[].run')" "its state as listed"
restart_libvirtd KILL
sleep 3
check ramet resume web
goes_on
clock_is_right web
check ramet ssh web -- 'sudo readlink "/proc/$(systemctl show -p MainPID --value webby)/cwd"'
assert_eq "$app" "$out" "where the service stands"
expect_status 1 ramet ssh web -- "pgrep -x -f 'sleep 5000'"
check ramet wait --timeout 60 web

t_start "start takes up what was saved just as resume does, and resume mends what was started by others"
check ramet pause --to-disk --stop-users web
check ramet start web
goes_on
clock_is_right web
check ramet pause --to-disk --stop-users web
check virsh -q -c qemu:///system start web
check ramet resume web
goes_on
clock_is_right web

t_start "a user's own service is stopped and started, too"
check ramet ssh web -- "mkdir -p ~/.config/systemd/user && cat >~/.config/systemd/user/own.service <<END
[Service]
WorkingDirectory=$app
ExecStart=/bin/sleep 200000
END
systemctl --user daemon-reload && systemctl --user start own"
expect_status 4 ramet pause --to-disk web
assert_match "own.service of user $(ramet ssh web -- id -u)" "$err" "the error"
check ramet pause --to-disk --stop-users web
check ramet resume web
check ramet ssh web -- "systemctl --user is-active own && systemctl --user stop own"
goes_on

t_start "a paused VM is saved as well; one that cannot be stays paused"
check ramet pause web
check ramet pause --to-disk --stop-users web
check ramet resume web
goes_on
check ramet pause web
expect_status 4 ramet pause --to-disk web
assert_eq paused "$(virsh -c qemu:///system domstate web | xargs)" "its state"
check ramet resume web
goes_on

t_start "a service that does not stop keeps it all from happening, within the time given"
check ramet ssh web -- sudo systemctl start mulish
begin pause --to-disk --stop-users --timeout 60 web
finish
assert_eq 4 "$status" "the exit status"
assert_contains mulish.service "$err" "the error"
((took < 120)) || fail "it took $took s"
# it may have been started anew since: a stop that waits would wait for ever
check ramet ssh web -- "sudo systemctl stop --no-block mulish; sleep 1; sudo systemctl kill -s KILL mulish"
goes_on

t_start "Ctrl-C at whatever moment leaves it running as it was"
for moment in 0.3 0.8 1.5 2.5 3.5 5; do
  begin pause --to-disk --stop-users web
  sleep "$moment"
  kill -INT "$pid" 2>/dev/null || true
  finish
  case $status in
    0) note "after $moment s it was done"
       check ramet resume web ;;
    130) ok ;;
    *) fail "status $status after $moment s: $err" ;;
  esac
  goes_on
done

t_start "a kill at whatever moment is mended by resume"
for moment in 0.4 1 2 3; do
  begin pause --to-disk --stop-users web
  sleep "$moment"
  kill -KILL "$pid" 2>/dev/null || true
  finish
  # what libvirt was doing it goes on with
  wait_for 60 bash -c "virsh -c qemu:///system domjobinfo web 2>&1 | grep -q 'None\|not running'"
  check ramet resume web
  goes_on
done

t_start "a restart of libvirtd while the memory is written leaves it running as it was"
begin pause --to-disk --stop-users web
wait_for 30 bash -c "[[ -n \$(find '$save' -size +1M) ]]"
restart_libvirtd TERM
finish
case $status in
  0) note "it was done by then"; check ramet resume web ;;
  1) assert_match "connection|cannot save" "$err" "the error" ;;
  *) fail "status $status: $err" ;;
esac
goes_on

t_start "a folder that was written to meanwhile keeps its share out, and its service waits for that"
check in_guest <<END
$helper release --stop-users
touch '$app/stray'
END
expect_status 1 ramet resume web
assert_contains "cannot attach the shares of 'web' again" "$err" "the error"
assert_contains "'$app' is there and not empty" "$err" "the error"
check ramet ssh web -- "systemctl is-active webby || :; sudo $helper list | cut -f2"
assert_eq "inactive detached" "$(xargs <<<"$out")" "service and share"
check ramet ssh web -- "sudo rm '$app/stray'"
check ramet resume web
goes_on

# ------------------------------------------------------------------ an agent that does not answer

t_start "an agent that hangs is told within its time, and nothing is changed"
check ramet ssh web -- 'sudo kill -STOP "$(pidof qemu-ga)"'
begin pause --to-disk --stop-users web
finish
assert_eq 124 "$status" "the exit status"
assert_contains "the guest agent of 'web' does not answer" "$err" "the error"
assert_contains "hint: " "$err" "the error"
((took < 40)) || fail "it took $took s"
begin pause --to-disk web
sleep 2
kill -INT "$pid"
finish
assert_eq 130 "$status" "the exit status after Ctrl-C"
((took < 25)) || fail "it took $took s to end"
check ramet pause web
begin resume web
finish
assert_eq 0 "$status" "the exit status of resume"
assert_contains "warning: web: its clock was not set: the guest agent of 'web' does not answer" "$err" "what was said"
((took < 15)) || fail "resume took $took s"
check ramet ssh web -- 'sudo kill -CONT "$(pidof qemu-ga)"'
sleep 6
goes_on
check ramet resume web
clock_is_right web

t_start "an agent that greets and then says nothing keeps nobody waiting for good"
check in_guest <<'END'
cat >/root/mute <<'SCRIPT'
exec 3<>/dev/virtio-ports/org.qemu.guest_agent.0
while read -r line <&3; do
  [[ $line == *guest-sync* ]] || continue
  id=${line##*\"id\":}
  [[ $line != *delimited* ]] || printf '\xff' >&3
  echo "{\"return\":${id%%\}*}}" >&3
done
SCRIPT
systemctl stop qemu-guest-agent
systemd-run -q --unit mute bash /root/mute
END
# libvirt knows no lease, so the agent is asked
cp -a /var/lib/libvirt/dnsmasq "$t_dir/dnsmasq"
for file in /var/lib/libvirt/dnsmasq/*.status; do echo '[]' >"$file"; done
begin list
finish
assert_eq 0 "$status" "the exit status of list"
assert_contains web "$out" "the list"
((took < 30)) || fail "list took $took s"
cp -a "$t_dir"/dnsmasq/*.status /var/lib/libvirt/dnsmasq/
check in_guest <<'END'
systemctl stop mute
systemctl start qemu-guest-agent
END
check ramet resume web
clock_is_right web

t_start "what the guest says is nothing to trust"
check in_guest <<END
cp $helper /root/share
cat >$helper <<'SCRIPT'
#!/bin/sh
printf '12\tweb.service\t\033[31mred\n13\t../../x\tevil\nx\ty\tz\n14\t-\tb\007ell\n'
head -c 300000 /dev/zero | tr '\0' 'x'
echo 'ramet share: \033]0;owned' >&2
exit 4
SCRIPT
END
expect_status 4 ramet pause --to-disk web
assert_contains 'in use by \x1b[31mred (12, web.service), b\x07ell (14)' "$err" "the error"
assert_lacks $'\e' "$err" "what reaches the terminal"
check ramet ssh web -- sudo cp /root/share "$helper"
goes_on

t_start "a start that waits for the agent outlasts a snapshot, and what others wrote meanwhile stays"
check ramet ssh web -- sudo systemctl mask --now qemu-guest-agent
check ramet stop web
check ramet set --remove-share "$app" web
begin start web
wait_for 60 grep -q "waiting for the guest's agent" "$t_dir/begun-err"
check ramet wait --timeout 300 web
check ramet snapshot create --disk-only web@meanwhile
assert_eq running "$(virsh -c qemu:///system domstate web | xargs)" "its state"
check ramet ssh web -- "sudo systemctl unmask qemu-guest-agent && sudo systemctl start qemu-guest-agent"
finish
assert_eq 0 "$status" "the exit status of start; $err"
assert_lacks warning "$err" "what was said"
check ramet snapshot list web
assert_contains meanwhile "$out" "the snapshots"
check ramet ssh web -- sudo "$helper" list
assert_eq "" "$out" "the shares that the guest was told of"

t_start "without shares no agent is needed"
check ramet ssh web -- 'sudo kill -STOP "$(pidof qemu-ga)"'
check ramet pause --to-disk web
check ramet resume web
assert_contains "warning: web: its clock was not set" "$err" "what was said"
check ramet remove --yes web

t_done

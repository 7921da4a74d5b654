# shellcheck shell=sh disable=SC2154
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# Part of tests/guest/run: shares that are released, with services and processes that hold them, and restored.

# hold FOLDER [CGROUP]: a process with that working folder, in $holder
hold() {
  chroot "$root" /bin/sh -c 'cd "$1" && exec sleep 100' sh "$1" &
  holder=$!
  sleep 0.3
  [ -z "${2-}" ] || { echo "$2" >"$work/cgroup"; mount --bind "$work/cgroup" "$root/proc/$holder/cgroup"; }
}

states() { chroot "$root" /bin/sh /usr/local/lib/ramet/share list | cut -f2 | tr '\n' ' '; }

# with the shares 'one' at $odd and 'two' at /srv/two attached
release_tests() {
  record=$root/run/ramet-released
  [ $shell = busybox ] || program "$root" date env timeout tr
  share release
  ok 'share release' is "$status $(states)" '0 detached detached '
  share release
  share restore
  ok 'share restore, after releasing twice' is "$status $(states)$(cat "$record")" '0 attached attached '
  # shellcheck disable=SC2016
  stand_in flock 'case $(tr "\0" " " <"/proc/$PPID/cmdline") in *"share release "*) sleep 1 ;; esac'
  chroot "$root" /bin/sh /usr/local/lib/ramet/share release &
  sleep 0.3
  share restore
  wait $!
  ok 'share restore: a release that had only just begun is taken back' is "$status $(states)" '0 attached attached '
  rm "$root/bin/flock"
  share detach two
  share release
  share restore
  ok 'share restore: just what was attached' is "$status $(states)" '0 attached detached '
  share attach
  hold /srv/two
  share release --stop-users --patience=5
  ok 'share release: all or nothing' is "$status $(cat "$work/stdout") $(states)" "4 $holder${tab}-${tab}sleep attached attached "
  share release --kill-users
  ok 'share release: a process is ended' is "$status $(cat "$work/stdout") $(states)" "0 killed${tab}$holder${tab}sleep detached detached "
  wait $holder 2>/dev/null
  share restore
  ok 'share restore: that is all' is "$status$(cat "$work/stdout") $(states)" '0 attached attached '
  printf 'tag\tgone\nservice\tweb.service\nservice\tapi.service\n' >"$record"
  stand_in systemctl 'case "$*" in *"start -- web.service") exit 1 ;; esac'
  share restore
  ok 'share restore: a service that does not start stays remembered' is "$status $(cat "$record")" "1 service${tab}web.service"
  ok 'share restore: the others are started' is "$(cat "$work/stdout")" "started${tab}api.service"
  stand_in systemctl
  share restore
  ok 'share restore: until it does' is "$status $(cat "$work/stdout" "$record")" "0 started${tab}web.service"
  : >"$root/calls"
  # web.service holds it; web.socket would start it again, api.service goes down with it, old.service is off
  stand_in systemctl 'case "$*" in
*show*" web.service") echo "api.service old.service multi-user.target"; echo web.socket ;;
*show*) ;;
*is-active*old.service) exit 3 ;;
*"stop -- web.service") read -r pid </holder; kill "$pid" ;;
esac'
  stand_in setpriv 'while [ "$1" != env ]; do shift; done; exec "$@"'
  hold /srv/two 0::/system.slice/web.service
  share release --kill-users
  ok 'share release: a service is no process' is "$status $(cat "$work/stdout") $(states)" \
    "4 $holder${tab}web.service${tab}sleep attached attached "
  ok 'share release: nothing was stopped' lacks "$root/calls" 'systemctl stop'
  echo $holder >"$root/holder"
  share release --stop-users
  umount "$root/proc/$holder/cgroup" 2>/dev/null
  ok 'share release: a service is stopped, with what hangs on it' is "$status $(cat "$work/stdout") $(states)" \
    "0 stopped${tab}web.socket${nl}stopped${tab}web.service${nl}stopped${tab}api.service detached detached "
  ok 'share release: what is off is left' lacks "$root/calls" 'stop -- old.service'
  ok 'share release: remembered in order' is "$(grep ^service "$record" | cut -f2 | tr '\n' ' ')" 'web.socket web.service api.service '
  before=$(cat "$record")
  echo stray >"$root/srv/two/stray"
  share restore
  ok 'share restore: a folder that is not empty' is "$status $(states)" '1 attached detached '
  ok 'share restore: it is told' has "$work/stderr" "cannot attach 'two': '/srv/two' is there and not empty"
  ok 'share restore: nothing is started in it, and nothing is forgotten' is \
    "$(grep -c 'systemctl start' "$root/calls")$(cat "$record")" "0$before"
  rm "$root/srv/two/stray"
  share restore
  ok 'share restore: once it is empty' is "$status $(states)$(cat "$record")" '0 attached attached '
  ok 'share restore: services are started' is "$status $(grep -o 'systemctl start.*' "$root/calls" | tr '\n' ' ')" \
    '0 systemctl start -- web.socket systemctl start -- web.service systemctl start -- api.service '
  : >"$root/calls"
  mkdir -p "$root/run/user/1234"
  hold /srv/two 0::/user.slice/user-1234.slice/user@1234.service/app.slice/web.service
  echo $holder >"$root/holder"
  share release --stop-users
  umount "$root/proc/$holder/cgroup" 2>/dev/null
  ok "share release: a user's own service" is "$status $(grep ^stopped "$work/stdout" | tail -n 1)" "0 stopped${tab}1234/api.service"
  ok "share release: through the user's own manager" has "$root/calls" 'setpriv --reuid 1234 --regid 0'
  ok "share release: just as the system's" has "$root/calls" 'systemctl --user stop -- web.service'
  ok "share release: and no other" not has "$root/calls" 'systemctl stop'
  share restore
  hold /srv/two 0::/user.slice/user-1234.slice/user@1234.service/app.slice/run-1.scope
  share release --stop-users
  ok "share release: a user's manager is no service to stop" is "$status $(cut -f2 "$work/stdout")" '4 -'
  echo 0::/system.slice/made.service >"$work/cgroup"
  mkdir -p "$root/run/systemd/transient"
  : >"$root/run/systemd/transient/made.service"
  share release --stop-users
  ok 'share release: what could not be started again is no service' is "$status $(cut -f2 "$work/stdout")" '4 -'
  echo 0::/system.slice/qemu-guest-agent.service >"$work/cgroup"
  share release --stop-users
  ok 'share release: the agent is not stopped' is "$status $(states)" '4 attached attached '
  echo 0::/system.slice/stubborn.service >"$work/cgroup"
  : >"$root/calls"
  share release --stop-users
  ok 'share release: what does not let go' is "$status $(states)" '4 attached attached '
  ok 'share release: is started again' has "$root/calls" 'systemctl --no-block start -- stubborn.service'
  stand_in systemctl 'case "$*" in *"start -- stubborn.service") sleep 2 ;; *"stop -- stubborn.service") sleep 5; exit 1 ;; esac'
  share release --stop-users --patience=2
  ok 'share release: with time of its own for that' is "$status $(cat "$record")" '4 '
  stand_in systemctl
  umount "$root/proc/$holder/cgroup"
  kill $holder
  wait $holder 2>/dev/null
  share release --patience=
  ok 'share release: wrong usage' is $status 2
  # without systemd: a daemon's pid file says whose it is
  rm -r "$root/run/systemd/system"
  mkdir -p "$root/etc/init.d"
  chroot "$root" /bin/sh -c 'cd /srv/two && exec setsid sleep 100' &
  holder=$!
  sleep 0.3
  holder=$(pgrep -n -x sleep || echo $holder)
  printf '#!/bin/sh\necho "init.d/web $*" >>/calls\n[ "$1" != stop ] || kill "$(cat /run/web.pid)"\n' >"$root/etc/init.d/web"
  chmod 755 "$root/etc/init.d/web"
  echo "$holder" >"$root/run/web.pid"
  : >"$root/calls"
  share release --stop-users
  ok 'share release: an init script' is "$status $(cat "$work/stdout") $(states)" "0 stopped${tab}web detached detached "
  share restore
  ok 'share restore: an init script' is "$status $(grep web "$root/calls" | tr '\n' ' ')" '0 init.d/web stop init.d/web start '
  mkdir -p "$root/run/systemd/system"
  wait 2>/dev/null
}

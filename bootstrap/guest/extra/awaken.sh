# Ensures the right time and name after the VM stood still
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# $1: seconds since 1970, or empty. $2: "shares" to mount again what `share release` unmounted, and to start what it stopped;
# else empty. Prints, each with what belongs to it behind a tab: "clock REASON" if the time could not be set; "renamed NAME" if
# avahi had given itself that name, and has the right one again, or "stays NAME"; "restoring", and then what `share restore`
# prints, whose status is the script's, and who alone writes to stderr.
set -eu
PATH=${PATH:-/bin}:/usr/sbin:/usr/bin:/sbin:/bin
tab='	'
helper=/usr/local/lib/ramet/share

if [ -n "$1" ]; then
  # some know no fractions
  date -u -s "@$1" >/dev/null 2>&1 || why=$(date -u -s "@${1%.*}" 2>&1 >/dev/null) || echo "clock$tab$why"
fi

# Puts into $want what avahi should be called.
look_up_name() {
  read -r want </proc/sys/kernel/hostname
  want=${want%%.*}
  [ -r /etc/avahi/avahi-daemon.conf ] || return 0
  while IFS='= 	' read -r key value _; do
    [ "$key" != host-name ] || want=$value
  done </etc/avahi/avahi-daemon.conf
}

# call METHOD [NAME]: busctl says 's "NAME"', dbus-send '   NAME'
call() {
  where=org.freedesktop.Avahi
  if command -v dbus-send >/dev/null; then
    # shellcheck disable=SC2086
    dbus-send --system --print-reply=literal --reply-timeout=3000 --dest=$where / $where.Server."$1" ${2:+"string:$2"}
  else
    # shellcheck disable=SC2086
    busctl --timeout=3 call $where / $where.Server "$1" ${2:+s "$2"}
  fi 2>/dev/null
}

# Puts avahi's name into $have; fails if there is no avahi to ask.
look() {
  have=$(call GetHostName) || return 1
  have=${have#*\"} have=${have%\"*}
  have=${have##* }
  [ -n "$have" ]
}

# is_settled: within some seconds
is_settled() {
  for _ in 1 2 3 4 5 6 7 8 9 10; do
    ! look || [ "$have" != "$want" ] || return 0
    sleep 0.3 2>/dev/null || sleep 1
  done
  return 1
}

restart() {
  if [ -d /run/systemd/system ]; then
    systemctl restart avahi-daemon.service
  elif command -v rc-service >/dev/null; then
    rc-service avahi-daemon restart
  else
    service avahi-daemon restart
  fi >/dev/null 2>&1
}

mend_name() {
  look_up_name
  look || return 0
  if [ "$have" != "$want" ]; then
    was=$have
    { call SetHostName "$want" >/dev/null && is_settled; } || { restart && is_settled; } || { echo "stays$tab$have"; return; }
    echo "renamed$tab$was"
  fi
  # it may take avahi a while to see what it takes for a conflict
  (
    exec >/dev/null 2>&1 </dev/null
    for pause in 2 5 15; do
      sleep $pause
      ! look || [ "$have" = "$want" ] || call SetHostName "$want"
    done
  ) &
}

status=0
# by exec: what a shell puts aside for a redirection would be held by what goes on in the background
(
  exec 2>/dev/null
  mend_name
) &
if [ "$2" = shares ] && [ -x $helper ]; then
  echo restoring
  $helper restore || status=$?
fi
wait $! || :
exit $status

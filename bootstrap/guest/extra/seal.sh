# Ensures that no root shell is left on any console
# SPDX-License-Identifier: LGPL-2.1-or-later
set -eu
PATH=${PATH:-/bin}:/usr/sbin:/usr/bin:/sbin:/bin
nl='
'
marker='# ramet root console'

# What gives a root shell to whoever sits at a terminal: a login skipped, or a bare shell in place of one.
login='(getty.* (-a *|--autologin[ =]*)["'\'']?root|getty.* -[a-zA-Z0-9]*n[a-zA-Z0-9]* .*-l *[^ ]*/(ba|da|a|z)?sh|login .*-f *["'\'']?root|sulogin .*(-e|--force))'
shell='[-@!+:]*(/usr)?/bin/((ba|da|a|z)?sh|busybox a?sh)( +-[il]+| +--login)* *'
device='/dev/(tty|hvc|console)'

units='' jobs='' services=''

unlinked() {
  rm -f "$1"
  echo "removed $1"
}

# add_units PATH: the units that a unit file or a drop-in belongs to
add_units() {
  name=${1##*/}
  case $1 in
  *.d/*.conf) name=${1%/*} name=${name##*/} name=${name%.d} ;;
  esac
  case $name in
  *@.service)
    for tty in ttyS0 ttyS1 hvc0 tty1; do units="$units ${name%.service}$tty.service"; done
    ;;
  *.service) units="$units $name" ;;
  esac
}

# systemd: changed files and links, in the order of what overrides what. Links are followed, for debug-shell.service.
find_units() {
  set --
  for dir in /etc/systemd/system /run/systemd/system /usr/local/lib/systemd/system \
    /usr/lib/systemd/system/*getty* /lib/systemd/system/*getty*; do
    [ ! -e "$dir" ] || set -- "$@" "$dir"
  done
  [ $# -gt 0 ] || return 0
  grep -lRE "^$marker\$|^ExecStart=.*$login" "$@" 2>/dev/null || :
  grep -lRE "^ExecStart=$shell\$" "$@" 2>/dev/null | while IFS= read -r file; do
    grep -qE '^(TTYPath=|StandardInput=tty)' "$file" || continue
    ! grep -qE '^User=' "$file" || grep -qE '^User=(root|0) *$' "$file" || continue
    printf '%s\n' "$file"
  done
}

find_jobs() {
  [ -d /etc/init ] || return 0
  grep -lE "^$marker\$|^exec .*$login|^[[:space:]]*exec +$shell *<> *$device|^[[:space:]]*exec +$shell *< *$device" /etc/init/*.conf 2>/dev/null || :
}

find_services() {
  [ ! -d /etc/runlevels ] || grep -lE "^$marker|^command_args=.*$shell *< *$device" /etc/init.d/* 2>/dev/null || :
  grep -lE "^[^#]*(-a *|--autologin[ =]*)root" /etc/conf.d/agetty* /etc/conf.d/getty* 2>/dev/null || :
}

find_inittab() {
  [ -f /etc/inittab ] || return 0
  grep -nE "^$marker\$|^[^#:]*:[^:]*:([^:]*:)?.*$login|^[^#:]*:[^:]*:([^:]*:)?$shell\$|^[^#:]*:[^:]*:([^:]*:)?.*exec +$shell( *<.*|'.*)?\$" /etc/inittab || :
}

lines=$(find_units)
while IFS= read -r file; do
  [ -e "$file" ] || continue
  add_units "$file"
  case $file in
  /usr/lib/* | /lib/*)
    case $file in
    *.d/*.conf) unlinked "$file" ;;
    # a distribution's own unit must stay
    *) sed -i -E 's/(-a *|--autologin[ =]*)["'\'']?root["'\'']?//' "$file"; echo "changed $file" ;;
    esac
    ;;
  *)
    unlinked "$file"
    for link in /etc/systemd/system/*.wants/"${file##*/}"; do
      { [ ! -L "$link" ] || [ -e "$link" ]; } || unlinked "$link"
    done
    ;;
  esac
  case $file in
  *.d/*.conf) rmdir "${file%/*}" 2>/dev/null || : ;;
  esac
done <<END
$lines
END

lines=$(find_jobs)
while IFS= read -r file; do
  [ -n "$file" ] || continue
  name=${file##*/}
  jobs="$jobs ${name%.conf}"
  unlinked "$file"
done <<END
$lines
END

lines=$(find_services)
while IFS= read -r file; do
  [ -n "$file" ] || continue
  services="$services ${file##*/}"
  case $file in
  /etc/conf.d/*) sed -i -E '/(-a *|--autologin[ =]*)root/d' "$file"; echo "changed $file" ;;
  *)
    unlinked "$file"
    for link in /etc/runlevels/*/"${file##*/}"; do
      [ ! -L "$link" ] || unlinked "$link"
    done
    ;;
  esac
done <<END
$lines
END

inittab=''
lines=$(find_inittab)
if [ -n "$lines" ]; then
  text='' number=0 skip='' inittab=1
  while IFS= read -r line || [ -n "$line" ]; do
    number=$((number + 1))
    if [ -n "$skip" ]; then
      skip=''
      echo "removed $line"
      continue
    fi
    case $nl$lines in
    *"$nl$number:"*)
      [ "$line" != "$marker" ] || skip=1
      echo "removed $line"
      continue
      ;;
    esac
    # the getty that made room
    text="$text${line#'#ramet#'}$nl"
  done </etc/inittab
  printf %s "$text" >/etc/inittab
fi

# an empty password is a root shell too
for file in /etc/shadow /etc/passwd; do
  [ -f $file ] || continue
  text='' changed=''
  while IFS= read -r line || [ -n "$line" ]; do
    case $line in
    root::*) line="root:*:${line#root::}" changed=1 ;;
    esac
    text="$text$line$nl"
  done <$file
  if [ -n "$changed" ]; then
    printf %s "$text" >$file
    echo "locked root's empty password in $file"
  fi
done

left=$(find_units; find_jobs; find_services; find_inittab)
[ -z "$left" ] || { printf 'a root console is left: %s\n' "${left%%"$nl"*}" >&2; exit 1; }
read -r line </proc/cmdline || :
case " $line " in
*' systemd.debug_shell'* | *' systemd.debug-shell'* | *' init=/bin/'*sh' '* | *' rd.break'*)
  echo "a root console is left: the kernel's command line asks for one" >&2
  exit 1
  ;;
esac

# The shell behind this script dies a little later, when it has told how this ended: with everything on its terminal, and
# every process from it up to init.
parent=$$ tty=0 victims=''
while [ "$parent" -gt 1 ]; do
  read -r line <"/proc/$parent/stat"
  # shellcheck disable=SC2086
  set -- ${line##*) }
  [ "$parent" = $$ ] || victims="${victims:+$victims }$parent"
  [ "$tty" != 0 ] || tty=$5
  parent=$2
done
ttys=" $tty "
for name in $units; do
  name=${name#*@} name=${name%.service}
  case $name in
  ttyS[0-9]*) ttys="$ttys$((1088 + ${name#ttyS})) " ;;
  hvc[0-9]*) ttys="$ttys$((58624 + ${name#hvc})) " ;;
  tty[0-9]*) ttys="$ttys$((1024 + ${name#tty})) " ;;
  esac
done

# $1 script, $2 its ancestors, $3 terminals, $4 units, $5 jobs, $6 services, $7 inittab
# shellcheck disable=SC2016
last='
PATH=$PATH:/usr/sbin:/usr/bin:/sbin:/bin
running=""
if [ -d /run/systemd/system ]; then
  for unit in $4; do
    ! systemctl --quiet is-active "$unit" || running="$running $unit"
  done
fi

# The shell is busy as long as it has children, and then it has the last word; but one that stays must not save it.
parent=${2%% *}
tries=0
while [ -d "/proc/$1" ] && [ $tries -lt 100 ]; do
  tries=$((tries + 1))
  sleep 0.1 2>/dev/null || sleep 1
done
tries=0
while [ $tries -lt 15 ]; do
  busy=""
  read -r children <"/proc/$parent/task/$parent/children" || [ -n "$children" ] || children=""
  for pid in $children; do
    read -r line <"/proc/$pid/stat" || continue
    case "$line" in
    *") Z "*) ;;
    *) busy=1 ;;
    esac
  done
  [ -n "$busy" ] || break
  tries=$((tries + 1))
  sleep 0.1 2>/dev/null || sleep 1
done
[ -e "/proc/$parent/task/$parent/children" ] || sleep 1
sleep 0.3 2>/dev/null || sleep 1

# first nobody may start it again, then it is ended
if [ -d /run/systemd/system ]; then
  # shellcheck disable=SC2086
  [ -z "$running" ] || systemctl --no-block stop $running
else
  for name in $5; do initctl stop "$name"; done
  for name in $6; do rc-service "$name" stop & done
  [ -z "$7" ] || kill -HUP 1
  sleep 0.3 2>/dev/null || sleep 1
fi
round=0
while [ $round -lt 4 ]; do
  # all are found before the first is ended: the others lose the terminal with the leader of their session
  found=""
  [ $round != 0 ] || found=$2
  for file in /proc/[0-9]*/stat; do
    read -r line <"$file" || continue
    pid=${line%% *} name=${line#*"("} name=${name%")"*}
    set -f
    # shellcheck disable=SC2086
    set -- "$1" "$2" "$3" "$4" "$5" "$6" "$7" ${line##*") "}
    set +f
    case "$3" in
    *" ${12} "*)
      # a getty that came in place of the shell stays
      case $round$name in
      [1-9]*getty | [1-9]login) ;;
      *) [ "${12}" = 0 ] || [ "$pid" = $$ ] || found="$found $pid" ;;
      esac
      ;;
    esac
  done
  for pid in $found; do kill -9 "$pid"; done
  round=$((round + 1))
  [ $round = 4 ] || sleep 0.25 2>/dev/null || sleep 1
  if [ $round = 1 ] && [ -d /run/systemd/system ]; then
    systemctl daemon-reload
    # shellcheck disable=SC2086
    [ -z "$running" ] || systemctl --no-block start $running
  fi
done
'
set -- "$last" sh $$ "$victims" "$ttys" "$units" "$jobs" "$services" "$inittab"
if [ -d /run/systemd/system ]; then
  # in a unit of its own, for the console's unit takes all its processes with it; early in the boot, at once
  systemd-run --quiet --no-block --collect --property=DefaultDependencies=no sh -c "$@"
elif command -v setsid >/dev/null; then
  setsid sh -c "$@" </dev/null >/dev/null 2>&1 &
else
  trap '' HUP
  sh -c "$@" </dev/null >/dev/null 2>&1 &
fi

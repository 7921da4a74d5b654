# Ensures the folders shared from outside
# SPDX-License-Identifier: LGPL-2.1-or-later
set -eu
PATH=${PATH:-/bin}:/usr/sbin:/usr/bin:/sbin:/bin
nl='
'
tab='	'

[ -n "$RAMET_SHARES" ] || [ -f /etc/ramet/shares ] || exit 0

[ -d /etc/ramet ] && [ -d /usr/local/lib/ramet ] || mkdir -p /etc/ramet /usr/local/lib/ramet
cat >/usr/local/lib/ramet/share <<'END'
#!/bin/sh
# Folders shared from the host: read-only 9p below, an overlay of the guest's own above.
# SPDX-License-Identifier: LGPL-2.1-or-later
#
#   share attach [TAG...]   mount what is not mounted yet
#   share detach [TAG...]   unmount; what holds a tree is printed as PID<TAB>SERVICE<TAB>COMMAND, status 4
#   share list              TAG<TAB>STATE<TAB>FOLDER for each: attached, detached, or lower (only the 9p mount)
#   share upper TAG         paths that the guest changed, each ended by a NUL
#   share release [--stop-users] [--kill-users] [--patience=SECONDS]
#                           unmount all that is mounted, or nothing: what holds a tree is printed as by detach, status 4.
#                           --stop-users stops services that hold one, --kill-users ends other processes. What was done
#                           is printed: stopped<TAB>SERVICE, or killed<TAB>PID<TAB>COMMAND
#   share restore           mount what release has unmounted, and then start what it has stopped, printed as
#                           started<TAB>SERVICE; what fails is tried again by the next one
#
# SERVICE is a unit of systemd's, UID/UNIT if it is one of a user's own, the name of an init script elsewhere, or '-'.
#
# Status: 0 done, 1 failed, 2 wrong usage, 3 no such share, 4 held by processes.
# /etc/ramet/shares has a line TAG<TAB>FOLDER for each share.
set -euf
PATH=${PATH:-/bin}:/usr/sbin:/usr/bin:/sbin:/bin
umask 022
config=/etc/ramet/shares
store=/var/lib/ramet/shares
# what release has unmounted and stopped, or empty: it lasts as long as the guest's memory
record=/run/ramet-released
tab='	'
nl='
'

say() { echo "ramet share: $*" >&2; }

has_filesystem() {
  while read -r first second; do
    [ "${second:-$first}" != "$1" ] || return 0
  done </proc/filesystems
  return 1
}

# What is mounted is known by its source: no path has to be decoded.
is_mounted() {
  while read -r source where type _; do
    case $1:$type:$source:$where in
    "overlay:overlay:ramet-$2:"* | lower:*":$store/$2/lower") return 0 ;;
    esac
  done </proc/mounts
  return 1
}

allowed() {
  case $1 in
  /) set -- '' ;;
  /*) ;;
  *) say "'$1' is not an absolute path"; return 1 ;;
  esac
  case $1/ in
  */./* | */../* | *//*) say "'$1' has a '.', '..' or empty part"; return 1 ;;
  esac
  why=
  case $1/ in
  /bin/* | /sbin/* | /lib/* | /lib32/* | /lib64/* | /boot/* | /dev/* | /proc/* | /sys/* | /etc/* | /var/lib/ramet/*) why=1 ;;
  / | /home/ | /media/ | /mnt/ | /opt/ | /root/ | /root/.ssh/* | /run/ | /srv/ | /tmp/ | /usr/ | /var/) why=1 ;;
  /usr/bin/* | /usr/sbin/* | /usr/lib/* | /usr/lib64/* | /usr/local/ | /usr/local/lib/ | /usr/share/) why=1 ;;
  /var/cache/ | /var/lib/ | /var/lib/dpkg/* | /var/log/ | /var/tmp/ | /var/run/) why=1 ;;
  esac
  while IFS=: read -r _ _ number _ _ home _; do
    # accounts of services may have homes like /var/www
    case ${number:-0}:$home in
    *:/home/*) ;;
    ?:* | ??:* | ???:* | 65534:*) continue ;;
    esac
    case $1/ in
    "$home/" | "$home/.ssh/"*) why=1 ;;
    esac
  done </etc/passwd
  [ -z "$why" ] || { say "'${1:-/}' belongs to the guest itself: no share may cover it"; return 1; }
}

# A folder made inside a user's folder is that user's, like everything around it.
make_folder() {
  parent=$1
  made=''
  while [ ! -d "$parent" ]; do
    made=$parent
    parent=${parent%/*}
    parent=${parent:-/}
  done
  [ -n "$made" ] || return 0
  owner=$(stat -c %u:%g "$parent") && mkdir -p "$1" || return 1
  # nothing else can be in it yet
  [ "$owner" = 0:0 ] || chown -R "$owner" "$made"
}

is_empty() (
  cd "$1" || exit 1
  set +f
  for entry in * .[!.]* ..?*; do
    [ ! -e "$entry" ] && [ ! -L "$entry" ] || exit 1
  done
)

attach_lower() {
  has_filesystem 9p && has_filesystem overlay || {
    modprobe -a 9pnet_virtio 9p overlay 2>/dev/null || :
    for type in 9p overlay; do
      has_filesystem $type || {
        read -r _ _ kernel _ </proc/version
        say "cannot attach '$1': the kernel $kernel has no $type; install a full one (Debian: linux-image-amd64, not the cloud kind)"
        return 1
      }
    done
  }
  [ -d "$store/$1/lower" ] && [ -d "$store/$1/work" ] || mkdir -p "$store/$1/lower" "$store/$1/work"
  text=$(mount -t 9p -o trans=virtio,version=9p2000.L,ro,msize=262144 "$1" "$store/$1/lower" 2>&1) || {
    set +f
    for file in /sys/bus/virtio/drivers/9pnet_virtio/virtio*/mount_tag; do
      tag=
      [ ! -r "$file" ] || read -r tag <"$file" || :
      [ "$tag" != "$1" ] || break
    done
    set -f
    if [ "$tag" = "$1" ]; then
      say "cannot attach '$1': $text"
    else
      say "cannot attach '$1': this VM has no 9p device of that name"
    fi
    return 1
  }
}

# attach_one TAG FOLDER
attach_one() {
  ! is_mounted overlay "$1" || return 0
  allowed "$2" || return 1
  if [ -L "$2" ] || { [ -e "$2" ] && [ ! -d "$2" ]; }; then
    say "cannot attach '$1': '$2' is there and is no folder"
    return 1
  fi
  if [ -d "$2" ] && ! is_empty "$2"; then
    say "cannot attach '$1': '$2' is there and not empty"
    return 1
  fi
  is_mounted lower "$1" || attach_lower "$1" || return 1
  base=$store/$1
  if [ ! -d "$base/upper" ]; then
    # the merged root shows the attributes of the upper one
    owner=$(stat -c '%u:%g %a' "$base/lower") && mkdir -m "${owner#* }" "$base/upper" || return 1
    owner=${owner% *}
    [ "$owner" = 0:0 ] || chown "$owner" "$base/upper" || return 1
  fi
  make_folder "$2" || return 1
  # the tree below changes while it is mounted, which none of these can bear
  options=lowerdir=$base/lower,upperdir=$base/upper,workdir=$base/work
  text=$(mount -t overlay -o "$options,index=off,metacopy=off,redirect_dir=off,xino=off" "ramet-$1" "$2" 2>&1) ||
    # older kernels know fewer of them
    text=$(mount -t overlay -o "$options" "ramet-$1" "$2" 2>&1) || {
    say "cannot attach '$1' at '$2': $text"
    umount "$base/lower" 2>/dev/null || :
    return 1
  }
}

# The session that a process belongs to.
session_of() {
  line=
  read -r line 2>/dev/null <"/proc/$1/stat" || return 0
  # shellcheck disable=SC2086
  set -- ${line##*) }
  echo "${4-}"
}

# Where no cgroup tells the service: a process in the session of a daemon whose pid file is named like its init script.
init_script_of() {
  session=$(session_of "$1")
  set +f
  for file in /run/*.pid /run/*/*.pid; do
    name=${file##*/} name=${name%.pid} pid=
    [ -x "/etc/init.d/$name" ] && read -r pid 2>/dev/null <"$file" || [ -n "$pid" ] || continue
    case $pid in
    *[!0-9]*) ;;
    *) [ -z "$session" ] || [ "$(session_of "$pid")" != "$session" ] || { echo "$name"; return; } ;;
    esac
  done
  echo -
}

service_of() (
  service=-
  [ -d /run/systemd/system ] || { init_script_of "$1"; exit; }
  while IFS=: read -r _ kind path; do
    case $kind:$path in
    :*.service | name=systemd:*.service | :*.service/* | name=systemd:*.service/*) ;;
    *) continue ;;
    esac
    # the innermost one: a user's services lie inside user@UID.service, as does what belongs to none
    unit=${path%.service*}.service unit=${unit##*/}
    case $path in
    */user@*.service/*) uid=${path#*/user@} uid=${uid%%.service/*}/ where=/run/user/$uid ;;
    *) uid='' where=/run/ ;;
    esac
    # what systemd-run has made is gone once it is stopped, so it cannot be started again
    case $unit in
    user@*.service) ;;
    *) [ -e "${where}systemd/transient/$unit" ] || service=$uid$unit ;;
    esac
  done 2>/dev/null <"/proc/$1/cgroup" || :
  echo "$service"
)

# Who has a file open, mapped, or as its working folder beneath a folder.
holders() (
  where=$(cd -P "$1" 2>/dev/null && pwd) || exit 0
  set +f
  pids=' '
  pid=
  list=$(ls -l /proc/[0-9]*/cwd /proc/[0-9]*/root /proc/[0-9]*/exe /proc/[0-9]*/fd/ 2>/dev/null || :)
  maps=$(grep -lF -- " $where/" /proc/[0-9]*/maps 2>/dev/null || :)
  while IFS= read -r line; do
    case $line in
    /proc/*:) pid=${line#/proc/} pid=${pid%%/*} ;;
    *" -> $where" | *" -> $where/"*)
      case $line in
      *" /proc/"*" -> "*) found=${line#*" /proc/"} found=${found%%/*} ;;
      *) found=$pid ;;
      esac
      case $pids in
      *" $found "*) ;;
      *) pids="$pids$found " ;;
      esac
      ;;
    /proc/*/maps)
      found=${line#/proc/} found=${found%/maps}
      case $pids in
      *" $found "*) ;;
      *) pids="$pids$found " ;;
      esac
      ;;
    esac
  done <<HERE
$list
$maps
HERE
  for pid in $pids; do
    command=
    read -r command 2>/dev/null </proc/"$pid"/comm || continue
    printf '%s\t%s\t%s\n' "$pid" "$(service_of "$pid")" "$command"
  done
)

# detach_one TAG FOLDER
detach_one() {
  if is_mounted overlay "$1"; then
    text=$(umount "$2" 2>&1) || {
      list=$(holders "$2")
      if [ -n "$list" ]; then
        say "cannot detach '$1': '$2' is in use"
        printf '%s\n' "$list"
        return 4
      fi
      # its last user may have just gone
      sleep 0.2 2>/dev/null || sleep 1
      text=$(umount "$2" 2>&1) || { say "cannot detach '$1': $text"; return 4; }
    }
  fi
  if is_mounted lower "$1"; then
    text=$(umount "$store/$1/lower" 2>&1) || { say "cannot detach '$1': $text"; holders "$store/$1/lower"; return 4; }
  fi
}

# each FUNCTION TAG...: for these shares, or all; detaching goes backwards, for one may lie in another
each() {
  action=$1
  shift
  status=0 done=' ' lines=''
  while IFS= read -r line || [ -n "$line" ]; do
    case $action in
    detach_one) lines="$line$nl$lines" ;;
    *) lines="$lines$line$nl" ;;
    esac
  done <$config
  while IFS=$tab read -r tag folder; do
    case $tag in
    '' | '#'*) continue ;;
    *[!a-zA-Z0-9._-]* | .*) say "'$tag' in $config is not the name of a share"; status=1; continue ;;
    esac
    case " $* " in
    '  ' | *" $tag "*) ;;
    *) continue ;;
    esac
    done="$done$tag "
    "$action" "$tag" "$folder" </dev/null || { one=$?; [ $status = 4 ] || status=$one; }
  done <<HERE
$lines
HERE
  for tag; do
    case $done in
    *" $tag "*) ;;
    *) say "no share is named '$tag'"; [ $status != 0 ] || status=3 ;;
    esac
  done
  return $status
}

list_one() {
  state=detached
  ! is_mounted lower "$1" || state=lower
  ! is_mounted overlay "$1" || state=attached
  printf '%s\t%s\t%s\n' "$1" "$state" "$2"
}

upper_one() {
  [ ! -d "$store/$1/upper" ] || { cd "$store/$1/upper" && find . ! -name . -print0; }
}

# The patience is for what may take long: it counts from the first of that.
begin_patience() {
  [ -n "$ends" ] || ends=$(($(date +%s) + patience))
}

# The seconds that are left of the patience.
left() {
  now=$(date +%s)
  if [ "$now" -lt $((ends - 1)) ]; then echo $((ends - now)); else echo 1; fi
}

# control OWNER ARGUMENT...: systemctl of the system or, if OWNER is a number, of that user's own manager
control() {
  uid=$1
  shift
  if [ -z "$uid" ]; then
    timeout "$(left)" systemctl "$@"
  else
    timeout "$(left)" setpriv --reuid "$uid" --regid "$(stat -c %g "/run/user/$uid")" --clear-groups \
      env XDG_RUNTIME_DIR="/run/user/$uid" systemctl --user "$@"
  fi </dev/null
}

# service VERB SERVICE
service() {
  case $2 in
  */*) control "${2%%/*}" $hurry "$1" -- "${2#*/}" ;;
  *)
    if [ -d /run/systemd/system ]; then
      control '' $hurry "$1" -- "$2"
    elif command -v rc-service >/dev/null; then
      timeout "$(left)" rc-service "$2" "$1"
    else
      timeout "$(left)" "/etc/init.d/$2" "$1"
    fi
    ;;
  esac </dev/null 8>&-
}

# with_others SERVICE: it, behind what would start it again, before what stops together with it, as far as that is active
with_others() {
  [ -d /run/systemd/system ] || { echo "$1"; return; }
  case $1 in
  */*) owner=${1%%/*} prefix=$owner/ ;;
  *) owner='' prefix='' ;;
  esac
  before='' after='' todo=${1#"$prefix"} seen=' '
  while [ -n "$todo" ]; do
    # shellcheck disable=SC2086
    units=$(control "$owner" show --property=RequiredBy,BoundBy,ConsistsOf,TriggeredBy --value -- $todo) || return 1
    todo=''
    for unit in $units; do
      case "$seen $unit" in
      *" $unit "*) continue ;;
      *.service | *.socket | *.timer | *.path) ;;
      *) continue ;;
      esac
      seen="$seen$unit "
      control "$owner" is-active --quiet -- "$unit" || continue
      todo="$todo $unit"
      case $unit in
      *.service) after="$after $unit" ;;
      *) before="$before $unit" ;;
      esac
    done
  done
  for unit in $before "${1#"$prefix"}" $after; do echo "$prefix$unit"; done
}

# Is line $1 in the record?
is_recorded() {
  while IFS= read -r line; do
    [ "$line" != "$1" ] || return 0
  done <$record
  return 1
}

# stop_service SERVICE: written down first, so that nothing that was stopped is ever forgotten
stop_service() {
  # the agent that ramet speaks to cannot stop itself
  case $1 in
  qemu-guest-agent* | qemu-ga*) return 1 ;;
  esac
  all=$(with_others "$1") || return 1
  while read -r one; do
    is_recorded "service$tab$one" || printf 'service\t%s\n' "$one" >>$record
  done <<HERE
$all
HERE
  while read -r one; do
    service stop "$one" >&2 || return 1
    printf 'stopped\t%s\n' "$one"
  done <<HERE
$all
HERE
}

# A shell at a terminal minds SIGHUP only; what minds neither is ended after a while.
end_process() {
  [ "$1" -gt 1 ] || return 1
  kill "$1" 2>/dev/null && kill -HUP "$1" 2>/dev/null || return 0
  for _ in 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15; do
    sleep 0.2 2>/dev/null || sleep 1
    kill -0 "$1" 2>/dev/null || return 0
  done
  kill -KILL "$1" 2>/dev/null || return 0
  sleep 0.2 2>/dev/null || sleep 1
}

# end_users HOLDERS: as far as that is wanted for all of them
end_users() {
  begin_patience
  while IFS=$tab read -r pid service command; do
    case $service in
    -) [ -n "$kill_users" ] || return 1 ;;
    *) [ -n "$stop_users" ] || return 1 ;;
    esac
  done <<HERE
$1
HERE
  ended=' '
  while IFS=$tab read -r pid service command; do
    case "$ended" in
    *" $service "*) continue ;;
    esac
    if [ "$service" = - ]; then
      end_process "$pid" || { say "cannot end process $pid ($command)"; return 1; }
      printf 'killed\t%s\t%s\n' "$pid" "$command"
    else
      stop_service "$service" || { say "cannot stop $service"; return 1; }
      ended="$ended$service "
    fi
  done <<HERE
$1
HERE
}

release_tag() {
  ! is_mounted overlay "$1" && ! is_mounted lower "$1" || is_recorded "tag$tab$1" || printf 'tag\t%s\n' "$1" >>$record
}

# Whether a release has begun, even if it has not come to its lock: whoever wanted it may be gone since.
releasing() (
  set +f
  for file in /proc/[0-9]*/cmdline; do
    # the shell leaves out the NULs between the words
    words=
    read -r words 2>/dev/null <"$file" || :
    case $words in
    *"$0release"*) exit 0 ;;
    esac
  done
  exit 1
)

# One after the other.
lock() {
  if command -v flock >/dev/null; then
    exec 8>/run/ramet-share.lock
    flock 8
  fi
}

# All that holds a share is shown, which has to be found before anything is stopped.
release() {
  umask 077
  : >>$record
  umask 022
  each release_tag
  [ -s $record ] || return 0
  for turn in 1 2 3 4; do
    held=$(each detach_one 2>&7) && return 0
    [ -n "$held" ] && [ $turn != 4 ] && end_users "$held" || break
  done
  # what took all the time to stop may take as long to start; to ask for it takes a guest on a busy host its time as well
  hurry=--no-block patience=30 ends=''
  restore >/dev/null || :
  [ -z "$held" ] || printf '%s\n' "$held"
  return 4
}

# Nothing is started before all is mounted: what a service writes to an empty folder keeps the share from it for good.
restore() {
  [ -s $record ] || return 0
  tags='' kept=''
  while IFS=$tab read -r kind name; do
    [ "$kind" != tag ] || tags="$tags $name"
  done <$record
  # what is no share any more keeps nobody waiting
  # shellcheck disable=SC2086
  [ -z "$tags" ] || each attach_one $tags || [ $? = 3 ] || return 1
  while IFS=$tab read -r kind name; do
    [ "$kind" = service ] || continue
    begin_patience
    if service start "$name" >&2; then
      printf 'started\t%s\n' "$name"
    else
      say "cannot start $name"
      kept="$kept$kind$tab$name$nl"
    fi
  done <$record
  printf %s "$kept" >$record
  [ -z "$kept" ]
}

command=${1-}
[ $# = 0 ] || shift
stop_users='' kill_users='' hurry='' patience=60 ends=''
while [ "$command" = release ] && [ $# != 0 ]; do
  case $1 in
  --stop-users) stop_users=1 ;;
  --kill-users) kill_users=1 ;;
  --patience=*[!0-9]* | --patience=) break ;;
  --patience=*) patience=${1#*=} ;;
  *) break ;;
  esac
  shift
done
# the caller's working folder may lie in a share
cd /
[ -r $config ] || : >$config
case $command:$# in
attach:* | detach:* | list:0) each "${command}_one" "$@" ;;
upper:1) each upper_one "$1" ;;
release:0) lock; exec 7>&2; release ;;
restore:0)
  while releasing; do sleep 0.2 2>/dev/null || sleep 1; done
  lock
  restore
  ;;
*) echo 'usage: share attach [TAG...] | detach [TAG...] | list | upper TAG | release [OPTION...] | restore' >&2; exit 2 ;;
esac
END
[ -x /usr/local/lib/ramet/share ] || chmod 755 /usr/local/lib/ramet/share

# The order given is kept: it is also the order of mounting.
if [ -n "$RAMET_SHARES" ]; then
  while IFS=$tab read -r tag folder; do
    case $tag in
    '') continue ;;
    *[!a-zA-Z0-9._-]* | .*) echo "'$tag' is not the name of a share" >&2; exit 1 ;;
    esac
    [ -n "$folder" ] || { echo "the share '$tag' has no folder" >&2; exit 1; }
  done <<END
$RAMET_SHARES
END
fi
printf %s "$RAMET_SHARES${RAMET_SHARES:+$nl}" >/etc/ramet/shares

# The tree's owner outside is the same user here, but the guest's root is not: git would find the ownership dubious.
have=$nl
if [ -f /etc/gitconfig ]; then
  while IFS= read -r line || [ -n "$line" ]; do have="$have$line$nl"; done </etc/gitconfig
fi
add=''
while IFS=$tab read -r tag folder; do
  rest=$folder quoted=''
  while :; do
    case $rest in
    *[\\\"]*)
      part=${rest%%[\\\"]*}
      rest=${rest#"$part"}
      quoted="$quoted$part\\${rest%"${rest#?}"}"
      rest=${rest#?}
      ;;
    *) quoted=$quoted$rest; break ;;
    esac
  done
  [ -n "$quoted" ] || continue
  for value in "$quoted" "$quoted/*"; do
    line="${tab}directory = \"$value\""
    case $have in
    *"$nl$line$nl"*) ;;
    *) add="$add$line$nl" ;;
    esac
  done
done </etc/ramet/shares
[ -z "$add" ] || printf '[safe]\n%s' "$add" >>/etc/gitconfig

# at each boot
if [ -d /run/systemd/system ]; then
  unit=/etc/systemd/system/ramet-shares.service
  wants=/etc/systemd/system/multi-user.target.wants
  [ -d $wants ] || mkdir -p $wants
  # logins wait for remote filesystems, among which these count
  [ -f $unit ] || echo '[Unit]
Description=Folders shared from the host
ConditionFileNotEmpty=/etc/ramet/shares
RequiresMountsFor=/var/lib/ramet /usr/local
After=local-fs.target systemd-modules-load.service
Before=remote-fs.target

[Service]
Type=oneshot
RemainAfterExit=yes
ExecStart=/usr/local/lib/ramet/share attach

[Install]
WantedBy=multi-user.target' >$unit
  [ -L $wants/ramet-shares.service ] || ln -sf $unit $wants/
elif [ -d /etc/runlevels ]; then
  if [ ! -f /etc/init.d/ramet-shares ]; then
    cat >/etc/init.d/ramet-shares <<'END'
#!/sbin/openrc-run
description="Folders shared from the host"

depend() {
  need localmount
  after modules
  before sshd
}

start() {
  ebegin "Attaching shared folders"
  /usr/local/lib/ramet/share attach
  eend $?
}

stop() {
  ebegin "Detaching shared folders"
  /usr/local/lib/ramet/share detach >/dev/null
  eend $?
}
END
    chmod 755 /etc/init.d/ramet-shares
  fi
  [ -L /etc/runlevels/default/ramet-shares ] || ln -s /etc/init.d/ramet-shares /etc/runlevels/default/ramet-shares
elif [ -d /etc/init.d ]; then
  if [ ! -f /etc/init.d/ramet-shares ]; then
    cat >/etc/init.d/ramet-shares <<'END'
#!/bin/sh
# chkconfig: 2345 15 85
### BEGIN INIT INFO
# Provides:          ramet-shares
# Required-Start:    $local_fs
# Required-Stop:     $local_fs
# X-Start-Before:    ssh sshd
# Default-Start:     2 3 4 5
# Default-Stop:      0 1 6
# Short-Description: Folders shared from the host
### END INIT INFO

case $1 in
start | restart | force-reload) exec /usr/local/lib/ramet/share attach ;;
stop) /usr/local/lib/ramet/share detach >/dev/null ;;
status) exec /usr/local/lib/ramet/share list ;;
*) echo "usage: $0 start|stop|status" >&2; exit 2 ;;
esac
END
    chmod 755 /etc/init.d/ramet-shares
  fi
  if command -v update-rc.d >/dev/null; then
    update-rc.d ramet-shares defaults
  elif command -v chkconfig >/dev/null; then
    chkconfig --add ramet-shares
  else
    for level in 2 3 4 5; do
      [ ! -d /etc/rc$level.d ] || ln -sf ../init.d/ramet-shares /etc/rc$level.d/S15ramet-shares
    done
  fi
fi

# read in, not started
set -- attach
. /usr/local/lib/ramet/share

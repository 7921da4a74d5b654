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
#
# Status: 0 done, 1 failed, 2 wrong usage, 3 no such share, 4 held by processes.
# /etc/ramet/shares has a line TAG<TAB>FOLDER for each share.
set -euf
PATH=${PATH:-/bin}:/usr/sbin:/usr/bin:/sbin:/bin
umask 022
config=/etc/ramet/shares
store=/var/lib/ramet/shares
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
  has_filesystem 9p && has_filesystem overlay || modprobe -a 9pnet_virtio 9p overlay 2>/dev/null || :
  for type in 9p overlay; do
    has_filesystem $type || {
      read -r _ _ kernel _ </proc/version
      say "cannot attach '$1': the kernel $kernel has no $type; install a full one (Debian: linux-image-amd64, not the cloud kind)"
      return 1
    }
  done
  mkdir -p "$store/$1/lower" "$store/$1/work"
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
    service=-
    while IFS=: read -r _ kind path; do
      case $kind:$path in
      :*.service | name=systemd:*.service | :*.service/* | name=systemd:*.service/*)
        # the innermost one: a user's services lie inside user@UID.service
        service=${path%.service*}.service service=${service##*/}
        ;;
      esac
    done 2>/dev/null </proc/"$pid"/cgroup || :
    printf '%s\t%s\t%s\n' "$pid" "$service" "$command"
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
    text=$(umount "$store/$1/lower" 2>&1) || { say "cannot detach '$1': $text"; return 4; }
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
    *) say "no share is named '$tag'"; status=3 ;;
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

command=${1-}
[ $# = 0 ] || shift
# the caller's working folder may lie in a share
cd /
[ -r $config ] || : >$config
case $command:$# in
attach:* | detach:* | list:0) each "${command}_one" "$@" ;;
upper:1) each upper_one "$1" ;;
*) echo 'usage: share attach [TAG...] | detach [TAG...] | list | upper TAG' >&2; exit 2 ;;
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

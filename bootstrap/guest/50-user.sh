# Ensures a user like the one outside
# SPDX-License-Identifier: LGPL-2.1-or-later
set -eu
PATH=${PATH:-/bin}:/usr/sbin:/usr/bin:/sbin:/bin
nl='
'

user=$RAMET_USER uid=$RAMET_UID gid=$RAMET_GID
case $user in
'') exit 0 ;;
-* | *[!a-zA-Z0-9._@+-]*) echo "'$user' is not a user name" >&2; exit 1 ;;
esac
case $uid$gid in
*[!0-9]*) echo "'$uid' or '$gid' is not a number" >&2; exit 1 ;;
esac
# without numbers, a user that is here keeps its own, and another gets the first that is free
if [ -z "$uid" ]; then
  uid=1000 gid='' taken=' ' found=''
  while IFS=: read -r name _ number group _ || [ -n "$name" ]; do
    taken="$taken$number "
    [ "$name" != "$user" ] || found=$number:$group
  done </etc/passwd
  while [ -z "$found" ] && [ "${taken#*" $uid "}" != "$taken" ]; do uid=$((uid + 1)); done
  [ -z "$found" ] || uid=${found%:*} gid=${found#*:}
fi
case $user:$uid in
root:0) ;;
root:* | *:0) echo "the user '$user' cannot have the uid $uid" >&2; exit 1 ;;
esac
: "${gid:=$uid}"

# useradd takes 0.3 s on an emulated CPU and each distribution's has ideas of its own
home='' shell='' passwd='' changed='' old_uid='' old_gid=''
while IFS=: read -r name word number group gecos dir program || [ -n "$name" ]; do
  [ -n "$name" ] || continue
  if [ "$name" = "$user" ]; then
    home=$dir shell=$program old_uid=$number old_gid=$group
    if [ "$number:$group" != "$uid:$gid" ] && [ "$uid" != 0 ]; then
      number=$uid group=$gid changed=1
    fi
  elif [ "$number" = "$uid" ] && [ "$uid" != 0 ]; then
    echo "the uid $uid of '$user' belongs to '$name' in this base" >&2
    exit 1
  fi
  passwd="$passwd$name:$word:$number:$group:$gecos:$dir:$program$nl"
done </etc/passwd

if [ -z "$home" ]; then
  home=/home/$user shell=/bin/sh changed=1
  for program in /bin/bash /usr/bin/bash /bin/ash; do
    [ ! -x $program ] || { shell=$program; break; }
  done
  gecos=${RAMET_USER_GECOS-}
  case $gecos in
  *[:"$nl"]*) gecos= ;;
  esac
  passwd="$passwd$user:x:$uid:$gid:$gecos:$home:$shell$nl"
fi

if [ "$uid" != 0 ]; then
  group='' taken=''
  while IFS=: read -r name _ number _; do
    [ "$number" != "$gid" ] || group=$name
    [ "$name" != "$user" ] || taken=1
  done </etc/group
  if [ -z "$group" ]; then
    group=$user${taken:+-$gid}
    echo "$group:x:$gid:" >>/etc/group
    [ ! -f /etc/gshadow ] || echo "$group:!::" >>/etc/gshadow
  fi
fi
[ -z "$changed" ] || printf %s "$passwd" >/etc/passwd

# '!' would lock the account for keys too where sshd runs without PAM; '*' only bars passwords. A real one is kept.
if [ -f /etc/shadow ]; then
  shadow='' found='' changed=''
  while IFS= read -r line || [ -n "$line" ]; do
    case $line in
    "$user:"*)
      found=1
      case $line in
      "$user:!"* | "$user::"*) rest=${line#*:} rest=${rest#*:} line="$user:*:$rest" changed=1 ;;
      esac
      ;;
    esac
    shadow="$shadow$line$nl"
  done </etc/shadow
  [ -n "$found" ] || { shadow="$shadow$user:*::0:99999:7:::$nl" changed=1; }
  [ -z "$changed" ] || printf %s "$shadow" >/etc/shadow
fi

# rootless containers
for file in /etc/subuid /etc/subgid; do
  { [ -f $file ] && [ "$uid" != 0 ]; } || continue
  next=100000 found=
  while IFS=: read -r name first count; do
    [ "$name" != "$user" ] || found=1
    [ $((first + count)) -le $next ] || next=$((first + count))
  done <$file
  [ -n "$found" ] || echo "$user:$next:65536" >>$file
done

owned=''
if [ "$uid" != 0 ]; then
  if [ ! -d "$home" ]; then
    [ -d "${home%/*}" ] || mkdir -p "${home%/*}"
    mkdir -m 700 "$home" "$home/.ssh"
    [ ! -d /etc/skel ] || cp -R /etc/skel/. "$home"
    owned=$home
  elif [ -n "$old_uid" ] && [ "$old_uid:$old_gid" != "$uid:$gid" ]; then
    owned=$home
  fi
  # by number: a name may hold characters that sudo takes for grammar
  [ -d /etc/sudoers.d ] || mkdir -m 750 /etc/sudoers.d
  umask 0337
  echo "#$uid ALL=(ALL:ALL) NOPASSWD: ALL" >/etc/sudoers.d/ramet
fi

if [ -n "${RAMET_SSH_KEYS-}" ]; then
  file=$home/.ssh/authorized_keys
  have=$nl
  if [ -f "$file" ]; then
    while IFS= read -r line || [ -n "$line" ]; do have="$have$line$nl"; done <"$file"
  fi
  new=''
  while IFS= read -r line; do
    case $line in
    '' | '#'*) continue ;;
    esac
    case $have in
    *"$nl$line$nl"*) ;;
    *) have="$have$line$nl" new=1 ;;
    esac
  done <<END
$RAMET_SSH_KEYS
END
  if [ -n "$new" ]; then
    umask 0077
    [ -d "$home/.ssh" ] || mkdir "$home/.ssh"
    [ ! -f "$file" ] || chmod 600 "$file"
    printf %s "${have#"$nl"}" >"$file"
    [ -n "$owned" ] || owned=$home/.ssh
  fi
fi
[ -z "$owned" ] || [ "$uid" = 0 ] || chown -R "$uid:$gid" "$owned"

# sshd may read the keys only under their right SELinux label
[ ! -e /sys/fs/selinux/enforce ] || restorecon -RF "$home" /etc/sudoers.d /etc/passwd /etc/shadow /etc/group 2>/dev/null || :

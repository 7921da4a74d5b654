# Forgets the names and files of the share $1 at $2 that the kernel remembers, and prints what it sees at some paths then
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# $3: "remount" to detach and attach the shares, with what `share release` takes behind it; else "drop". Input: "./PATH" NUL
# for each path. Output: "MODE SIZE MTIME ./PATH" NUL for each that is there. Status 4: as in drop.sh.
set -euf
PATH=${PATH:-/bin}:/usr/sbin:/usr/bin:/sbin:/bin
LC_ALL=C
export LC_ALL
helper=/usr/local/lib/ramet/share
folder=$2 how=$3
shift 3
trap '' HUP INT TERM PIPE
paths=$(mktemp)
cat >"$paths"
cd /
status=0
if [ "$how" = remount ]; then
  # whom it stopped is not for the list
  said=$("$helper" release "$@") || status=$?
  [ $status = 0 ] || printf '%s\n' "$said"
  [ $status != 0 ] || "$helper" restore >&2 || status=1
fi
if [ $status = 0 ]; then
  echo 2 >/proc/sys/vm/drop_caches
  if cd "$folder"; then
    xargs -0 -r stat --printf '%f %s %.9Y %n\0' -- <"$paths" 2>/dev/null || :
  else
    status=1
  fi
fi
rm -f "$paths"
exit $status

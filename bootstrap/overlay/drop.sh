# Drops from the overlay of the share $1 what is listed, with the shares detached meanwhile
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# $2: "all", or how many paths the overlay has to have: with more or less, or others than those listed, nothing is dropped and
# the status is 5. Then: what `share release` takes. Input: "INODE CTIME ./PATH" NUL for each path that is no folder, then
# "./PATH" NUL for each folder, the deepest first, that goes if it is empty; "=" NUL ends it. Output: "dropped NUMBER".
# Status 4: the shares are held, by whom is printed as `share release` does, and nothing is dropped.
set -euf
PATH=${PATH:-/bin}:/usr/sbin:/usr/bin:/sbin:/bin
LC_ALL=C
export LC_ALL
helper=/usr/local/lib/ramet/share
tag=$1 what=$2
shift 2
upper=/var/lib/ramet/shares/$tag/upper
work=$(mktemp -d)
released=
# whatever becomes of who asked, and of what is done here, the shares come back
trap '' HUP INT TERM PIPE
trap 'cd /; [ -z "$released" ] || "$helper" restore || :; rm -rf "$work"' EXIT
cat >"$work/input"
cd "$work"
status=0
if [ "$(tail -c 2 input | tr -d '\0')" != = ]; then
  echo 'the list is not whole' >&2
  status=1
else
  # the two lists are told apart by what they begin with
  grep -z '^[0-9]' <input | sort -z >wanted || :
  grep -z '^[.]/' <input >folders || :
  cut -z -d ' ' -f 3- <wanted >paths
  rm input
  "$helper" release "$@" && released=1 || status=$?
fi
if [ $status = 0 ]; then
  cd "$upper"
  found=$(find . -mindepth 1 -printf x | wc -c)
  if [ "$what" = all ]; then
    echo "$found" >"$work/number"
    find . -mindepth 1 -delete || status=1
  else
    xargs -0 -r stat --printf '%i %.9Z %n\0' -- <"$work/paths" 2>/dev/null | sort -z >"$work/found" || :
    if [ "$found" = "$what" ] && cmp -s "$work/wanted" "$work/found"; then
      tr -cd '\0' <"$work/paths" | wc -c >"$work/number"
      xargs -0 -r rm -f -- <"$work/paths" || status=1
      xargs -0 -r rmdir --ignore-fail-on-non-empty -- <"$work/folders" 2>/dev/null || :
    else
      echo 0 >"$work/number"
      status=5
    fi
  fi
  cd "$work"
  released=
  "$helper" restore || status=1
  printf 'dropped %s\n' "$(cat number)"
fi
exit $status

# Prints the contents of paths that a guest changed above the share $1
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# Input: paths, each ended by a NUL. Output: a tar archive, filled up with zeros, then "INODE CTIME ./PATH" NUL for each path:
# who compares that with the list knows whether anything was changed meanwhile. An empty record ends it.
set -euf
PATH=${PATH:-/bin}:/usr/sbin:/usr/bin:/sbin:/bin
LC_ALL=C
export LC_ALL
cd "/var/lib/ramet/shares/$1/upper"
paths=$(mktemp)
trap 'rm -f "$paths"' EXIT
cat >"$paths"
# what is gone or changed meanwhile is seen by the list behind it
tar --null --verbatim-files-from --no-recursion --hard-dereference --ignore-failed-read --files-from="$paths" \
  --format=posix --pax-option=delete=atime,delete=ctime,delete=mtime -cf - 2>/dev/null || :
xargs -0 stat --printf '%i %.9Z %n\0' -- <"$paths" 2>/dev/null || :
printf '\0'

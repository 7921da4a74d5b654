# Prints what a guest changed above the share $1
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# Output: "ramet-overlay 1 NOW MOUNTED" NUL, then "MODE SIZE BIRTH MTIME CTIME INODE DEVICE ./PATH" NUL for each path, then
# an empty record, then a tar archive of the folders, whose extended attributes tell which of them are opaque. Times are
# the guest's, in seconds. Status 3: there is no such share.
set -euf
PATH=${PATH:-/bin}:/usr/sbin:/usr/bin:/sbin:/bin
LC_ALL=C
export LC_ALL
store=/var/lib/ramet/shares/$1
mounted=0
while read -r source _ type _; do
  # the folder is made anew whenever the overlay is mounted
  [ "$source:$type" != "ramet-$1:overlay" ] || mounted=$(stat -c %.9W "$store/work/work" 2>/dev/null) || mounted=0
done </proc/mounts
printf 'ramet-overlay 1 %s %s\0' "$(date +%s.%N)" "$mounted"
if [ ! -d "$store/upper" ]; then
  [ -d "$store" ] || exit 3
  # it was never attached
  printf '\0'
  exec tar --format=posix -cf - --files-from=/dev/null
fi
cd "$store/upper"
find . -mindepth 1 -exec stat --printf '%f %s %.9W %.9Y %.9Z %i %t:%T %n\0' -- {} +
printf '\0'
find . -mindepth 1 -type d -print0 |
  tar --null --verbatim-files-from --no-recursion --files-from=- --format=posix \
    --pax-option=delete=atime,delete=ctime,delete=mtime --xattrs --xattrs-include=trusted.overlay.opaque -cf -

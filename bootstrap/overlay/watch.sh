# Wakes up who watches folders of the share at $2, as the host tells what it changed there
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# Input: lines "folder PATH" and "file PATH", where all but plain characters is written as \0OOO; "go" ends a batch, and is
# answered by "done". Nothing that the host has is copied up but its folders: in them a file is made and removed.
set -euf
PATH=${PATH:-/bin}:/usr/sbin:/usr/bin:/sbin:/bin
cd /
tag=$1 root=$2
batch=
nl='
'

is_mounted() {
  while read -r source _ type _; do
    [ "$source:$type" != "ramet-$tag:overlay" ] || return 0
  done </proc/mounts
  return 1
}

# in a subshell, which may fail; nobody stays in the tree, which has to let itself be detached
wake() (
  path=$(printf '%b.' "$2")
  path=$root/${path%.}
  case $1 in
  file) [ ! -f "$path" ] || [ -L "$path" ] || : <"$path" ;;
  folder)
    # never through a symlink, and never over what is there
    path=${path%/.}
    cd -P -- "$path" && [ "$(pwd -P)" = "$path" ] || exit 0
    set -C
    : >".ramet-sync.$$" && rm -f ".ramet-sync.$$"
    ;;
  esac
) 2>/dev/null

root=$(cd -P -- "$root" && pwd -P)
while read -r kind path; do
  if [ "$kind" != go ]; then
    batch="$batch$kind $path$nl"
    continue
  fi
  # first the names, so that who wakes up finds them
  echo 2 >/proc/sys/vm/drop_caches
  ! is_mounted || while read -r kind path; do
    [ -z "$kind" ] || wake "$kind" "$path" || :
  done <<HERE
$batch
HERE
  batch=
  echo 'done'
done

# Ensures that the root filesystem fills the disk
# SPDX-License-Identifier: LGPL-2.1-or-later
set -eu
PATH=${PATH:-/bin}:/usr/sbin:/usr/bin:/sbin:/bin

# asked for by name, it must not fail quietly
give_up() {
  [ -z "${RAMET_GROW-}" ] || { echo "the root filesystem cannot grow: $1" >&2; exit 1; }
  echo "not grown: $1"
  exit 0
}

source='' numbers=''
while read -r _ _ word _ where rest; do
  [ "$where" = / ] || continue
  rest=${rest#*" - "}
  type=${rest%% *} source=${rest#* } source=${source%% *} numbers=$word
done </proc/self/mountinfo
[ -n "$source" ] || give_up "where / comes from is not known"

# btrfs shows numbers of no device, and /dev/root is a name of no file: either way the other one serves
device=/sys/dev/block/$numbers
[ -d "$device" ] || device=/sys/class/block/${source##*/}
[ -d "$device" ] || { [ -z "${RAMET_GROW-}" ] && exit 0; give_up "'$source' is no disk"; }
cd -P "$device" # the real folder: a partition's parent is its disk
name=${PWD##*/}

if [ -f partition ]; then
  read -r number <partition
  read -r start <start
  read -r sectors <size
  disk=${PWD%/*} disk=${disk##*/}
  read -r total <../size
  # a GPT keeps 33 sectors at the end; less than 2 MiB is not worth a write
  [ $((total - start - sectors)) -ge 4096 ] || exit 0
  for other in ../"$disk"*/start; do
    [ -f "$other" ] || continue
    read -r at <"$other"
    [ "$at" -le "$start" ] || give_up "another partition follows it on /dev/$disk"
  done
  if command -v sfdisk >/dev/null; then
    text=$(echo ', +' | sfdisk --force --no-reread --no-tell-kernel -N "$number" "/dev/$disk" 2>&1) ||
      { printf '%s\n' "$text"; give_up "sfdisk cannot change /dev/$disk"; }
    partx -u --nr "$number" "/dev/$disk" 2>/dev/null || partprobe "/dev/$disk" 2>/dev/null || :
  elif command -v growpart >/dev/null; then
    growpart "/dev/$disk" "$number" || give_up "growpart cannot change /dev/$disk"
  elif command -v parted >/dev/null; then
    printf 'Fix\nYes\n100%%\n' | parted ---pretend-input-tty "/dev/$disk" resizepart "$number" || :
  else
    give_up "neither sfdisk, growpart nor parted is here"
  fi
  before=$sectors
  read -r sectors <size
  [ "$sectors" -gt "$before" ] || give_up "the kernel does not see the new size of /dev/$name"
else
  case $name in
  dm-*) [ -n "${RAMET_GROW-}" ] || exit 0; give_up "it lies on a mapped device (LVM, LUKS)" ;;
  esac
fi

case $type in
ext[234]) set -- resize2fs "/dev/$name" ;;
xfs) set -- xfs_growfs / ;;
btrfs) set -- btrfs filesystem resize max / ;;
*) give_up "a mounted $type does not grow" ;;
esac
text=$("$@" 2>&1) || { printf '%s\n' "$text"; give_up "$1 failed"; }
[ -z "${before-}" ] || echo "grown from $((before / 2048)) to $((sectors / 2048)) MiB"

# shellcheck shell=bash
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# The base that labs share. Its disk is built outside, where there is a way to Debian's packages; that it boots is
# verified by ramet inside a lab. Both results are kept in the cache under a hash of what went into them.

# Print a hash of the contents, paths and modes of the files and folders $2… below $1, those that exist.
base_hash ()
{
  local root=$1
  shift
  (
    cd -- "$root" || exit
    local -a found=()
    local path
    for path in "$@"; do
      [[ ! -e $path ]] || found+=("$path")
    done
    ((${#found[@]} > 0)) || found=(/dev/null)
    find "${found[@]}" -type f ! -name '*.md' -print0 | LC_ALL=C sort -z | xargs -0 -r stat -c '%n %a' --
    find "${found[@]}" -type f ! -name '*.md' -print0 | LC_ALL=C sort -z | xargs -0 -r sha256sum --
  ) | sha256sum | cut -c 1-16
}

# Print the path of the cached disk image for checkout $1 and cache $2, with the init $3 (systemd if there is none).
base_image_path ()
{
  local name=debian-12
  [[ ${3:-systemd} == systemd ]] || name=$3
  printf '%s/%s-%s.qcow2\n' "$2" "$name" "$(base_hash "$1" bootstrap/base)"
}

# Print the path, without suffix, of what ramet made of that image: .xml and .qcow2.
base_domain_path ()
{
  local -a sources=()
  mapfile -t sources < <(cd -- "$1" && find src \( -path '*/base*' -o -name '*-base.[ch]' \) -name '*.[ch]' | LC_ALL=C sort)
  printf '%s/debian-12-%s-verified\n' "$2" "$(base_hash "$1" bootstrap/base templates "${sources[@]}")"
}

# Build the image for checkout $1 with init $3 (systemd if there is none) into cache $2 unless it is there. Two that want it at
# once wait for each other.
base_image_build ()
(
  init=${3:-systemd}
  mkdir -p -- "$2"
  image=$(base_image_path "$1" "$2" "$init")
  exec {fd}>"$2/lock-$init"
  flock "$fd"
  if [[ -s $image ]]; then
    exit 0
  fi
  echo "building the disk of a base with $init ($image)"
  # no descriptor for what it starts: a daemon left behind would hold the lock
  "$1/bootstrap/base/build-debian" --init "$init" "$image.part" {fd}>&- || { rm -f -- "$image.part"; exit 1; }
  mv -- "$image.part" "$image"
  base_remove_unused "$2" "$image"
)

# Keep $2 and the four newest other disks of its kind in cache $1: every change to the base's recipe leaves an image of 700 MB.
base_remove_unused ()
{
  local old kind=${2##*/}
  find "$1" -maxdepth 1 -name "${kind%-*}-*.qcow2" ! -path "$2" -printf '%T@ %p\n' | sort -rn | tail -n +5 \
    | while read -r _ old; do
        rm -f -- "$old" "${old%.qcow2}.xml"
      done
}

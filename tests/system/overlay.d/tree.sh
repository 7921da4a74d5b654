# shellcheck shell=bash disable=SC2154,SC2034
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# For the tests of what a guest writes above a shared folder: the folder, a git repository, and a guest 'web' that has it.
app=/home/projects/app
copy=$t_dir/copy

in_guest ()
{
  ramet ssh web -- "cd $app && { $1
}"
}

# Print the working tree of $1 as git would store it.
tree_of ()
{
  (cd "$1" && GIT_INDEX_FILE=$t_dir/index git --work-tree="$1" add -A . && GIT_INDEX_FILE=$t_dir/index git write-tree)
}

# Begin anew: the tree as committed, and nothing in the overlay.
reset_all ()
{
  must ramet discard -q --yes --kill-users web
  git -C "$app" reset -q --hard
  git -C "$app" clean -q -d -f -x
  check ramet diff web
  assert_eq "" "$out" "the diff after all was discarded"
}

mkdir -p "$app/src/deep" "$app/gone" "$app/whole"
(
  cd "$app" || exit
  git init -q
  git config user.name dev
  git config user.email dev@example.org
  for file in one two three; do printf '%s\nsecond line\n' "$file" >"src/$file.txt"; done
  seq 1000 >src/deep/numbers
  head -c 70000 /dev/urandom >src/blob
  printf '#!/bin/sh\necho run\n' >src/run.sh
  chmod +x src/run.sh
  ln -s one.txt src/link
  for file in a b c; do echo "$file" >"gone/$file"; echo "$file" >"whole/$file"; done
  printf 'caf\xe9\n' >"src/$(printf 'caf\xe9')"
  git add -A
  git commit -q -m first
)
if ! virsh -c qemu:///system dominfo web >/dev/null 2>&1; then
  lab_template
  must ramet clone --template --cpus 1 -d "$app" debian-12 web
  linger web
fi

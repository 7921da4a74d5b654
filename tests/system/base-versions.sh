#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# Versions of a base: a newer one is made beside it, and old ones go when nobody needs them.
source "$(dirname -- "${BASH_SOURCE[0]}")/lib.sh"
# shellcheck source=tests/system/rebase.d/clones.sh
source "$t_system_dir/rebase.d/clones.sh"

lab_base
make_base foreign
must ramet clone --no-bootstrap debian-12 web

# Print which version each base is of, and whether it is the newest, as 'NAME OF NEWEST'.
versions ()
{
  ramet base list --json | python3 -c 'import json, sys; [print(d["name"], d["version_of"], d["newest"]) for d in json.load(sys.stdin)]'
}

t_start "a base that ramet cannot build anew is not updated"
refuses 3 "there is no VM 'nobody'" ramet base update nobody
refuses 5 "it is a VM and no base" ramet base update web
refuses 5 "ramet did not build it" ramet base update foreign
refuses 5 "it was made of a ready image" ramet base update debian-12
assert_contains "ramet base update --image FILE debian-12" "$err" "the hint"
must ramet remove --yes web

t_start "a newer version is built as the base was, beside it, and is what the name stands for"
# a builder that writes down what it was asked for, and gives the image that there is
mkdir -p "$t_dir/data/bootstrap/base"
ln -s "$RAMET_CHECKOUT/templates" "$t_dir/data/templates"
for part in "$RAMET_CHECKOUT"/bootstrap/*; do
  [[ ${part##*/} == base ]] || ln -s "$part" "$t_dir/data/bootstrap/"
done
cat >"$t_dir/data/bootstrap/base/build-debian" <<SCRIPT
#!/bin/sh
printf '%s ' "\$@" >"$t_dir/asked"
for output; do :; done
exec cp --sparse=always -- "$(base_image_path "$RAMET_CHECKOUT" "$RAMET_LAB_CACHE")" "\$output"
SCRIPT
chmod +x "$t_dir/data/bootstrap/base/build-debian"
# as if it had been built with these options
"${v[@]}" dumpxml --inactive debian-12 | sed -e \
  "s|<recipe [^>]*>|<recipe version-of='debian-12' suite='bookworm' init='systemd' size='8589934592' mirror='http://example.org/'/>|" \
  -e "s|<memory unit='KiB'>[0-9]*<|<memory unit='KiB'>786432<|" -e "/<currentMemory/d" >"$t_dir/base.xml"
must "${v[@]}" define "$t_dir/base.xml"
must ramet clone --no-bootstrap debian-12 old
manifest "$(disk_of debian-12 vda)" >"$t_dir/before"
check env RAMET_DATADIR="$t_dir/data" ramet base update debian-12
new=debian-12-$(date -u +%Y%m%d)
manifest "$(disk_of debian-12 vda)" >"$t_dir/after"
assert_same_file "$t_dir/before" "$t_dir/after" "the old version's disk"
assert_contains "$new is ready, and what 'ramet clone debian-12 NAME' takes" "$out" "the result"
assert_contains "debian-12 stays: clones stand on it: old" "$out" "the result"
assert_contains "--suite bookworm --init systemd --mirror http://example.org/ --size 8589934592" "$(cat "$t_dir/asked")" \
  "what the builder was asked for"
assert_contains "<memory unit='KiB'>786432<" "$("${v[@]}" dumpxml --inactive "$new")" "the memory of its clones"
assert_eq "debian-12 debian-12 False"$'\n'"$new debian-12 True" "$(versions | grep ^debian)" "the versions"
check ramet base list
assert_match "debian-12 .*older.*old"$'\n'"$new .*newest" "$out" "the list"

t_start "clones are made from the newest version by the base's name, and from any by its own"
must ramet clone --no-bootstrap debian-12 fresh
assert_eq "$images/$new.qcow2" "$(chain_by_definition fresh vda)" "what it stands on"
must ramet clone --no-bootstrap "$new" exact
assert_eq "$images/$new.qcow2" "$(chain_by_definition exact vda)" "what it stands on"
assert_eq "$images/debian-12.qcow2" "$(chain_by_definition old vda)" "what the old clone stands on"
refuses 4 "clones stand on its disk" ramet base remove --yes debian-12

t_start "an old version that nobody needs any more can be removed, and the name still stands for the newest"
must ramet remove --yes old
check ramet base remove --yes debian-12
check ramet clone --dry-run debian-12 next
assert_contains "from '$new'" "$out" "what would be done"
must ramet remove --yes fresh exact
check ramet base remove --yes "$new"
refuses 3 "there is no base 'debian-12'" ramet clone debian-12 next

t_done

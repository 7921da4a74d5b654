# shellcheck shell=bash disable=SC2154
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# The template that labs share, for tests that need a guest and not its boot. It is made by ramet in the first lab that asks for
# it; the cache keeps its files, its definition and root's ssh key, which it lets in, under a hash of what went into them.

template_folder=/var/lib/libvirt/ramet-templates
template_images=/var/lib/libvirt/images

# Print the folder of checkout $1's template in the cache $2.
template_path ()
{
  printf '%s/template-%s\n' "$2" "$(base_hash "$1" bootstrap src templates)"
}

# Keep the only template of this lab in the folder $1, which must not be there, and of others the newest one.
template_store ()
{
  local part name old
  part=$(mktemp -d -- "$RAMET_LAB_CACHE/part.XXXXXX")
  name=$(ramet --json template list | jq -r '.[0].name')
  virsh -c qemu:///system dumpxml --inactive --security-info "$name" >"$part/xml"
  cp -a --sparse=always -- "$template_folder" "$part/templates"
  mkdir -- "$part/images"
  cp -a --sparse=always -- "$template_images/$name.qcow2" "$part/images/"
  cp -a -- "$HOME/.local/share/ramet" "$part/ramet"
  find "$RAMET_LAB_CACHE" -maxdepth 1 -name 'template-*' -type d -printf '%T@ %p\n' | sort -rn | tail -n +2 \
    | while read -r _ old; do
        rm -rf -- "$old"
      done
  # a rename, and the last step: it is what says that all is there
  mv -- "$part" "$1"
}

# Bring back the template that template_store kept in the folder $1. Its files and its base's are new ones with the contents and
# times of then, so that their inodes are all that has to be written anew.
template_restore ()
{
  mkdir -p -- "$HOME/.local/share"
  cp -a -- "$1/ramet" "$HOME/.local/share/"
  mkdir -m 0711 -- "$template_folder"
  cp -a --sparse=always -- "$1/templates/." "$template_folder/"
  cp -a --sparse=always -- "$1/images/." "$template_images/"
  virsh -q -c qemu:///system pool-refresh default
  python3 - "$1/xml" "$t_dir/template.xml" <<'END'
import os, re, sys

def renew(match):
    inode = os.stat(re.search(r' path="([^"]*)"', match[0])[1]).st_ino
    return re.sub(r' inode="\d+"', f' inode="{inode}"', match[0])

xml = open(sys.argv[1]).read()
open(sys.argv[2], 'w').write(re.sub(r'<ramet:(memory|state|disk) [^>]*>', renew, xml))
END
  virsh -q -c qemu:///system define "$t_dir/template.xml"
}

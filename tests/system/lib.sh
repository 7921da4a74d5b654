# shellcheck shell=bash
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# For the system tests, each of which sources this and runs in a lab of its own:
#
#   source "$(dirname "$0")/lib.sh"
#   lab_base
#   t_start "a clone is reachable by name"
#   check ramet clone debian-12 web
#   assert_eq web "$(ramet ssh web -- hostname)" "the guest's own name"
#   t_done
#
# A test passes when at least one check ran in it and none failed. Every test gives one line `ok - …` or `not ok - …`;
# t_done ends the file with the number of tests, without which the runner counts the file as died.
set -euo pipefail

t_system_dir=$(cd -- "$(dirname -- "${BASH_SOURCE[0]}")" && pwd)
RAMET_CHECKOUT=${RAMET_CHECKOUT:-$(cd -- "$t_system_dir/../.." && pwd)}
# shellcheck source=tests/system/lab.d/base.sh
source "$t_system_dir/lab.d/base.sh"
# shellcheck source=tests/system/lab.d/template.sh
source "$t_system_dir/lab.d/template.sh"

t_name=
t_count=0
t_checks=0
t_failures=0
t_failed_tests=0
t_skip_reason=
t_began=0
t_finished=no
t_dir=$(mktemp -d)
# what the last command of check, expect_status and must printed, and its exit status
# shellcheck disable=SC2034
out='' err=''
status=0

# ------------------------------------------------------------------ tests and their results

# Begin the test $1, a thing that a user would do; ends the one before.
t_start ()
{
  t_end
  t_name=$1
  t_checks=0
  t_failures=0
  t_skip_reason=
  t_began=$SECONDS
}

# End the open test, if there is one, with its line.
t_end ()
{
  local name=$t_name
  [[ -n $name ]] || return 0
  t_name=
  t_count=$((t_count + 1))
  if [[ -n $t_skip_reason && $t_failures == 0 ]]; then
    printf 'ok - %s # SKIP %s\n' "$name" "$t_skip_reason"
  elif ((t_failures > 0)); then
    t_failed_tests=$((t_failed_tests + 1))
    printf 'not ok - %s (%d s)\n' "$name" "$((SECONDS - t_began))"
  elif ((t_checks == 0)); then
    t_failed_tests=$((t_failed_tests + 1))
    printf 'not ok - %s (nothing was checked)\n' "$name"
  else
    printf 'ok - %s (%d s)\n' "$name" "$((SECONDS - t_began))"
  fi
}

# End the file, the last thing in it.
t_done ()
{
  t_end
  t_finished=yes
  printf '1..%d\n' "$t_count"
}

# At exit: a test that is still open died. The status says whether all went well, on which the lab keeps its logs.
t_on_exit ()
{
  local code=$?
  exec 1>&"$t_stdout"
  if [[ -n $t_name ]]; then
    fail "died with status $code"
    t_end
  fi
  rm -rf -- "$t_dir"
  if [[ $t_finished != yes ]] || ((t_failed_tests > 0)); then
    exit 1
  fi
}

# A shell for trying things by hand has no results to give.
if [[ $- != *i* ]]; then
  # what dies may have its output somewhere else just then
  exec {t_stdout}>&1
  trap t_on_exit EXIT
  trap '((BASH_SUBSHELL)) || printf "# stopped at %s:%s: %s\n" "${BASH_SOURCE[0]##*/}" "$LINENO" "$BASH_COMMAND" >&"$t_stdout"' ERR
  set -E
fi

# Count one check as passed.
ok ()
{
  t_checks=$((t_checks + 1))
}

# Count one check as failed, saying $1. The test goes on, to show all that is wrong.
fail ()
{
  t_checks=$((t_checks + 1))
  t_failures=$((t_failures + 1))
  printf '# failed: %s\n' "$1"
}

# Say $* as a note among the results.
note ()
{
  printf '# %s\n' "$*"
}

# Skip the open test because the machine truly lacks something, saying $1.
skip ()
{
  if [[ ${RAMET_TEST_REQUIRE:-0} == 1 ]]; then
    fail "may not be skipped: $1"
  else
    t_skip_reason=$1
  fi
}

# Does the program $1 of package $2 exist? If not, the open test is skipped, which fails where nothing may be skipped for
# want of a package.
need_program ()
{
  if command -v "$1" >/dev/null; then
    return 0
  fi
  if [[ ${CI:-} == true ]]; then
    fail "'$1' of package '$2' is not installed"
  else
    skip "'$1' of package '$2' is not installed"
  fi
  return 1
}

# ------------------------------------------------------------------ commands and what they give

# Run the arguments, keep output in $out, $err and $status; with RAMET_TEST_VERBOSE also show it.
# shellcheck disable=SC2034
t_run ()
{
  status=0
  if [[ -n ${RAMET_TEST_VERBOSE:-} ]]; then
    note "run: $*"
    "$@" > >(tee "$t_dir/out" | sed 's/^/# | /') 2> >(tee "$t_dir/err" | sed 's/^/# ! /') || status=$?
    wait
  else
    "$@" >"$t_dir/out" 2>"$t_dir/err" || status=$?
  fi
  out=$(tr -d '\0' <"$t_dir/out")
  err=$(tr -d '\0' <"$t_dir/err")
}

# Show what the last command printed, at most the last 200 lines of each stream.
t_show_output ()
{
  tail -n 200 "$t_dir/out" | cat -v | sed 's/^/#   stdout: /'
  tail -n 200 "$t_dir/err" | cat -v | sed 's/^/#   stderr: /'
}

# Check that the command succeeds.
check ()
{
  expect_status 0 "$@"
}

# Check that the command (from the second argument on) ends with status $1.
expect_status ()
{
  local want=$1
  shift
  t_run "$@"
  if [[ $status == "$want" ]]; then
    ok
  else
    fail "'$*' gave status $status instead of $want"
    t_show_output
  fi
}

# Run what the rest of the file cannot do without: if it fails, the file ends here.
must ()
{
  t_run "$@"
  if ((status != 0)); then
    [[ -n $t_name ]] || t_name="set-up"
    fail "'$*' gave status $status; the rest needs it"
    t_show_output
    t_end
    exit 1
  fi
}

# Check that $1 (wanted) and $2 (got) are the same; $3 says what they are.
assert_eq ()
{
  if [[ $1 == "$2" ]]; then
    ok
  else
    fail "${3:-value}: wanted '$1', got '$2'"
  fi
}

# Check that $1 and $2 differ; $3 says what they are.
assert_ne ()
{
  if [[ $1 != "$2" ]]; then
    ok
  else
    fail "${3:-value}: '$1' should differ"
  fi
}

# Check that the text $2 contains $1; $3 says what the text is.
assert_contains ()
{
  if [[ $2 == *"$1"* ]]; then
    ok
  else
    fail "${3:-text}: does not contain '$1': '$2'"
  fi
}

# Check that the text $2 does not contain $1; $3 says what the text is.
assert_lacks ()
{
  if [[ $2 != *"$1"* ]]; then
    ok
  else
    fail "${3:-text}: contains '$1': '$2'"
  fi
}

# Check that the text $2 matches the extended regular expression $1; $3 says what the text is.
assert_match ()
{
  if [[ $2 =~ $1 ]]; then
    ok
  else
    fail "${3:-text}: does not match '$1': '$2'"
  fi
}

# Check that the files $1 and $2 are the same; shows the difference.
assert_same_file ()
{
  if diff -u -- "$1" "$2" >"$t_dir/diff"; then
    ok
  else
    fail "${3:-$2} changed"
    head -n 40 "$t_dir/diff" | cat -v | sed 's/^/#   /'
  fi
}

# Run a command (from the second argument on) until it succeeds, at most $1 seconds; a check of its own.
wait_for ()
{
  local deadline=$((SECONDS + $1)) limit_s=$1
  shift
  until "$@" >"$t_dir/out" 2>"$t_dir/err"; do
    if ((SECONDS >= deadline)); then
      fail "gave up after $limit_s s waiting for '$*'"
      t_show_output
      return 0
    fi
    sleep 0.2
  done
  ok
}

# ------------------------------------------------------------------ the host

# Run a command as the ordinary user 'dev', a member of group libvirt, with an environment of its own.
as_dev ()
{
  local uid
  uid=$(id -u dev)
  (
    cd /home/dev
    exec setpriv --reuid="$uid" --regid="$(id -g dev)" --init-groups --inh-caps=-all \
      env -i HOME=/home/dev USER=dev LOGNAME=dev SHELL=/bin/bash PATH="$PATH" TERM="${TERM:-dumb}" LANG="${LANG:-C.UTF-8}" \
      XDG_RUNTIME_DIR="/run/user/$uid" TMPDIR="$TMPDIR" RAMET_DATADIR="$RAMET_DATADIR" "$@"
  )
}

# Have the user's own systemd run in the guests given from now on: started anew it is half of every login to an emulated guest.
linger ()
{
  local name
  for name in "$@"; do
    must ramet ssh "$name" -- 'sudo loginctl enable-linger "$(id -un)"'
  done
}

# Check that the clock of guest $1 is right: what it tells lies between asking and hearing, give or take 2 s.
clock_is_right ()
{
  local before theirs
  before=$(date +%s)
  theirs=$(ramet ssh "$1" -- date +%s) || theirs=0
  if ((theirs >= before - 2 && theirs <= $(date +%s) + 2)); then
    ok
  else
    fail "the clock of '$1' says $theirs, asked between $before and $(date +%s)"
  fi
}

# End libvirtd by the signal $1 (TERM if there is none) and start it again; its guests live on.
restart_libvirtd ()
{
  local pid
  pid=$(cat /run/libvirtd.pid)
  kill "-${1:-TERM}" "$pid"
  wait_for 10 test ! -e "/proc/$pid"
  libvirtd --daemon
  wait_for 30 virsh -c qemu:///system uri
}

# Print type, mode, owner, size, times, hash, extended attributes and link target of everything below folder $1 (or of
# file $1), sorted: two of these are the same only if nothing was changed. Access times are left out.
manifest ()
{
  python3 - "$1" <<'END'
import hashlib, os, stat, sys

def digest(path):
    with open(path, 'rb') as f:
        h = hashlib.sha256()
        while chunk := f.read(1 << 20):
            h.update(chunk)
    return h.hexdigest()

def line(path, name):
    st = os.lstat(path)
    fields = [name, oct(st.st_mode), f'{st.st_uid}:{st.st_gid}', str(st.st_nlink)]
    # a folder's size says how it was filled once, not what is in it
    fields.append('-' if stat.S_ISDIR(st.st_mode) else str(st.st_size))
    fields += [f'm={st.st_mtime_ns}', f'c={st.st_ctime_ns}']
    if stat.S_ISREG(st.st_mode):
        fields.append(digest(path))
    elif stat.S_ISLNK(st.st_mode):
        fields.append('-> ' + ascii(os.readlink(path)))
    elif stat.S_ISCHR(st.st_mode) or stat.S_ISBLK(st.st_mode):
        fields.append(f'dev={st.st_rdev}')
    for key in sorted(os.listxattr(path, follow_symlinks=False)):
        fields.append(f'{key}={os.getxattr(path, key, follow_symlinks=False).hex()}')
    return ' '.join(fields)

top = sys.argv[1]
names = ['']
for folder, folders, files in os.walk(top):
    names += [os.path.relpath(os.path.join(folder, name), top) for name in folders + files]
for name in sorted(names):
    print(line(os.path.join(top, name) if name else top, ascii(name or '.')))
END
}

# Print what may not change in the definition and the disks of domain $1.
manifest_domain ()
{
  local disk
  virsh -c qemu:///system dumpxml --inactive --security-info "$1"
  virsh -c qemu:///system domblklist --inactive --details "$1" | sed -n 's/^ *file *disk *[^ ]* *//p' \
    | while IFS= read -r disk; do
        manifest "$disk"
      done
}

# Make sure that the base 'debian-12' is defined, with its disk in the pool 'default'. A copy is taken from the cache if
# ramet verified it before; otherwise ramet makes a base of the cached image, which boots a clone of it once. Labs that want
# it at the same time wait for the first.
lab_base ()
{
  local made image lock
  if virsh -c qemu:///system dominfo debian-12 >/dev/null 2>&1; then
    return 0
  fi
  made=$(base_domain_path "$RAMET_CHECKOUT" "$RAMET_LAB_CACHE")
  image=$(base_image_path "$RAMET_CHECKOUT" "$RAMET_LAB_CACHE")
  if [[ -s $made.xml ]]; then
    must base_restore "$made"
    return 0
  fi
  if [[ ! -s $image ]]; then
    t_name=${t_name:-set-up}
    fail "the base's disk is not in the cache: run 'tests/system/lab --build-base' outside the lab"
    exit 1
  fi
  exec {lock}>"$made.lock"
  flock "$lock"
  if [[ -s $made.xml ]]; then
    must base_restore "$made"
  else
    must ramet base build --image "$image" debian-12
    must base_store "$made" "$image"
  fi
  exec {lock}>&-
}

# Bring the base 'debian-12' and a template of it that root's clones with --cpus 1 go on from, in seconds and not in the minute or
# two that an emulated guest boots for. What a test is about must not be the boot.
lab_template ()
{
  local made lock
  lab_base
  made=$(template_path "$RAMET_CHECKOUT" "$RAMET_LAB_CACHE")
  exec {lock}>"$made.lock"
  flock "$lock"
  if [[ -d $made ]]; then
    must template_restore "$made"
    if [[ $(ramet --json template list | jq -r '.[0].unusable') == null ]]; then
      exec {lock}>&-
      return 0
    fi
    # of another QEMU or processor
    must ramet template remove --yes "$(ramet --json template list | jq -r '.[0].name')"
    rm -rf -- "$made"
  fi
  must ramet template create --cpus 1 debian-12
  must template_store "$made"
  exec {lock}>&-
}

# Set lab_image_path to the cached disk of a base with the init $1, which tests/system/run builds for files that call this.
lab_image ()
{
  lab_image_path=$(base_image_path "$RAMET_CHECKOUT" "$RAMET_LAB_CACHE" "$1")
  if [[ ! -s $lab_image_path ]]; then
    t_name=${t_name:-set-up}
    fail "the disk is not in the cache: run 'tests/system/lab --build-base=$1' outside the lab"
    exit 1
  fi
}

# Define a domain $1 with an empty disk and no more than that, which never boots a system; $2 is its uuid, if it is to have one.
lab_hollow ()
{
  must qemu-img create -q -f qcow2 "/var/lib/libvirt/images/$1.qcow2" 1G
  cat >"$t_dir/hollow.xml" <<XML
<domain type='qemu'>
  <name>$1</name>
  ${2:+<uuid>$2</uuid>}
  <memory unit='MiB'>64</memory>
  <os><type arch='x86_64' machine='q35'>hvm</type></os>
  <devices>
    <disk type='file' device='disk'>
      <driver name='qemu' type='qcow2'/><source file='/var/lib/libvirt/images/$1.qcow2'/><target dev='vda' bus='virtio'/>
    </disk>
    <interface type='network'><source network='default'/><model type='virtio'/></interface>
    <serial type='pty'/>
    <memballoon model='none'/>
  </devices>
</domain>
XML
  must virsh -q -c qemu:///system define "$t_dir/hollow.xml"
  must virsh -q -c qemu:///system pool-refresh default
}

# Bring back the base that base_store put into the cache as $1.
base_restore ()
{
  local disk
  disk=$(base_disk "$1.xml")
  cp --reflink=auto --sparse=always --preserve=mode,timestamps -- "$1.qcow2" "$disk"
  virsh -c qemu:///system pool-refresh default
  virsh -c qemu:///system define "$1.xml"
}

# Keep the base 'debian-12' in the cache as $1, .xml and .qcow2; where its disk is just the image $2, as a link to that.
base_store ()
{
  local disk part
  part=$(mktemp -d -- "$RAMET_LAB_CACHE/part.XXXXXX")
  virsh -c qemu:///system dumpxml --inactive --security-info debian-12 >"$part/xml"
  disk=$(base_disk "$part/xml")
  if cmp -s -- "$disk" "$2"; then
    ln -- "$2" "$part/qcow2"
  else
    cp --reflink=auto --sparse=always --preserve=mode,timestamps -- "$disk" "$part/qcow2"
  fi
  # the XML last: it is what says that both are there
  mv -- "$part/qcow2" "$1.qcow2"
  mv -- "$part/xml" "$1.xml"
  rmdir -- "$part"
}

# Print the path of the only disk of the domain XML $1.
base_disk ()
{
  xmllint --xpath 'string(/domain/devices/disk[@device="disk"]/source/@file)' "$1"
}

# ------------------------------------------------------------------ packages

# Serve an apt repository with the package 'ramet-probe' (it holds /usr/bin/ramet-probe, which prints its name) and the .deb
# files given to guests. Sets repo_line, a line for a guest's sources.list.
repo_serve ()
{
  local root=$t_dir/repo package=$t_dir/ramet-probe deb file
  mkdir -p "$root" "$package/DEBIAN" "$package/usr/bin"
  chmod 0755 "$package" "$package/DEBIAN" "$package/usr" "$package/usr/bin"
  printf '#!/bin/sh\necho ramet-probe\n' >"$package/usr/bin/ramet-probe"
  chmod 0755 "$package/usr/bin/ramet-probe"
  cat >"$package/DEBIAN/control" <<'END'
Package: ramet-probe
Version: 1.0
Architecture: all
Maintainer: nobody <nobody@example.org>
Description: shows that a package was installed
END
  dpkg-deb --root-owner-group --build "$package" "$root/ramet-probe_1.0_all.deb" >/dev/null
  # an epoch's colon is written as %3a, which would have to be written anew in a URL
  for deb in "$@"; do
    file=${deb##*/}
    cp -- "$deb" "$root/${file//%3a/-}"
  done
  (cd "$root" && dpkg-scanpackages --multiversion . 2>/dev/null >Packages && gzip -k Packages)
  repo_write_release "$root"
  busybox httpd -p 192.168.122.1:8099 -h "$root"
  export repo_line="deb [trusted=yes] http://192.168.122.1:8099/ ./"
}

# Write the Release file of the flat repository $1, without which apt takes none.
repo_write_release ()
{
  local file
  {
    echo "Date: $(LC_ALL=C date -u '+%a, %d %b %Y %H:%M:%S UTC')"
    echo "SHA256:"
    for file in Packages Packages.gz; do
      echo " $(sha256sum "$1/$file" | cut -d' ' -f1) $(stat -c %s "$1/$file") $file"
    done
  } >"$1/Release"
}

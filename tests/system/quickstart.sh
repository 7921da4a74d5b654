#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# bootstrap/quickstart takes a bare Debian, which has nothing but what its minimal installation has, to a VM that one can
# ssh into; in a checkout in a home that is closed to others.
source "$(dirname -- "${BASH_SOURCE[0]}")/lib.sh"
# shellcheck source=tests/system/quickstart.d/functions.sh
source "$t_system_dir/quickstart.d/functions.sh"
trap bare_on_exit EXIT

checkout=/home/dev/src/ramet
log=/var/log/ramet-quickstart.log

# Run quickstart under what sudo would set, or with $1 = root as root.
quickstart ()
{
  if [[ ${1:-} == root ]]; then
    shift
    in_bare "$checkout/bootstrap/quickstart" "$@"
  else
    in_bare env SUDO_USER=dev SUDO_UID="$(in_bare id -u dev)" SUDO_GID="$(in_bare id -g dev)" \
      SUDO_COMMAND="$checkout/bootstrap/quickstart" "$checkout/bootstrap/quickstart" "$@"
  fi
}

# Print what must stay the same over a second run: base, VM, the program, what packages were installed when.
identities ()
{
  in_bare virsh -c qemu:///system domuuid debian-12
  in_bare virsh -c qemu:///system domuuid hello
  in_bare stat -c '%n %i %Y' "$checkout/build/src/ramet" /var/log/dpkg.log /var/log/apt/history.log
}

# Is dpkg in the middle of it?
dpkg_unpacks ()
{
  (($(grep -cs " status unpacked " "$bare_tree/var/log/dpkg.log" || true) > 20))
}

# Send what Ctrl-C sends to quickstart and all that it started, which are one process group.
interrupt_quickstart ()
{
  local pid
  pid=$(pgrep -o -f "^(/usr)?/?(bin/)?bash $checkout/bootstrap/quickstart")
  kill -INT -- "-$(ps -o pgid= -p "$pid" | tr -d ' ')"
}

t_start "the host is bare, and its checkout is in a closed home"
archive=$("$t_system_dir/quickstart.d/prepare" --print)
if [[ ! -d $archive ]]; then
  fail "its packages are not in the cache: run 'tests/system/quickstart.d/prepare' outside the lab"
  exit 1
fi
must bare_unpack "$archive"
must bare_make_network "$archive"
must bare_start
must in_bare useradd --create-home --shell /bin/bash dev
must in_bare chmod 0700 /home/dev
must bare_copy_checkout "$checkout" "$(in_bare id -u dev):$(in_bare id -g dev)"
must in_bare chown -R dev:dev /home/dev/src
for program in gcc meson ninja python3 virsh libvirtd avahi-daemon dbus-daemon qemu-img ip sudo setfacl ramet; do
  expect_status 127 in_bare env "$program" --version
done
expect_status 1 in_bare setpriv --reuid=nobody --clear-groups test -x "$checkout"
assert_eq 600 "$(in_bare stat -c %a /dev/kvm)" "mode of /dev/kvm"

t_start "wrong usage and an ordinary user are told so, and nothing is done"
expect_status 2 quickstart root --no-such
assert_contains "hint: " "$err"
expect_status 5 in_bare_as_dev "$checkout/bootstrap/quickstart"
assert_contains "needs root" "$err"
assert_contains "hint: " "$err"
expect_status 3 in_bare env SUDO_USER=nobody-at-all "$checkout/bootstrap/quickstart"
check in_bare test ! -e "$log"

t_start "Ctrl-C while packages are being installed ends it"
{ trap - ERR; in_bare env SUDO_USER=dev setsid --wait env --default-signal=INT "$checkout/bootstrap/quickstart" >"$t_dir/interrupted" 2>&1 </dev/null; } &
job=$!
wait_for 180 dpkg_unpacks
interrupt_quickstart
status=0
wait "$job" || status=$?
assert_eq 130 "$status" "exit status"
assert_contains "run it again" "$(cat "$t_dir/interrupted")" "what it says"
expect_status 127 in_bare env ramet --version
assert_ne "" "$(in_bare dpkg --audit)" "what dpkg says of its packages"

t_start "one command leads from there to a VM that answers ssh by name"
began=$SECONDS
must quickstart
cp -- "$t_dir/out" "$t_dir/first"
note "the first run took $((SECONDS - began)) s"
for step in "[1/6] packages" "[2/6] building" "[3/6] services" "[4/6] base" "[5/6] VM" "[6/6] ssh"; do
  assert_contains "$step" "$out" "what it shows"
done
assert_match $'\n      [0-9]+ s  [^\n]' "$out" "what it shows while packages are installed"
assert_contains "giving /dev/kvm to group kvm" "$out"
assert_contains "starting libvirtd" "$out"
assert_contains "starting libvirt's network 'default'" "$out"
assert_contains "taking 'dev' into the group libvirt" "$out"
assert_contains "I am dev on hello, " "$out" "the command in the guest"
assert_match "the checkout is here, at $checkout:.*meson.build" "$out" "the command in the guest"
assert_contains "'ramet ssh hello' gets you in" "$out" "its last words"
assert_eq "" "$(in_bare dpkg --audit)" "what dpkg says of its packages"

t_start "the VM is the user's, who needs neither root nor another login"
check in_bare_as_dev ramet list
assert_match $'(^|\n)hello +running ' "$out" "ramet list"
check in_bare_as_dev ramet ssh hello -- cat "$checkout/meson.build"
assert_eq "$(cat "$RAMET_CHECKOUT/meson.build")" "$out" "a file of the checkout, in the guest"
check in_bare_as_dev ramet ssh hello -- sh -c ": >$checkout/of-the-guest && ls $checkout/of-the-guest"
check in_bare test ! -e "$checkout/of-the-guest"
assert_eq "" "$(in_bare find "$checkout" ! -user dev -printf '%p %u\n')" "files in the checkout that are not the user's"

t_start "the closed home was opened for QEMU's user alone, and it said so"
check in_bare getfacl --omit-header --absolute-names /home/dev
assert_contains "user:libvirt-qemu:--x" "$out" "the ACL of /home/dev"
expect_status 1 in_bare setpriv --reuid=nobody --clear-groups test -x "$checkout"
check in_bare setpriv --reuid=libvirt-qemu --clear-groups test -r "$checkout/meson.build"
assert_contains "opened for QEMU's user by ACL: /home/dev " "$(cat "$t_dir/first")" "what it showed"

t_start "run again, it finds what is there and is done in seconds"
identities >"$t_dir/before"
began=$SECONDS
check quickstart
seconds=$((SECONDS - began))
note "the second run took $seconds s"
if ((seconds <= 60)); then ok; else fail "it took $seconds s"; fi
assert_contains "[6/6] ssh" "$out" "what it shows"
assert_contains "I am dev on hello, " "$out" "the command in the guest"
identities >"$t_dir/after"
assert_same_file "$t_dir/before" "$t_dir/after" "base, VM, program, packages"
assert_lacks "starting" "$out" "what it shows"
assert_contains "ninja: no work to do" "$(in_bare cat "$log")" "the log"

t_start "as root without sudo it starts the VM that is there, stopped"
check in_bare_as_dev ramet stop --force hello
check quickstart root
assert_contains "starting it" "$out"
assert_contains "was made for 'dev'" "$out"
assert_contains "I am dev on hello, " "$out" "the command in the guest"
identities >"$t_dir/after"
assert_eq "$(head -n 2 "$t_dir/before")" "$(head -n 2 "$t_dir/after")" "base and VM"
assert_eq "" "$(in_bare find "$checkout" ! -user dev -printf '%p %u\n')" "files in the checkout that are not the user's"

t_start "removed, it leaves the home as it was"
check in_bare_as_dev ramet remove --yes hello
check in_bare getfacl --omit-header --absolute-names /home/dev
assert_lacks "libvirt-qemu" "$out" "the ACL of /home/dev"
assert_eq 700 "$(in_bare stat -c %a /home/dev)" "mode of /home/dev"

t_start "the host's part alone starts anew what died, and tells of addresses that clash"
for daemon in libvirtd virtlogd avahi-daemon/pid dbus/pid; do
  [[ $daemon == */pid ]] || daemon+=.pid
  check in_bare bash -c "kill -KILL \$(cat /run/$daemon)"
done
check in_bare ip route add 192.168.122.128/25 dev eth0
check in_bare "$checkout/bootstrap/host/ready" dev
for daemon in dbus avahi-daemon virtlogd libvirtd; do
  assert_contains "starting $daemon" "$out"
done
assert_contains "(192.168.122.1/24) clashes with 192.168.122.128/25 on eth0" "$err" "its warning"
check in_bare_as_dev virsh -c qemu:///system net-info default
assert_match 'Active: +yes' "$out" "the network"

t_start "without a network 'default' it makes one, where addresses are free"
check in_bare virsh -c qemu:///system net-destroy default
check in_bare virsh -c qemu:///system net-undefine default
check in_bare "$checkout/bootstrap/host/ready"
assert_contains "defining libvirt's network 'default' as 192.168.123.0/24" "$out"
assert_lacks "clashes" "$err" "its warnings"
check in_bare virsh -c qemu:///system net-info default
assert_match 'Active: +yes.*Autostart: +yes' "$out" "the network"
check in_bare "$checkout/bootstrap/host/ready"
assert_lacks "starting" "$out" "what it says when all is up"

t_done

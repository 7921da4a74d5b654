# shellcheck shell=bash
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# A bare Debian host of its own within the lab, with a network to an archive of packages. For quickstart.sh.

bare_tree=/run/lab/tmp/bare
bare_pid=
bare_address=10.199.0.2
archive_address=10.199.0.1
archive_port=8098

# Unpack the tree, with the archive of folder $1 as its only source of packages.
bare_unpack ()
{
  mkdir -- "$bare_tree"
  tar --extract --numeric-owner --file "$1/minbase.tar" --directory "$bare_tree"
  # as Debian's own: a key that apt trusts, and a line that does not name it
  cp -- "$1/archive.gpg" "$bare_tree/etc/apt/trusted.gpg.d/archive.gpg"
  rm -f -- "$bare_tree"/etc/apt/sources.list.d/*
  echo "deb http://$archive_address:$archive_port/debian bookworm main" \
    >"$bare_tree/etc/apt/sources.list"
  printf '%s\n' '127.0.0.1 localhost' '127.0.1.1 bare' >"$bare_tree/etc/hosts"
  echo bare >"$bare_tree/etc/hostname"
  rm -f -- "$bare_tree/etc/resolv.conf"
  : >"$bare_tree/etc/resolv.conf"
  # a host has one of its own; minbase leaves it empty
  rm -f -- "$bare_tree/etc/machine-id"
}

# Make the host's network namespace, joined to the lab's, where folder $1 is served.
bare_make_network ()
{
  ip netns add bare
  ip link add bare0 type veth peer name eth0 netns bare
  ip address add "$archive_address/24" dev bare0
  ip link set bare0 up
  ip -n bare link set lo up
  ip -n bare address add "$bare_address/24" dev eth0
  ip -n bare link set eth0 up
  ip -n bare route add default via "$archive_address"
  busybox httpd -p "$archive_address:$archive_port" -h "$1"
}

# Start the host; it ends with the lab.
# shellcheck disable=SC2154 # t_system_dir is of lib.sh
bare_start ()
{
  local deadline=$((SECONDS + 20)) parent
  nsenter --net=/run/netns/bare \
    unshare --mount --uts --ipc --pid --fork --kill-child --mount-proc --propagation private \
    bash "$t_system_dir/quickstart.d/host" "$bare_tree" </dev/null >/run/lab/log/bare.log 2>&1 &
  parent=$!
  until bare_pid=$(pgrep -P "$parent" -x bash) && [[ -e /proc/$bare_pid/root/run/host-is-up ]]; do
    if ! kill -0 "$parent" 2>/dev/null || ((SECONDS >= deadline)); then
      cat /run/lab/log/bare.log >&2
      return 1
    fi
    sleep 0.1
  done
}

# Run a command in the host as root, with the environment that a login gives and nothing else. The name is there for
# 'check' and its kin.
in_bare ()
{
  nsenter --target "$bare_pid" --mount --uts --ipc --pid --net --wd \
    env -i HOME=/root USER=root LOGNAME=root PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin \
    LANG=C.UTF-8 TERM=dumb "$@"
}

# The same as the ordinary user 'dev'.
in_bare_as_dev ()
{
  in_bare setpriv --reuid=dev --regid=dev --init-groups \
    env HOME=/home/dev USER=dev LOGNAME=dev PATH=/usr/local/bin:/usr/bin:/bin "$@"
}

# Copy this checkout, without what is built in it, to $1 in the host, for the owner $2.
bare_copy_checkout ()
{
  mkdir -p -- "$bare_tree$1"
  tar --create --directory "$RAMET_CHECKOUT" --exclude='./build*' --exclude=./.git --exclude=./node_modules . \
    | tar --extract --directory "$bare_tree$1"
  chown -R "$2" -- "$bare_tree$1"
}

# Keep what the host logged among the lab's own logs, and end the file.
# shellcheck disable=SC2317
bare_on_exit ()
{
  local code=$? logs=/run/lab/log/bare
  mkdir -p -- "$logs"
  cp -r -- "$bare_tree/var/log" "$logs/var-log" 2>/dev/null || true
  cp -r -- "$bare_tree/root/.local/state/ramet" "$logs/ramet-root" 2>/dev/null || true
  cp -r -- "$bare_tree/home/dev/.local/state/ramet" "$logs/ramet-dev" 2>/dev/null || true
  # t_on_exit looks at the status
  if ((code == 0)); then
    t_on_exit
  else
    (exit "$code") || t_on_exit
  fi
}

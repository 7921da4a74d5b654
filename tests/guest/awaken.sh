# shellcheck shell=sh disable=SC2154
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# Part of tests/guest/run: a guest that stood still is set right.

# awaken SECONDS SHARES: as the agent runs it, who waits until nobody holds its output any more; how long, in $took
awaken() {
  since=$(date +%s)
  out=$(chroot "$root" /bin/sh -s "$1" "$2" <"$steps/extra/awaken.sh" 2>"$work/stderr")
  status=$?
  took=$(($(date +%s) - since))
  printf '%s\n' "$out" >"$work/stdout"
}

awaken_tests() {
  new_root
  mkdir -p "$root/usr/local/lib/ramet" "$root/etc/avahi"
  # shellcheck disable=SC2016
  stand_in dbus-send 'case "$*" in
*SetHostName*) for last; do :; done; echo "${last#string:}" >/name ;;
*) read -r name </name && echo "   $name" ;;
esac'
  echo base >"$root/name"
  awaken '' ''
  ok 'awaken: nothing is amiss' is "$status $out$(cat "$work/stderr")" '0 '
  ok 'awaken: what looks on in the background holds nothing' test "$took" -lt 10
  echo base-2 >"$root/name"
  awaken '' ''
  ok 'awaken: a name that avahi gave itself is mended' is "$status $out $(cat "$root/name")" "0 renamed${tab}base-2 base"
  printf '[server]\nhost-name = other\n' >"$root/etc/avahi/avahi-daemon.conf"
  awaken '' ''
  ok "awaken: avahi's own name counts" is "$out $(cat "$root/name")" "renamed${tab}base other"
  rm "$root/name"
  awaken '' ''
  ok 'awaken: no avahi is fine' is "$status $out" '0 '
  echo other >"$root/name"
  awaken '' shares
  ok 'awaken: no helper is fine' is "$status $out" '0 '
  # shellcheck disable=SC2016
  printf '#!/bin/sh\necho "share $*" >>/calls\necho "started\tweb.service"\necho "ramet share: why" >&2\nexit 4\n' \
    >"$root/usr/local/lib/ramet/share"
  chmod 755 "$root/usr/local/lib/ramet/share"
  awaken '' ''
  ok 'awaken: shares are left alone' lacks "$root/calls" 'share restore'
  awaken '' shares
  ok 'awaken: shares are put back, and it ends as that does' is "$status $out" "4 restoring${nl}started${tab}web.service"
  ok 'awaken: why, and nothing else' is "$(cat "$work/stderr")" 'ramet share: why'
  # busybox would set the clock itself
  [ $shell = dash ] || return 0
  # shellcheck disable=SC2016
  stand_in date 'case $3 in @*.*) echo "date: no fractions" >&2; exit 1 ;; esac'
  awaken 12.5 ''
  ok 'awaken: the clock' is "$out $(grep -c '^date -u -s @12$' "$root/calls")" ' 1'
  stand_in date 'echo "date: not allowed" >&2; exit 1'
  awaken 12.5 ''
  ok 'awaken: a clock that cannot be set is told' is "$status $out" "0 clock${tab}date: not allowed"
}

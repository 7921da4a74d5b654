# shellcheck shell=sh disable=SC2154,SC2016
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# Part of tests/guest/run: a guest that is made nobody for a template, and somebody again in each clone.

# a root with one network interface of the old address, in a kernel that notices that it goes on elsewhere
new_template_root() {
  new_root
  [ $shell = busybox ] || program "$root" sync
  mkdir -p "$root/sys/class/net/lo" "$root/sys/class/net/ens3/device" "$root/sys/bus/acpi/drivers/vmgenid/QEMUVGID:00" "$root/var/lib/ramet"
  echo 52:54:00:00:00:01 >"$root/sys/class/net/ens3/address"
  # -batch - reads what to do
  stand_in ip 'act() {
  case "$*" in
  "link set dev ens3 address "*) echo "$6" >/sys/class/net/ens3/address ;;
  esac
}
[ ! -e /stubborn ] || exit 0
case "$*" in
"-batch -") [ ! -e /old ] || exit 1; while read -r line; do [ -z "$line" ] || { echo "batch: $line" >>/calls; act $line; }; done ;;
*) act "$@" ;;
esac'
  # never the machine's own clock
  stand_in date
  stand_in sleep
  stand_in systemctl
  stand_in fstrim
}

quiet_tests() {
  new_template_root
  mkdir -p "$root/var/lib/dhcp" "$root/var/lib/NetworkManager" "$root/run/systemd/netif/leases" "$root/var/cache/apt/archives"
  for file in etc/machine-id var/lib/dbus/machine-id var/lib/ramet/identity var/lib/systemd/random-seed \
    var/lib/dhcp/dhclient.ens3.leases var/lib/NetworkManager/secret_key run/systemd/netif/leases/2 \
    etc/ssh/ssh_host_rsa_key etc/ssh/ssh_host_rsa_key.pub var/cache/apt/archives/x.deb; do
    echo old >"$root/$file"
  done
  printf 'MemTotal: 99999 kB\nMemFree:   36864 kB\n' >"$root/proc/meminfo"
  rm -f "$root/bin/dd"
  stand_in dd
  ok 'quiet: twice is once' twice template/quiet.sh
  ok 'quiet: an id, empty' is "$(cd "$root" && stat -c '%n %s' etc/machine-id var/lib/dbus/machine-id)" \
    "etc/machine-id 0${nl}var/lib/dbus/machine-id 0"
  ok 'quiet: nothing of it is left' is "$(cd "$root" && find etc/ssh var run -type f ! -name machine-id)" ''
  ok 'quiet: the link is down and has no address' is "$(grep -c '^ip link set dev ens3 down$\|^ip addr flush dev ens3$' "$root/calls")" 4
  ok 'quiet: the loopback stays' lacks "$root/calls" 'dev lo'
  ok 'quiet: the disk is trimmed' has "$root/calls" 'fstrim /'
  ok 'quiet: free memory is written over' has "$root/calls" 'dd if=/dev/zero of=/run/ramet-zero/zero bs=1048576 count=4'
  ok 'quiet: and given back' not grep -q "$root/run/ramet-zero" /proc/mounts
  mkdir -p "$root/proc/sys/vm"
  echo 1000 >"$root/proc/sys/vm/min_free_kbytes"
  step template/quiet.sh
  ok 'quiet: what the kernel keeps in reserve is left' has "$root/calls" 'count=1'
  : >"$root/calls"
  printf 'MemFree: 36000 kB\n' >"$root/proc/meminfo"
  step template/quiet.sh
  ok 'quiet: no free memory' is "$status $(grep -c '^dd' "$root/calls")" '0 0'
  stand_in fstrim 'echo "fstrim: /: not supported" >&2; exit 1'
  step template/quiet.sh
  ok 'quiet: a disk that cannot be trimmed is told' is "$status $(cat "$work/stdout")" '0 not trimmed: fstrim: /: not supported'

  mkdir -p "$root/home/alice/.ssh" "$root/run/systemd/system"
  echo 'alice:x:1234:1234::/home/alice:/bin/sh' >>"$root/etc/passwd"
  printf 'ssh-rsa AAAA\\n x*y\nlast' >"$root/home/alice/.ssh/authorized_keys"
  chmod 600 "$root/home/alice/.ssh/authorized_keys"
  before=$(snapshot)
  echo key >"$root/etc/ssh/ssh_host_ed25519_key"
  # the public half of what it is given lets it in
  stand_in ssh 'grep -qF "$(ssh-keygen -y -f "$4" | { read -r _ half _; echo "$half"; })" /home/alice/.ssh/authorized_keys && echo "in" >>/calls'
  step template/quiet.sh RAMET_USER=alice
  ok 'quiet: two logins' is "$status $(grep -c '^ssh .* alice@127.0.0.1 ' "$root/calls") $(grep -c '^in$' "$root/calls")" '0 2 2'
  ok 'quiet: its services run' has "$root/calls" 'systemctl start user@1234.service'
  ok 'quiet: no trace of them' is "$(snapshot)" "$before"
  echo key >"$root/etc/ssh/ssh_host_ed25519_key"
  stand_in ssh 'exit 255'
  step template/quiet.sh RAMET_USER=alice
  ok 'quiet: a login that fails is told' is "$status $(head -n 1 "$work/stdout")" '0 the first login to warm it up failed'
  ok 'quiet: no trace of that either' is "$(snapshot)" "$before"
  printf 'HostKey /etc/ssh/ssh_host_rsa_key\n' >"$root/etc/ssh/sshd_config"
  step template/quiet.sh
  ok 'quiet: sshd with other keys only' refused 'sshd is told to use other host keys'
  echo 'HostKey /etc/ssh/ssh_host_ed25519_key' >>"$root/etc/ssh/sshd_config"
  step template/quiet.sh
  ok 'quiet: sshd with that key among others' is "$status" 0
  rmdir "$root/sys/bus/acpi/drivers/vmgenid/QEMUVGID:00"
  step template/quiet.sh
  ok 'quiet: a kernel that would repeat its random numbers' refused 'neither perl nor python3'
  mkdir -p "$root/sys/bus/platform/drivers/vmgenid/VMGENCTR:00"
  step template/quiet.sh
  ok 'quiet: newer kernels have the driver elsewhere' is "$status" 0
  rm -r "$root/sys/bus/platform/drivers"
  stand_in perl
  step template/quiet.sh
  ok 'quiet: unless it can be told' is "$status" 0
}

# become [NAME=VALUE…]: as the agent runs it, with 10-hostname.sh behind it in one script
become() {
  cat "$steps/template/identity.sh" "$steps/10-hostname.sh" >"$root/step"
  env -i PATH=/bin RAMET_HOSTNAME=web RAMET_MACHINE_ID=0123456789abcdef0123456789abcdef RAMET_SEED=c2VlZA== \
    RAMET_MAC=52:54:00:aa:bb:cc RAMET_HOST_KEY="$private" RAMET_HOST_KEY_PUBLIC="$public" RAMET_TIME=12.5 \
    RAMET_ADDRESS=192.0.2.7/24 "$@" "$chroot" "$root" /bin/sh /step >"$work/stdout" 2>"$work/stderr" </dev/null
  status=$?
}

become_tests() {
  new_template_root
  rm -f "$work/key" "$work/key.pub"
  ssh-keygen -q -t ed25519 -N '' -C root@web -f "$work/key"
  private=$(cat "$work/key") public=$(cat "$work/key.pub")
  mkdir -p "$root/run/avahi-daemon" "$root/proc/77" "$root/var/log/journal/ffffffffffffffffffffffffffffffff" "$root/var/log/journal/x"
  echo 77 >"$root/run/avahi-daemon/pid"
  : >"$root/etc/machine-id"
  : >"$root/var/lib/dbus/machine-id"
  stand_in busctl
  become
  ok 'become: done' is "$status $(cat "$work/stdout" "$work/stderr")" '0 '
  ok 'become: machine id' is "$(cat "$root/etc/machine-id" "$root/var/lib/dbus/machine-id" "$root/var/lib/ramet/identity" | sort -u)" \
    0123456789abcdef0123456789abcdef
  ok 'become: the key' is "$(cat "$root/etc/ssh/ssh_host_ed25519_key"; cat "$root/etc/ssh/ssh_host_ed25519_key.pub")" "$private$nl$public"
  ok 'become: it is private' is "$(cd "$root/etc/ssh" && stat -c '%n %a' ssh_host*)" \
    "ssh_host_ed25519_key 600${nl}ssh_host_ed25519_key.pub 644"
  ok 'become: OpenSSH takes it' is "$(ssh-keygen -y -f "$root/etc/ssh/ssh_host_ed25519_key")" "$public"
  ok 'become: a private seed' is "$(cat "$root/var/lib/systemd/random-seed") $(stat -c %a "$root/var/lib/systemd/random-seed")" 'c2VlZA== 600'
  ok 'become: the clock' has "$root/calls" 'date -u -s @12.5'
  ok 'become: the network, in order' is "$(grep '^batch' "$root/calls")" "batch: link set dev ens3 down
batch: link set dev ens3 address 52:54:00:aa:bb:cc
batch: addr add 192.0.2.7/24 brd + dev ens3
batch: link set dev ens3 up"
  ok 'become: the name' is "$(cat "$root/etc/hostname" "$root/proc/sys/kernel/hostname" | sort -u)" web
  ok 'become: avahi is told' has "$root/calls" 'SetHostName s web'
  ok 'become: the journal goes on' eventually test -d "$root/var/log/journal/0123456789abcdef0123456789abcdef"
  ok 'become: and what is no journal stays' test -d "$root/var/log/journal/x"
  ok 'become: journald is told' eventually grep -q 'systemctl restart systemd-journald.service' "$root/calls"
  before=$(snapshot)
  : >"$root/calls"
  become RAMET_ADDRESS=''
  ok 'become: twice is once' is "$status $(snapshot)" "0 $before"
  ok 'become: no address, if none is given' lacks "$root/calls" 'addr add'
  : >"$root/old"
  : >"$root/calls"
  become RAMET_MAC=52:54:00:aa:bb:cd
  ok "become: an 'ip' without -batch" is "$status $(cat "$root/sys/class/net/ens3/address") $(grep -c '^ip link\|^ip addr add' "$root/calls")" \
    '0 52:54:00:aa:bb:cd 4'
  rm "$root/old"
  : >"$root/stubborn"
  become RAMET_MAC=52:54:00:aa:bb:ce
  ok 'become: a MAC address that stays is an error' refused 'keeps its old MAC address'
  rm "$root/stubborn"
  stand_in date 'case $3 in @*.*) echo "date: no fractions" >&2; exit 1 ;; esac'
  become
  ok 'become: a date without fractions' is "$status $(cat "$work/stdout") $(grep -c '^date -u -s @12$' "$root/calls")" '0  1'
  stand_in date 'echo "date: not allowed" >&2; exit 1'
  become
  ok 'become: a clock that cannot be set is told' is "$status $(cat "$work/stdout")" "0 clock${tab}date: not allowed"
  : >"$root/calls"
  become RAMET_TIME=''
  ok 'become: no time, if none is given' is "$status $(grep -c '^date' "$root/calls")" '0 0'
  before=$(snapshot)
  for value in RAMET_MACHINE_ID= RAMET_MACHINE_ID=0123 RAMET_MACHINE_ID=0123456789abcdef0123456789abcdeg \
    RAMET_MACHINE_ID=0123456789abcdef0123456789abcdef0 RAMET_MAC= RAMET_MAC=52:54:00:aa:bb RAMET_MAC='52:54:00:aa:bb:cc x' \
    RAMET_MAC=52:54:00:AA:BB:CC RAMET_ADDRESS=192.0.2.7 RAMET_ADDRESS='192.0.2.7/24 x' RAMET_TIME='1;x' RAMET_TIME=-1 \
    RAMET_HOST_KEY= RAMET_HOST_KEY=x RAMET_HOST_KEY_PUBLIC='ssh-rsa x' RAMET_SEED=; do
    become "$value"
    ok "become: '$value' is refused" is "$status $(wc -l <"$work/stderr")" '1 1'
  done
  ok 'become: and nothing is changed then' is "$(snapshot)" "$before"
  mkdir -p "$root/sys/class/net/ens4/device"
  become
  ok 'become: two interfaces' refused 'more than one network interface'
  rm -r "$root/sys/class/net/ens4" "$root/sys/class/net/ens3/device"
  become
  ok 'become: no interface' refused 'no network interface'
  mkdir "$root/sys/class/net/ens3/device"
  rmdir "$root/sys/bus/acpi/drivers/vmgenid/QEMUVGID:00"
  become
  ok 'become: random numbers that would repeat' refused 'cannot be made new'
  # what the calls are given, rather than the calls: those would reach the machine's own kernel
  stand_in perl 'cat >/dev/null'
  stand_in date
  become
  ok 'become: unless the kernel can be told' is "$status $(grep -c '0x40085203.*0x5207' "$root/calls")" '0 1'
  become_reseed_test
}

# The two programs that call the kernel, with calls that write down what they get.
become_reseed_test() {
  export RAMET_SEED=c2VlZA==
  sed -n "/^  perl -e '/,/' 2>/p" "$steps/template/identity.sh" | sed "1s/^  perl -e '//; \$s/' 2>.*//" >"$work/reseed.pl"
  ok 'become: what perl calls' is \
    "$(perl -e 'BEGIN { *CORE::GLOBAL::ioctl = sub { defined fileno ($_[0]) or die; printf "%x %s\n", $_[1], $_[2] =~ /^0$/ ? 0 : unpack ("H*", $_[2]); 1 } }' \
      -e "$(cat "$work/reseed.pl")")" \
    "40085203 00010000080000006332566c5a413d3d${nl}5207 0"
  unset RAMET_SEED
}

#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# The main path: two VMs cloned from one base at once, used in every way, restarted and removed; then the same once as an
# ordinary user.
# long: five boots
# shellcheck disable=SC2016,SC2034
source "$(dirname -- "${BASH_SOURCE[0]}")/lib.sh"
# shellcheck source=tests/system/lab.d/console.sh
source "$t_system_dir/lab.d/console.sh"

images=/var/lib/libvirt/images
app=/home/projects/app
odd="/home/projects/büro, 'alt' & \"neu\""

# Print field $2 (a Python expression on the first entry, d) of `ramet info --json $1`.
info ()
{
  ramet info --json "$1" | python3 -c "import json, sys; d = json.load(sys.stdin)[0]; print($2)"
}

# Check that what the last command printed is JSON.
check_json ()
{
  python3 -m json.tool <<<"$out" >/dev/null 2>&1 && ok || fail "not JSON: '$out'"
}

# Run the script on standard input as root in the VM $1.
inside ()
{
  ramet ssh "$1" -- sh -s
}

# A project with links of all kinds, a file that is nobody else's business, and its history.
make_project ()
{
  mkdir -p "$app/src/deep" "$app/empty" "$odd"
  echo "from the host" >"$app/file"
  echo "int main;" >"$app/src/deep/main.c"
  echo "odd" >"$odd/file"
  ln -s file "$app/relative"
  ln -s "$app/src" "$app/absolute"
  ln -s src/deep "$app/to-folder"
  ln -s nowhere "$app/dangling"
  ln -s ../../../../etc/hostname "$app/src/outside"
  ln -s /proc/self/root "$app/root"
  echo "PASSWORD=secret" >"$app/.env"
  chmod 0600 "$app/.env"
  printf '#!/bin/sh\necho ran\n' >"$app/run.sh"
  chmod 0755 "$app/run.sh"
  python3 -c 'import os, sys; os.setxattr(sys.argv[1], "user.note", b"kept")' "$app/file"
  if need_program git git; then
    git -C "$app" init -q
    git -C "$app" -c user.name=a -c user.email=a@example.org commit -q --allow-empty -m first
  fi
}

# What there is of VMs on this host.
host_state ()
{
  virsh -c qemu:///system list --all --name | sort
  find "$images" /var/lib/libvirt/qemu/nvram /var/lib/libvirt/qemu/save -mindepth 1 -printf '%p %u %m\n' 2>/dev/null | sort || true
}

make_project
lab_base
echo "somebody's" >"$images/notes.txt"
manifest_domain debian-12 >"$t_dir/base"
manifest "$app" >"$t_dir/app"
host_state >"$t_dir/host"
repo_serve
cat >"$t_dir/add-source.sh" <<END
set -e
rm -f /etc/apt/sources.list /etc/apt/sources.list.d/*
echo '$repo_line' >/etc/apt/sources.list
END
ssh-keygen -q -t ed25519 -N '' -f "$t_dir/key"

# ------------------------------------------------------------------ two at once

t_start "two VMs are cloned from one base at once"
ramet clone --cpus 1 -d "$app" -d "$odd" debian-12 web >"$t_dir/web.out" 2>"$t_dir/web.err" &
web_pid=$!
ramet clone --json --cpus 1 --memory 768M --mac 52:54:00:AB:CD:EF --disk-size 12G --project shop --user ann \
  --ssh-key "$t_dir/key.pub" --run "$t_dir/add-source.sh" --package ramet-probe -d "$app:/srv/app" \
  debian-12 api >"$t_dir/api.out" 2>"$t_dir/api.err" &
api_pid=$!
for name in web api; do
  pid=${name}_pid
  status=0
  wait "${!pid}" || status=$?
  assert_eq 0 "$status" "the exit status of 'ramet clone $name'"
  ((status == 0)) || sed 's/^/#   /' "$t_dir/$name.err"
done
if ! ramet info web api >/dev/null; then
  t_end
  exit 1
fi
assert_contains "web is ready at 192.168.122." "$(cat "$t_dir/web.out")" "stdout"
assert_contains "1 of " "$(cat "$t_dir/web.err")" "the warning of a file closed to QEMU's user"
assert_contains ".env" "$(cat "$t_dir/web.err")" "the warning of a file closed to QEMU's user"
warned=$(grep -n '\.env' "$t_dir/web.err" | cut -d: -f1 | head -n 1)
started=$(grep -n 'creating' "$t_dir/web.err" | cut -d: -f1 | head -n 1)
((${warned:-99} < ${started:-0})) || fail "the warning came after the making began"
assert_eq "api ready ann" "$(python3 -c 'import json, sys; d = json.load(sys.stdin); print(d["name"], d["state"], d["user"])' <"$t_dir/api.out")" \
  "the JSON of 'ramet clone'"

t_start "both are reached by name, with an identity of their own"
for name in web api; do
  check getent hosts "$name.local"
  read -r address _ <<<"$out"
  assert_eq "$(info "$name" 'd["address"]')" "$address" "the address of $name.local"
  printf -v "address_$name" %s "$address"
done
# shellcheck disable=SC2154
assert_ne "$address_web" "$address_api" "addresses"
ramet ssh-config >"$t_dir/config"
ssh_api ()
{
  ssh -i "$t_dir/key" -o IdentitiesOnly=yes -F "$t_dir/config" ann@api.local "$@"
}
identity='hostname; cat /etc/machine-id; cut -d" " -f2 /etc/ssh/ssh_host_ed25519_key.pub; ip -br link | sed -n "s/^e[^ ]* *[^ ]* *\([^ ]*\).*/\1/p"; id -un'
mapfile -t of_web < <(ramet ssh web -- "$identity")
mapfile -t of_api < <(ssh_api "$identity")
assert_eq 5 "${#of_web[@]}" "lines that web gave"
assert_eq 5 "${#of_api[@]}" "lines that api gave"
assert_eq "web api" "${of_web[0]:-} ${of_api[0]:-}" "host names"
for i in 1 2 3; do
  assert_ne "${of_web[i]:-}" "${of_api[i]:-}" "part $i of the identity"
done
assert_match '^[0-9a-f]{32}$' "${of_web[1]:-}" "machine-id"
assert_eq 52:54:00:ab:cd:ef "${of_api[3]:-}" "the MAC that was asked for"
assert_eq "$(info web 'd["macs"][0]')" "${of_web[3]:-}" "web's MAC"
assert_eq "root ann" "${of_web[4]:-} ${of_api[4]:-}" "users"
assert_ne "$(virsh -c qemu:///system domuuid web)" "$(virsh -c qemu:///system domuuid api)" "UUIDs"
assert_ne "$(virsh -c qemu:///system domuuid web)" "$(virsh -c qemu:///system domuuid debian-12)" "UUIDs"

t_start "ssh hands on input, output and the exit status"
expect_status 7 ramet ssh web -- sh -c 'exit 7'
expect_status 7 ramet ssh web exit 7
assert_eq "one  two" "$(ramet ssh web -- echo 'one  two')" "words kept together"
assert_eq "through" "$(echo through | ramet ssh web -- cat)" "input"

t_start "plain ssh, scp and rsync work with what ssh-config prints"
check ssh -F "$t_dir/config" web.local hostname
assert_eq web "$out"
assert_eq "" "$err" "what ssh says"
check scp -F "$t_dir/config" "$app/file" web.local:/root/copied
check scp -F "$t_dir/config" web.local:/root/copied "$t_dir/copied"
assert_same_file "$app/file" "$t_dir/copied"

t_start "ssh does not talk to a machine with another host key"
check ramet ssh web -- 'cp -a /etc/ssh /root/ssh.bak; rm /etc/ssh/ssh_host_*; ssh-keygen -q -t ed25519 -N "" -f /etc/ssh/ssh_host_ed25519_key; systemctl reload ssh'
expect_status 255 ramet ssh web -- true
expect_status 255 ssh -F "$t_dir/config" web.local true
printf '{"execute":"guest-exec","arguments":{"path":"/bin/sh","arg":["-c","cp -a /root/ssh.bak/ssh_host_* /etc/ssh/; systemctl reload ssh"]}}' >"$t_dir/agent"
check virsh -q -c qemu:///system qemu-agent-command web "$(cat "$t_dir/agent")"
wait_for 20 ramet ssh web -- true

t_start "options of clone take effect in the guest"
mapfile -t got < <(ramet ssh web -- 'nproc; grep -c . /etc/resolv.conf >/dev/null; df -B1G --output=size / | tail -n 1')
assert_eq 1 "${got[0]:-}" "CPUs"
mapfile -t got < <(ssh_api 'ramet-probe; df -B1M --output=size / | tail -n 1; awk "/MemTotal/ { print int (\$2 / 1024) }" /proc/meminfo; sudo -n id -u; cat /srv/app/file; nproc')
assert_eq ramet-probe "${got[0]:-}" "the package's program"
((${got[1]:-0} > 11000)) || fail "the root filesystem has ${got[1]:-} MiB on a disk of 12 GiB"
((${got[2]:-0} > 650 && ${got[2]:-0} <= 768)) || fail "the guest has ${got[2]:-} MiB of 768"
assert_eq 0 "${got[3]:-}" "sudo without a password"
assert_eq "from the host" "${got[4]:-}" "the share at another place"
assert_eq "shop ann 1" "$(info api 'd["project"], d["user"], d["cpus"]' | tr -d "(),'")" "what info tells"
assert_eq "$((768 << 20))" "$(info api 'd["memory_bytes"]')" "memory"

# ------------------------------------------------------------------ the share

t_start "the guest sees the project as it is on the host"
check inside web <<END
cd '$app' && cat file absolute/deep/main.c relative to-folder/main.c
for link in relative absolute to-folder dangling src/outside root; do printf '%s %s\n' \$link "\$(readlink \$link)"; done
cat dangling 2>&1 || true
./run.sh
cat src/outside
ls -A . | wc -l
END
want=$(cd "$app" && cat file absolute/deep/main.c relative to-folder/main.c \
  && for link in relative absolute to-folder dangling src/outside root; do printf '%s %s\n' $link "$(readlink $link)"; done
  LC_ALL=C cat dangling 2>&1 || true
  printf '%s\n' ran web "$(find . -mindepth 1 -maxdepth 1 | wc -l)")
assert_eq "$want" "$out" "the tree"
check inside web <<END
cat "$(printf %s "$odd" | sed 's/"/\\"/g')/file"
END
assert_eq odd "$out" "a file in a folder with an odd name"

t_start "git takes the guest's tree for its own"
ramet ssh web -- cat /etc/gitconfig >"$t_dir/gitconfig"
if need_program git git; then
  check git config --file "$t_dir/gitconfig" --get-all safe.directory
  grep -qxF -- "$app" <<<"$out" || fail "the project is not among git's safe folders: $out"
  grep -qxF -- "$odd" <<<"$out" || fail "the folder with the odd name is not among git's safe folders: $out"
fi
if ramet ssh web -- command -v git >/dev/null; then
  check ramet ssh web -- git -C "$app" status --short
fi

t_start "what the guest writes is the guest's alone, and the host's changes come through"
check inside web <<END
set -e
cd '$app'
echo "from the guest" >>file
echo new >src/new
mkdir -p folder/deep && echo x >folder/deep/x
rm run.sh
mv src/deep/main.c src/deep/moved.c
sync
END
assert_eq "from the host" "$(cat "$app/file")" "the file on the host"
check ramet ssh web -- cat "$app/file"
assert_eq "from the host"$'\n'"from the guest" "$out" "the file in the guest"
manifest "$app" >"$t_dir/app-after"
assert_same_file "$t_dir/app" "$t_dir/app-after" "the host's tree"
assert_eq "from the host" "$(ssh_api cat /srv/app/file)" "the file in the other guest"

t_start "the guest's root cannot change the host's tree"
tag=$(info web 'd["shares"][0]["tag"]')
check inside web <<END
cd /
try () { "\$@" >/dev/null 2>&1 && echo "did: \$*"; }
attack ()
{
  cd "\$1" && test -f file || { echo "cannot look into \$1"; return; }
  try sh -c 'echo broken >>file'
  try sh -c 'echo broken >new'
  try mkdir made
  try ln file hard
  try ln -s /etc/shadow evil
  try ln -sfn /etc/shadow relative
  try mknod node b 8 0
  try mknod pipe p
  try chmod 0777 file
  try chmod 4755 run.sh
  try chown 12345:12345 file
  try touch -d 2001-01-01 file
  try truncate -s 0 file
  # setxattr and removexattr on x86-64: the guest has no programs for it
  try perl -e '@a = ("file", "user.evil", "1"); exit (syscall (188, @a, 1, 0) != 0)'
  try perl -e '@a = ("file", "user.note"); exit (syscall (197, @a) != 0)'
  try dd if=/dev/zero of=file bs=1 count=1 conv=notrunc
  try chattr +a file
  try mv file other
  try rm -f file
  try rm -rf src/deep
  # out of the tree, by a name and by links of its own
  cp /bin/true ../escaped
  cp /bin/true root/tmp/escaped
  echo broken >absolute/escaped
  cd /
} 2>/dev/null
lower=/var/lib/ramet/shares/$tag/lower
echo "== lower"
attack "\$lower"
try mount -o remount,rw "\$lower"
attack "\$lower"
echo "== merged"
attack '$app'
chattr -a '$app'/* 2>/dev/null
echo "== mounted again"
/usr/local/lib/ramet/share detach $tag
mkdir -p /mnt/again
for access in any client user; do
  try mount -t 9p -o "trans=virtio,version=9p2000.L,rw,access=\$access" $tag /mnt/again
  attack /mnt/again
  try umount /mnt/again
done
try mount -t 9p -o "trans=virtio,version=9p2000.u,rw" $tag /mnt/again
attack /mnt/again
try umount /mnt/again
/usr/local/lib/ramet/share attach $tag
rm -rf '$app'/* '$app'/.git
echo "== over"
END
for part in lower merged "mounted again" over; do
  assert_contains "== $part" "$out" "the attack"
done
assert_lacks "cannot look into" "$out" "the attack"
again=${out#*== mounted again}
assert_eq 4 "$(grep -c 'did: mount -t 9p' <<<"$again")" "times that it was mounted again"
did=$(printf '%s\n' "${out%%== merged*}" "$again" | grep 'did: ' | grep -vE 'did: u?mount ' || true)
# over the old dialect, the last, rm believes that it did; the tree outside, below, is what counts
assert_eq "" "${did%'did: rm -rf src/deep'}" "what the guest's root could do"
# what was tried does work where it may
merged=${out#*== merged} merged=${merged%%== mounted again*}
for text in "sh -c echo broken >>file" "mkdir made" "ln file hard" "ln -s /etc/shadow evil" "mknod node b 8 0" "chmod 0777 file" \
  "chown 12345:12345 file" "truncate -s 0 file" "perl -e @a = (\"file\", \"user.evil\"" "rm -rf src/deep"; do
  assert_contains "did: $text" "$merged" "the attack on the guest's own layer"
done
manifest "$app" >"$t_dir/app-after"
assert_same_file "$t_dir/app" "$t_dir/app-after" "the host's tree"
assert_eq "" "$(find /home/projects -name escaped)" "files beside the tree"
check inside web <<END
set -e
cd '$app'
test ! -e src
echo "from the guest again" >mine
sync
END

# ------------------------------------------------------------------ the console

# Check that no root shell answers on the serial console of $1.
assert_sealed ()
{
  if console_answers_root "$1" "$t_dir/console"; then
    fail "a root shell answers on ttyS0 of $1: $(cat -v "$t_dir/console")"
  else
    ok
  fi
}

t_start "nothing answers as root on the console of a finished VM"
assert_sealed web
root_consoles ()
{
  ramet ssh web -- 'ps -eo user=,tty=,comm= | awk "\$1 == \"root\" && \$2 ~ /^(ttyS[0-9]|hvc[0-9]|tty[0-9]|console)\$/ && \$3 !~ /^(agetty|login|getty)\$/"
    grep -rlsE -e "--autologin|-a root|ramet root console" /etc/systemd /etc/inittab /etc/init /run/systemd/system || true
    getent shadow root | cut -d: -f2 | grep -x "" || true'
}
assert_eq "" "$(root_consoles)" "shells of root on terminals, and what would start one"

# ------------------------------------------------------------------ the life of a VM

t_start "a restarted VM is the same: its files, its share, its name and its clock"
check ramet restart web
check ramet wait --timeout 300 web
assert_contains "$(printf 'web.local\t%s' "$address_web")" "$out" "what wait prints"
mapfile -t got < <(ramet ssh web -- "cat '$app/mine'; ls -A '$app' | tr '\n' ' '; echo; hostname; date +%s; cat /etc/machine-id; cut -d' ' -f2 /etc/ssh/ssh_host_ed25519_key.pub; systemctl is-system-running --wait")
assert_eq "from the guest again" "${got[0]:-}" "the guest's own file"
assert_lacks "run.sh" "${got[1]:-}" "what the guest deleted"
assert_eq web "${got[2]:-}" "the host name"
skew=$((${got[3]:-0} - $(date +%s)))
((skew >= -60 && skew <= 2)) || fail "the guest's clock is off by $skew s"
assert_eq "${of_web[1]:-} ${of_web[2]:-}" "${got[4]:-} ${got[5]:-}" "the identity"
assert_eq running "${got[6]:-}" "the guest's services"
check getent hosts web.local
assert_sealed web
assert_eq "" "$(root_consoles)" "shells of root on terminals, and what would start one"
manifest "$app" >"$t_dir/app-after"
assert_same_file "$t_dir/app" "$t_dir/app-after" "the host's tree"

t_start "what data commands print is JSON with the right values"
check ramet list --json
assert_eq "api:running:shop web:running:None" "$(python3 -c 'import json, sys
print(" ".join(sorted("%s:%s:%s" % (d["name"], d["run"], d["project"]) for d in json.load(sys.stdin))))' <<<"$out")" "list"
check ramet list --json --all
assert_eq "api debian-12 web" "$(python3 -c 'import json, sys; print(*sorted(d["name"] for d in json.load(sys.stdin)))' <<<"$out")" "list --all"
check ramet list --json --project shop
assert_eq "api" "$(python3 -c 'import json, sys; print(*(d["name"] for d in json.load(sys.stdin)))' <<<"$out")" "list --project"
assert_eq "ready running debian-12 web.local $app" \
  "$(info web '" ".join ((d["state"], d["run"], d["base"], d["host"], d["shares"][0]["source"]))')" "info"
assert_eq "$odd" "$(info web 'd["shares"][1]["source"]')" "the folder with an odd name"
check ramet tree --json
check_json
check ramet base list --json
check_json
check ramet tree
assert_match 'debian-12.*─ api .*─ web ' "$out" "tree"
for table in list "info web" "base list"; do
  # shellcheck disable=SC2086
  check ramet $table
  assert_contains debian-12 "$out" "$table"
done

t_start "a VM is paused, resumed, stopped and started, and told so where that makes no sense"
check ramet pause api
assert_eq paused "$(info api 'd["run"]')"
check ramet pause api
expect_status 4 ramet ssh api -- true
expect_status 4 ramet start api
sleep 3
check ramet resume api
assert_eq running "$(info api 'd["run"]')"
skew=$(($(ssh_api date +%s) - $(date +%s)))
((skew >= -2 && skew <= 2)) || fail "the clock of a resumed guest is off by $skew s"
check ramet autostart @shop
assert_eq True "$(info api 'd["autostart"]')"
assert_contains "api" "$(virsh -c qemu:///system list --all --autostart --name)" "libvirt's autostart"
check ramet autostart --off api
assert_eq False "$(info api 'd["autostart"]')"
expect_status 5 ramet clone --no-bootstrap api other
expect_status 6 ramet stop api nobody
assert_eq off "$(info api 'd["run"]')"
check ramet stop api
expect_status 4 ramet ssh api -- true
expect_status 5 ramet clone --no-bootstrap api other
expect_status 4 ramet base remove --yes debian-12
expect_status 5 ramet remove --yes debian-12
expect_status 5 ramet start debian-12

# ------------------------------------------------------------------ the end of a VM

t_start "a removed VM leaves nothing, and nothing else goes with it"
check ramet remove --yes web api
host_state >"$t_dir/host-after"
assert_same_file "$t_dir/host" "$t_dir/host-after" "the host"
assert_eq "somebody's" "$(cat "$images/notes.txt")" "a file that ramet did not make"
expect_status 3 ramet info web
expect_status 3 ramet ssh web -- true
manifest "$app" >"$t_dir/app-after"
assert_same_file "$t_dir/app" "$t_dir/app-after" "the host's tree"

# ------------------------------------------------------------------ an ordinary user

t_start "an ordinary user shares a folder of a closed home, with --grant"
as_dev mkdir -p /home/dev/src/app
as_dev sh -c 'echo mine >/home/dev/src/app/file; ln -s file /home/dev/src/app/link; chmod 0700 /home/dev/src'
as_dev ssh-keygen -q -t ed25519 -N '' -f /home/dev/.ssh/id_ed25519 2>/dev/null \
  || as_dev sh -c 'mkdir -m 0700 -p .ssh; ssh-keygen -q -t ed25519 -N "" -f .ssh/id_ed25519'
access_state ()
{
  getfacl --absolute-names /home/dev /home/dev/src /home/dev/src/app
  manifest /home/dev/src/app
}
access_state | sed 's/ c=[0-9]*//' >"$t_dir/access"
ramet=$(command -v ramet)
expect_status 5 as_dev "$ramet" clone --cpus 1 -d /home/dev/src/app debian-12 mine
assert_contains "may not pass '/home/dev'" "$err"
# beside it one that is not set up, and so has the base's root console: there the look from outside does find a shell
check ramet clone --no-bootstrap --cpus 1 debian-12 raw
check ramet start raw
check as_dev "$ramet" clone --grant --cpus 1 -d /home/dev/src/app debian-12 mine
assert_contains "mine is ready" "$out"
assert_contains "libvirt-qemu:--x" "$(getfacl --absolute-names /home/dev)" "access to the home"
mapfile -t got < <(as_dev "$ramet" ssh mine -- 'id -un; id -u; cat /home/dev/src/app/link; echo more >>/home/dev/src/app/file && stat -c %U /home/dev/src/app/file; sudo -n id -u; echo "$PWD"')
assert_eq "dev $(id -u dev) mine dev 0 /home/dev" "${got[*]}" "what dev finds in the guest"
assert_eq mine "$(cat /home/dev/src/app/file)" "the file on the host"
check as_dev "$ramet" list --json
check_json

t_start "the console of a VM that was not set up does answer as root"
wait_for 300 console_answers_root raw "$t_dir/console"
check ramet remove --yes raw

t_start "what was granted is taken back on removal"
check as_dev "$ramet" remove --yes mine
access_state | sed 's/ c=[0-9]*//' >"$t_dir/access-after"
assert_same_file "$t_dir/access" "$t_dir/access-after" "access to the home"
assert_eq "dev 700" "$(stat -c '%U %a' /home/dev)" "the home"
host_state >"$t_dir/host-after"
assert_same_file "$t_dir/host" "$t_dir/host-after" "the host"

t_start "after all of it the base is as it was"
manifest_domain debian-12 >"$t_dir/base-after"
assert_same_file "$t_dir/base" "$t_dir/base-after" "the base"

t_done

#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# What a person sees of VMs: lists and the tree in wide and narrow terminals, live and over pipes, drawn as a graph, and what a
# dry run shows. No guest here boots. Screens that are the same every time stand in screens.d; RAMET_TEST_SCREENS names a
# folder to write them to anew.
# light: no guest of it boots a system
# shellcheck disable=SC2154
source "$(dirname -- "${BASH_SOURCE[0]}")/lib.sh"

images=/var/lib/libvirt/images
golden=$t_system_dir/screens.d
v="virsh -q -c qemu:///system"
escape=$'\033'

# ------------------------------------------------------------------ terminals

t_mux ()
{
  tmux -L ramet-screens -u -f /dev/null "$@"
}

# Run the shell command $3 in a terminal of $1 columns and $2 rows, and wait until it has ended.
terminal_run ()
{
  rm -f -- "$t_dir/ended"
  t_mux new-session -d -s t -x "$1" -y "$2" "$3; touch '$t_dir/ended'; sleep 100"
  wait_for 20 test -e "$t_dir/ended"
  sleep 0.1
}

# Open a terminal of $1 columns and $2 rows with a shell in it.
terminal_open ()
{
  t_mux new-session -d -s t -x "$1" -y "$2" "PS1='\$ ' exec bash --norc --noprofile -i"
}

# Print what is in the window; with -e, its colours too, with -J, wrapped lines joined.
terminal_show ()
{
  t_mux capture-pane -p "$@" -t t | sed -e 's/ *$//' -e :a -e '/^\n*$/{$d;N;ba' -e '}'
}

terminal_close ()
{
  t_mux kill-server
  sleep 0.1
}

# Does the window hold $1, as an extended regular expression?
terminal_has ()
{
  terminal_show | grep -qE -- "$1"
}

terminal_lacks ()
{
  ! terminal_has "$1"
}

# Sizes depend on the filesystem; how many digits they have hardly does.
stable ()
{
  perl -pe 's/[0-9.]+(?= [KMG]iB)/$& =~ s{[0-9]}{#}gr/ge'
}

# Check that `ramet $2` in a terminal of $1 columns looks as in the file $3; further arguments are for terminal_show.
looks_like ()
{
  local width=$1 command=$2 file=$3
  shift 3
  terminal_run "$width" 24 "ramet $command"
  terminal_show "$@" | stable >"$t_dir/screen"
  terminal_close
  if [[ -n ${RAMET_TEST_SCREENS:-} ]]; then
    cp -- "$t_dir/screen" "$RAMET_TEST_SCREENS/$file"
  fi
  assert_same_file "$golden/$file" "$t_dir/screen" "the screen of 'ramet $command' at $width columns"
}

# ------------------------------------------------------------------ VMs

# Edit ramet's own element in the metadata of domain $1 by the sed script $2.
edit_metadata ()
{
  local xml
  xml=$($v metadata "$1" urn:ramet:1 | sed -E "$2")
  must $v metadata "$1" urn:ramet:1 --key ramet --set "$xml"
}

# Make the VM $1 of hollow, which looks set up, in state $2 and since so many hours ($3); $4 is its project, if it has one.
make_vm ()
{
  must ramet clone -q --no-bootstrap ${4:+--project "$4"} hollow "$1"
  edit_metadata "$1" "s/state=\"raw\"/state=\"$2\"/; s/(<vm [^>]*created=\")[^\"]*/\1$(date -u -d "-$3 hours -30 minutes" +%FT%TZ)/"
}

# What dnsmasq would write had the guest of domain $1 asked for an address: $2.
lease ()
{
  local mac
  mac=$($v domiflist "$1" | awk '{ print $5; exit }')
  jq -n --arg mac "$mac" --arg ip "$2" '[{"ip-address": $ip, "mac-address": $mac, "expiry-time": (now + 3600 | floor)}]' \
    >/var/lib/libvirt/dnsmasq/virbr0.status
}

# All that a dry run could change: domains, volumes, pools, files.
host_state ()
{
  local name
  $v list --all --name | sort | while IFS= read -r name; do
    [[ -z $name ]] || $v dumpxml --inactive "$name"
  done
  $v pool-list --all --name | sort
  $v vol-list default
  manifest "$images"
  manifest /home
  manifest /root
}

t_start "where there is nothing, it is said what to do first"
check ramet list
assert_eq "" "$out" "the list"
assert_contains "'ramet base build' makes a base, then 'ramet clone BASE NAME' a VM" "$err" "what is said"
check ramet tree
assert_contains "'ramet base build' makes a base" "$err" "what is said of the tree"
check ramet list --json
assert_eq "[]" "$(jq -c . <<<"$out")" "the list as JSON"
check ramet tree --dot
assert_match '^digraph ramet \{' "$out" "the graph"
lab_hollow hollow
must ramet clone -q --no-bootstrap hollow deb
edit_metadata deb 's/state="raw"/state="base"/'
check ramet list
assert_contains "no VMs yet: 'ramet clone deb NAME' makes one" "$err" "what is said where there is a base"
edit_metadata deb 's/state="base"/state="raw"/'
must ramet remove -q --yes deb

# ------------------------------------------------------------------ what it looks like

make_vm web ready 30 shop
make_vm db ready 5 shop
make_vm half creating 2
must ramet snapshot create -q web@before
edit_metadata web "s/(<point [^>]*created=\")[^\"]*/\1$(date -u -d '-28 hours' +%FT%TZ)/"
make_vm frozen template 400
make_vm forked ready 20
frozen_disk=$images/frozen.qcow2
edit_metadata forked "s|^( *<base .*)|\1\n    <disk target=\"vda\" path=\"$frozen_disk\" format=\"qcow2\"/>|"
make_vm second ready 1
edit_metadata second "s|<base |<base snapshot=\"before\" |; s|(<base [^>]*name=\")[^\"]*|\1web|; s|(<base [^>]*uuid=\")[^\"]*|\1$($v domuuid web)|"
must $v start web
must $v start db
must $v suspend db
lease web 192.168.122.41

t_start "the list fits terminals of 80 and of 40 columns"
if need_program tmux tmux; then
  looks_like 80 list list-80
  looks_like 80 list list-80-colours -e
  looks_like 40 list list-40
  looks_like 120 "list --all" list-all-120
fi

t_start "the tree fits them, too, with templates and snapshots in it"
if need_program tmux tmux; then
  looks_like 80 tree tree-80
  looks_like 80 tree tree-80-colours -e
  looks_like 40 tree tree-40
fi

t_start "bases, snapshots and help fit them, too"
if need_program tmux tmux; then
  looks_like 40 "base list" base-list-40
  looks_like 40 "snapshot list" snapshot-list-40
  looks_like 40 "snapshot --help" snapshot-help-40
fi

t_start "there are no colours over a pipe, with NO_COLOR and with TERM=dumb, and the words say it all"
for command in list tree; do
  check ramet $command
  assert_lacks "$escape" "$out" "'ramet $command' over a pipe"
  if need_program tmux tmux; then
    for setting in NO_COLOR=1 TERM=dumb; do
      terminal_run 80 24 "$setting ramet $command"
      assert_lacks "$escape" "$(terminal_show -e)" "'ramet $command' with $setting"
      assert_match 'running' "$(terminal_show)" "what runs, with $setting"
      terminal_close
    done
  fi
done
check ramet list
assert_match 'db +paused ' "$out" "a paused VM over a pipe"
assert_match 'half +off \(creating\)' "$out" "one that is half made"

t_start "what files take is told as du does, to an ordinary user, too"
own=$(du --block-size=1 -c "$images/web.qcow2" "$images/web.before.qcow2" | awk 'END { print $1 }')
shared=$(du --block-size=1 "$images/hollow.qcow2" | cut -f1)
for as in "" as_dev; do
  check $as ramet list --json
  assert_eq "$own $shared" "$(jq -r '.[] | select (.name == "web") | "\(.disk_bytes) \(.shared_bytes)"' <<<"$out")" \
    "what 'web' takes, ${as:-as root}"
done
check ramet list --all --json
assert_eq "$shared" "$(jq -r '.[] | select (.name == "hollow") | .disk_bytes' <<<"$out")" "what the base takes"
check ramet tree
assert_eq "$(du --block-size=1 -c "$images"/*.qcow2 | awk 'END { printf "%.1f MiB in all", $1 / 1048576 }')" \
  "$(tail -n 1 <<<"$out")" "the sum"

t_start "names that are long, wide, or of several parts a character leave the columns where they are"
long=a23456789012345678901234567890123456789012345678901234567890bcd
lab_hollow "$long"
lab_hollow 日本語
lab_hollow $'cafe\u0301'
if need_program tmux tmux; then
  terminal_run 40 30 "ramet list --all"
  assert_contains "$long" "$(terminal_show -J)" "the long name in 40 columns"
  assert_match $'\n日本語  +off' "$(terminal_show)" "the wide name"
  terminal_close
  looks_like 80 "list --all" list-names-80
fi
for name in "$long" 日本語 $'cafe\u0301'; do
  must $v undefine "$name"
done

# ------------------------------------------------------------------ live

t_start "--watch shows a change at once, fits a window that changes, and leaves the terminal as it was"
if need_program tmux tmux; then
  terminal_open 80 24
  t_mux send-keys -t t "stty -a >$t_dir/stty-before; echo before-it" Enter
  wait_for 10 terminal_has '^before-it'
  t_mux send-keys -t t 'ramet list --watch; echo "status $?"' Enter
  wait_for 10 terminal_has 'web +running .*'
  assert_lacks before-it "$(terminal_show)" "the window"
  assert_match '[0-9:]{8}  5 VMs  q ends$' "$(terminal_show)" "the last line"
  $v resume db
  wait_for 3 terminal_has 'db +running'
  make_vm late ready 1
  wait_for 5 terminal_has 'late +off'
  t_mux resize-window -t t -x 40 -y 24
  wait_for 3 terminal_lacks SHARED
  assert_match 'late +off' "$(terminal_show)" "the narrow window"
  t_mux resize-window -t t -x 80 -y 6
  wait_for 3 terminal_has 'more lines: the window is too low'
  t_mux resize-window -t t -x 80 -y 24
  wait_for 3 terminal_lacks 'too low'
  t_mux send-keys -t t q
  wait_for 3 terminal_has '^status 0'
  assert_contains before-it "$(terminal_show)" "what was there before"
  t_mux send-keys -t t "stty -a >$t_dir/stty-after; echo written" Enter
  wait_for 3 terminal_has '^written'
  # the window has another size by now, which is no matter of the terminal's settings
  sed -i 's/rows [0-9]*; columns [0-9]*//' "$t_dir/stty-before" "$t_dir/stty-after"
  assert_same_file "$t_dir/stty-before" "$t_dir/stty-after" "the terminal's settings"
fi

t_start "Ctrl-C ends it as well, and Ctrl-Z gives the terminal back until 'fg'"
if need_program tmux tmux; then
  t_mux send-keys -t t 'clear; ramet list --watch; echo "then $?"' Enter
  wait_for 10 terminal_has 'q ends$'
  t_mux send-keys -t t C-z
  wait_for 3 terminal_has 'Stopped'
  assert_lacks 'q ends' "$(terminal_show)" "the window while it is stopped"
  t_mux send-keys -t t "stty -a >$t_dir/stty-after; echo stopped-it" Enter
  wait_for 3 terminal_has '^stopped-it'
  sed -i 's/rows [0-9]*; columns [0-9]*//' "$t_dir/stty-after"
  assert_same_file "$t_dir/stty-before" "$t_dir/stty-after" "the terminal's settings while it is stopped"
  t_mux send-keys -t t 'fg; echo "again $?"' Enter
  wait_for 3 terminal_has 'q ends$'
  t_mux send-keys -t t C-c
  wait_for 3 terminal_has '^again 0'
  t_mux send-keys -t t "stty -a >$t_dir/stty-after; echo ended-it" Enter
  wait_for 3 terminal_has '^ended-it'
  sed -i 's/rows [0-9]*; columns [0-9]*//' "$t_dir/stty-after"
  assert_same_file "$t_dir/stty-before" "$t_dir/stty-after" "the terminal's settings after Ctrl-C"
  terminal_close
fi

t_start "over a pipe it prints a table whenever something has changed, outlasts libvirtd, and ends with who reads it"
ramet list --watch >"$t_dir/watched" 2>"$t_dir/watched-err" &
watcher=$!
wait_for 10 grep -q 'db  *running' "$t_dir/watched"
sleep 3
assert_eq 1 "$(grep -c '^NAME' "$t_dir/watched")" "tables while nothing happens"
$v suspend db
wait_for 5 grep -q 'db  *paused' "$t_dir/watched"
assert_eq 2 "$(grep -c '^NAME' "$t_dir/watched")" "tables"
assert_lacks "$escape" "$(cat "$t_dir/watched")" "what is printed"
restart_libvirtd
$v resume db
wait_for 15 bash -c "tail -n 7 '$t_dir/watched' | grep -q 'db  *running'"
kill -TERM "$watcher"
wait_for 5 test ! -e "/proc/$watcher"
wait "$watcher"
assert_eq "" "$(cat "$t_dir/watched-err")" "what was said beside it"
check timeout 10 bash -o pipefail -c 'ramet list --watch | head -n 1'
assert_match '^NAME' "$out" "the first line"
ramet list --watch --json >"$t_dir/watched" &
watcher=$!
wait_for 10 grep -q '^]' "$t_dir/watched"
$v suspend db
wait_for 5 jq -se '.[1] | any (.name == "db" and .run == "paused")' "$t_dir/watched"
kill -TERM "$watcher"
wait "$watcher"

# ------------------------------------------------------------------ as a graph

t_start "the tree is drawn by Graphviz, whatever is in the names"
odd='ev"il\N&lt;b>]; x -> y [label="{'
must qemu-img create -q -f qcow2 "$images/odd.qcow2" 1G
python3 -c '
import sys, xml.etree.ElementTree as xml
domain = xml.parse(sys.argv[1])
domain.find("name").text = sys.argv[2]
domain.find("devices/disk/source").set("file", sys.argv[3])
domain.write(sys.stdout, encoding="unicode")' "$t_dir/hollow.xml" "$odd" "$images/odd.qcow2" >"$t_dir/odd.xml"
must $v define "$t_dir/odd.xml"
edit_metadata half "s|(<base [^>]*uuid=\")[^\"]*|\1$($v domuuid "$odd")|"
check ramet tree
assert_contains "$odd" "$out" "the tree"
check ramet tree --dot
printf '%s\n' "$out" >"$t_dir/tree.dot"
if need_program dot graphviz; then
  check dot -Tjson "$t_dir/tree.dot"
  assert_eq "" "$err" "what dot said"
  printf '%s\n' "$out" >"$t_dir/tree.json"
  check dot -Tsvg "$t_dir/tree.dot"
  printf '%s\n' "$out" >"$t_dir/tree.svg"
  check xmllint --noout --nonet "$t_dir/tree.svg"
  assert_contains "$(python3 -c 'import html, sys; print(html.escape(sys.argv[1]).replace("-", "&#45;"))' "$odd")" \
    "$(sed 's/&#160;/ /g' "$t_dir/tree.svg")" "the name in the picture"
  # each hangs below what it stands on
  assert_eq "$(printf '%s\n' '@before second' 'frozen forked' 'hollow db' 'hollow frozen' 'hollow late' 'hollow web' "$odd half" 'web @before' | sort)" \
    "$(python3 -c '
import html, json, sys
graph = json.load(open(sys.argv[1]))
names = {o["_gvid"]: html.unescape(o["label"].split("\\n")[0].replace("\\\"", "\"").replace("\\\\", "\\")) for o in graph["objects"]}
print("\n".join(names[e["tail"]] + " " + names[e["head"]] for e in graph["edges"]))' "$t_dir/tree.json" | sort)" "who stands on whom"
fi
expect_status 2 ramet tree --dot --json

t_start "metadata that name a circle hide nobody"
edit_metadata half "s|(<base [^>]*uuid=\")[^\"]*|\1$($v domuuid late)|"
edit_metadata late "s|(<base [^>]*uuid=\")[^\"]*|\1$($v domuuid half)|"
check ramet tree
assert_eq 1 "$(grep -cE "(^|─ )half " <<<"$out")" "how often the one is there"
assert_eq 1 "$(grep -cE "(^|─ )late " <<<"$out")" "how often the other is there"

# ------------------------------------------------------------------ a dry run

t_start "a dry run shows what would be and changes nothing, not even for a user without an ssh key"
mkdir -p /home/projects/app
printf 'echo\n' >/home/projects/set-up.sh
rm -rf /home/dev/.ssh /home/dev/.local
host_state >"$t_dir/before"
check as_dev ramet clone --dry-run -d /home/projects/app --package git --run /home/projects/set-up.sh --memory 128M hollow new
host_state >"$t_dir/after"
assert_same_file "$t_dir/before" "$t_dir/after" "the host"
assert_lacks "$escape" "$out" "what is printed over a pipe"
printf '%s\n' "$out" >"$t_dir/dry"
for line in '--- hollow' '+++ new' '-  <name>hollow</name>' '+  <name>new</name>' '-  <memory unit="KiB">65536</memory>' \
  '+  <memory unit="KiB">131072</memory>' "create $images/new.qcow2 (1.0 GiB) on $images/hollow.qcow2 (qcow2)" \
  'share /home/projects/app, read-only, at /home/projects/app' 'wait until new.local answers ssh'; do
  grep -qxF -e "$line" "$t_dir/dry" && ok || fail "no line '$line' in $(cat "$t_dir/dry")"
done
# the steps in their order: those of ramet, the user's own, the last
assert_eq "$(cat "$RAMET_CHECKOUT"/bootstrap/guest/*.sh "$RAMET_CHECKOUT/bootstrap/guest/extra/seal.sh" | grep '^# Ensures' | sed 's/^# E/e/')" \
  "$(sed -nE 's/^ +[0-9]+\. (ensures)/\1/p' "$t_dir/dry")" "the steps"
assert_eq $'--package git\n--run /home/projects/set-up.sh' "$(sed -nE 's/^ +[0-9]+\. (--)/\1/p' "$t_dir/dry")" "the user's own steps"
# what differs is what would be defined
check ramet clone --dry-run --json hollow new
assert_eq "new hollow 1073741824 null" "$(jq -r '"\(.name) \(.base) \(.volumes[0].bytes) \(.goes_on_from)"' <<<"$out")" "as JSON"
jq -r .xml <<<"$out" >"$t_dir/new.xml"
check $v define --validate "$t_dir/new.xml"
must $v undefine new
# of the base's definition the patch makes the clone's
sed -n '1,/^$/p' "$t_dir/dry" | sed '$d' >"$t_dir/patch"
$v dumpxml --inactive hollow | xmllint --noblanks - | xmllint --format - | sed 1d >"$t_dir/base.xml"
check patch "$t_dir/base.xml" "$t_dir/patch"
assert_eq new "$(xmllint --xpath 'string(/domain/name)' "$t_dir/base.xml")" "the name in the patched definition"
if need_program tmux tmux; then
  terminal_run 100 100 "ramet clone --dry-run hollow new"
  assert_contains "${escape}[32m+  <name>new</name>" "$(terminal_show -e)" "what is added"
  assert_contains "${escape}[31m-  <name>hollow</name>" "$(terminal_show -e)" "what is taken away"
  terminal_close
fi

# ------------------------------------------------------------------ many

t_start "a hundred VMs are listed soon, aligned, and cut to the window while they are watched"
for i in $(seq 100); do
  sed -E "s|<name>.*|<name>many-$i</name>|; s|<uuid>.*||; s|source file='[^']*'|source file='$images/hollow.qcow2'|" "$t_dir/hollow.xml" >"$t_dir/many-$i.xml"
  echo "define $t_dir/many-$i.xml"
done >"$t_dir/commands"
must $v "$(paste -sd';' "$t_dir/commands")"
began=$(date +%s%N)
check ramet list --all
took_ms=$((($(date +%s%N) - began) / 1000000))
note "$(wc -l <<<"$out") lines in $took_ms ms"
((took_ms < 3000)) || fail "it took $took_ms ms"
assert_eq 1 "$(awk '/many-/ { print index ($0, "off") }' <<<"$out" | sort -u | wc -l)" "how many places the state starts at"
assert_eq 100 "$(grep -c '^many-' <<<"$out")" "the VMs"
if need_program tmux tmux; then
  terminal_open 60 20
  t_mux send-keys -t t 'ramet list --all --watch' Enter
  wait_for 10 terminal_has 'more lines'
  assert_match '^NAME' "$(terminal_show)" "the first line"
  assert_match 'q ends$' "$(terminal_show)" "the last line"
  terminal_close
fi

t_done

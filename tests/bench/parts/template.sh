# shellcheck shell=bash disable=SC2154
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# Part 9: clones that go on from a template, against ones that boot and against the bare restore of the same file.

# Make a template of the base $1 with the options from $2 on; sets template.
template_make ()
{
  local of=$1
  shift
  bench_say "a template of $of"
  must ramet template create "$@" "$of"
  must ramet --json template list
  template=$(jq -r --arg base "$of" '.[] | select(.base == $base).name' <<<"$out")
  must test -n "$template"
}

# Make the clone $1 from a template with the options from $3 on, and keep the state of its devices as $2, which ramet removes as
# soon as it has been read: a file has as many names as it is given.
template_keep_state ()
{
  local name=$1 kept=$2 keeper
  shift 2
  until ln -- "/var/lib/libvirt/ramet-templates/$name.state" "$kept" 2>/dev/null; do sleep 0.01; done &
  keeper=$!
  must ramet clone --template "$@" "$name"
  kill "$keeper" 2>/dev/null || true
  must test -s "$kept"
}

# Set the disk of the VM $1, which is off, to what it was before it ran.
template_renew_disk ()
{
  local disk backing
  must virsh -c qemu:///system dumpxml --inactive "$1"
  disk=$(base_disk <(printf '%s\n' "$out"))
  must qemu-img info --output=json "$disk"
  backing=$(jq -r '."full-backing-filename"' <<<"$out")
  must qemu-img create -q -f qcow2 -b "$backing" -F qcow2 "$disk"
}

# Add to the samples template-$1-STAGE-s what became of the time from $2 to $3, by what ramet said in the file $t_dir/said.
template_add_stages ()
{
  local kind=$1 since=$2 until=$3 stage text when
  local name=checking
  while IFS='|' read -r stage text; do
    when=$(bench_when "$t_dir/said" "$text" 0) || exit
    bench_add_span "template-$kind-$name-s" "$since" "$when"
    name=$stage since=$when
  done <<'END_OF_STAGES'
making|: creating$
restore|: going on from
identity|: giving it an identity
address|: waiting for .*[.]local$
key|: waiting for ssh
seal|: checking that the console
END_OF_STAGES
  bench_add_span "template-$kind-$name-s" "$since" "$until"
}

# template_clone KIND NAME OPTION…: a clone to its first ssh command.
template_clone ()
{
  local kind=$1 name=$2 since=$EPOCHREALTIME ready
  shift 2
  must bench_stamp "$t_dir/said" ramet clone "$@" "$base" "$name"
  ready=$EPOCHREALTIME
  must ramet ssh "$name" -- true
  bench_add_span "template-$kind-s" "$since" "$EPOCHREALTIME"
  bench_add_span "template-$kind-ssh-s" "$ready" "$EPOCHREALTIME"
  [[ " $* " != *" --template "* ]] || template_add_stages "$kind" "$since" "$ready"
}

# The bare restore of what bench-bare was made of, and a later ssh command by address to the clone $1, which is up.
template_bare ()
{
  local since restored address begun login logins=()
  template_renew_disk bench-bare
  since=$EPOCHREALTIME
  must virsh -q -c qemu:///system restore --running "$t_state"
  restored=$EPOCHREALTIME
  must virsh -q -c qemu:///system destroy bench-bare
  must ramet --json info "$1"
  address=$(jq -r '.[0].address' <<<"$out")
  while ((${#logins[@]} < 3)); do
    begun=$EPOCHREALTIME
    must ssh -o BatchMode=yes -o StrictHostKeyChecking=no -o UserKnownHostsFile=/dev/null "$address" true
    logins+=("$(awk -v since="$begun" -v until="$EPOCHREALTIME" 'BEGIN { printf "%.6f", until - since }')")
  done
  login=$(printf '%s\n' "${logins[@]}" | sort -n | sed -n 2p)
  bench_add_span template-bare-restore-s "$since" "$restored"
  bench_add template-bare-ssh-s "$login"
  bench_add template-bare-s "$(awk -v since="$since" -v until="$restored" -v login="$login" \
    'BEGIN { printf "%.6f", until - since + login }')"
}

bench_template ()
{
  local round template t_state=/var/lib/libvirt/bench.state
  bench_make_plain_network
  template_make "$base"
  template_keep_state bench-bare "$t_state" "$base"
  must ramet stop --force bench-bare
  for ((round = 1; round <= repetitions; round++)); do
    bench_say "clones from a template and cold, $round of $repetitions"
    # names that nobody had before: avahi remembers for two minutes who did
    template_clone clone "bench-from-$round" --template
    template_bare "bench-from-$round"
    must ramet remove --yes "bench-from-$round"
    template_clone plain-clone "bench-plain-$round" --template --network plain
    must ramet remove --yes "bench-plain-$round"
    template_clone cold "bench-cold-$round" --cold
    must ramet remove --yes "bench-cold-$round"
  done
  must ramet remove --yes bench-bare
  must ramet template remove --yes "$template"
  must virsh -q -c qemu:///system net-destroy plain
  rm -- "$t_state"
}

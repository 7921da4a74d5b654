# shellcheck shell=bash disable=SC2154
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# Part 6: a snapshot with memory and a revert of a VM with a share, against virsh's own of the same guest without one.

# Add to the samples $1-NAME-s how long each step took of those that ramet told in the file $t_dir/said, from $2 until $3, NAME
# being the first word of the step.
snapshot_stages ()
{
  local kind=$1 since=$2 until=$3 name span
  awk -v since="$since" -v until="$until" '
    function close_stage(at) { if (name != "") print name, at - begun }
    BEGIN { name = "checking"; begun = since }
    { close_stage($1); name = $3; begun = $1; sub (/[^a-z].*/, "", name) }
    END { close_stage(until) }' "$t_dir/said" >"$t_dir/stages"
  while read -r name span; do
    bench_add "snapshot-$kind-$name-s" "$span"
  done <"$t_dir/stages"
}

# snapshot_ours KIND COMMAND…
snapshot_ours ()
{
  local kind=$1 since=$EPOCHREALTIME until
  shift
  must bench_stamp "$t_dir/said" "$@"
  until=$EPOCHREALTIME
  bench_add_span "snapshot-$kind-s" "$since" "$until"
  snapshot_stages "$kind" "$since" "$until"
}

# snapshot_theirs KIND COMMAND…
snapshot_theirs ()
{
  local kind=$1 since=$EPOCHREALTIME
  shift
  must "$@"
  bench_add_span "snapshot-virsh-$kind-s" "$since" "$EPOCHREALTIME"
}

snapshot_virsh ()
{
  must ramet ssh bench-snap -- sudo -n /usr/local/lib/ramet/share detach
  snapshot_theirs create virsh -c qemu:///system snapshot-create-as bench-snap theirs
  sleep 2
  snapshot_theirs revert virsh -c qemu:///system snapshot-revert bench-snap theirs
  must virsh -c qemu:///system snapshot-delete bench-snap theirs
  must ramet ssh bench-snap -- sudo -n /usr/local/lib/ramet/share attach
}

snapshot_ramet ()
{
  snapshot_ours create ramet snapshot create bench-snap@ours
  sleep 2
  snapshot_ours revert ramet snapshot revert bench-snap@ours
  bench_set_stp 0
  snapshot_ours plain-revert ramet snapshot revert bench-snap@ours
  bench_set_stp 1
  must ramet snapshot delete bench-snap@ours
}

bench_snapshot ()
{
  local round project=/home/snap
  mkdir -p -- "$project"
  cp -r -- "$RAMET_CHECKOUT/src" "$project/"
  must ramet clone "$base" bench-snap --memory 1G -d "$project"
  for ((round = 1; round <= repetitions; round++)); do
    bench_say "snapshot and revert, $round of $repetitions"
    snapshot_ramet
    snapshot_virsh
  done
  must ramet remove --yes bench-snap
}

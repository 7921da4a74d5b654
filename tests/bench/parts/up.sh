# shellcheck shell=bash disable=SC2154
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# Part 8: three VMs of a project made by 'ramet up', against three clones one after the other.

up_project ()
{
  local since=$EPOCHREALTIME
  must ramet up
  bench_add_span up-project-s "$since" "$EPOCHREALTIME"
  must ramet remove --yes @bench-up
}

up_one_by_one ()
{
  local since=$EPOCHREALTIME name
  for name in one two three; do
    must ramet clone --cpus 1 "$base" "bench-by-$name"
  done
  bench_add_span up-clones-s "$since" "$EPOCHREALTIME"
  must ramet remove --yes bench-by-{one,two,three}
}

bench_up ()
{
  local round
  mkdir -- "$t_dir/up"
  cd -- "$t_dir/up" || return
  printf '[project]\nname = bench-up\nbase = %s\ncpus = 1\n[vm one]\n[vm two]\n[vm three]\n' "$base" >ramet.ini
  for ((round = 1; round <= repetitions; round++)); do
    bench_say "up and three clones, $round of $repetitions"
    up_project
    up_one_by_one
  done
}

# shellcheck shell=bash disable=SC2154
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# Part 2: from a base to the first ssh command.

start_clone ()
{
  local since=$EPOCHREALTIME up root waiting
  must bench_stamp "$t_dir/said" ramet clone "$base" bench-start
  up=$EPOCHREALTIME
  must ramet ssh bench-start -- true
  bench_add_span start-clone-s "$since" "$EPOCHREALTIME"
  bench_add_span start-clone-ssh-s "$up" "$EPOCHREALTIME"
  root=$(bench_when "$t_dir/said" ': booting$')
  waiting=$(bench_when "$t_dir/said" ': waiting for bench-start' 0)
  bench_add_span start-clone-boot-s "$since" "$root"
  bench_add_span start-clone-steps-s "$root" "$waiting"
  bench_add_span start-clone-wait-s "$waiting" "$up"
}

start_again ()
{
  local since=$EPOCHREALTIME up
  must ramet start bench-start
  up=$EPOCHREALTIME
  must ramet ssh bench-start -- true
  bench_add_span start-again-s "$since" "$EPOCHREALTIME"
  bench_add_span start-again-ssh-s "$up" "$EPOCHREALTIME"
}

bench_start ()
{
  local round
  for ((round = 1; round <= repetitions; round++)); do
    bench_say "clone and start, $round of $repetitions"
    start_clone
    must ramet stop bench-start
    start_again
    must ramet remove --yes bench-start
  done
}

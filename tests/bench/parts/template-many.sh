# shellcheck shell=bash disable=SC2154
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# Part 11: many clones of one CPU from one template: what they take of memory and disk, and how long 20 take one after another
# and in parallel.

many_names=(bench-many-{1..20})

# Print for the running VM $1 the KiB of its guest memory that count as its own (what several map is divided among them), and
# those of what the emulator made of its code, which there is none of with KVM. Guest memory is what is mapped as a whole: with
# a view of a template's there is a second such mapping, unused.
many_memory_of ()
{
  local whole
  whole=$(virsh -c qemu:///system dominfo "$1" | sed -n 's/^Max memory: *\([0-9]*\) KiB$/\1/p')
  awk -v whole="${whole:?}" '
    /^[0-9a-f]+-[0-9a-f]+ / { access = $2; path = $6 }
    $1 == "Size:" { kind = access ~ /^rwx/ && path == "" ? "code" : access ~ /^rw-/ && $2 >= whole ? "guest" : "other" }
    $1 == "Pss:" { pss[kind] += $2; n += kind == "guest" }
    END { if (!n) exit 1; print pss["guest"], pss["code"] + 0 }' "/proc/$(cat "/run/libvirt/qemu/$1.pid")/smaps"
}

# Print the same for the running VMs given together, in MiB.
many_memory ()
{
  local name
  for name in "$@"; do
    many_memory_of "$name" || { echo "the guest memory of '$name' is not seen" >&2; return 1; }
  done | awk '{ guest += $1; code += $2 } END { printf "%.1f %.1f\n", guest / 1024, code / 1024 }'
}

# Print what the files of the clone $1 take, in MiB.
many_disk ()
{
  find /var/lib/libvirt /etc/libvirt/qemu \( -name "$1.*" -o -name "domain-*-$1" \) -print0 \
    | du --block-size=1024 --total --files0-from=- | awk 'END { print $1 / 1024 }'
}

# Make the clone $2 with the options from $3 on; what it takes of the disk when it is ready goes to the samples $1.
many_clone ()
{
  local samples_of=$1 name=$2
  shift 2
  timeout 900 ramet clone -q --cpus 1 "$@" "$base" "$name" && many_disk "$name" >>"$samples/$samples_of"
}

# Eight clones made as $1 says, with the options from $3 on, $2 at a time, are left idle for a while.
many_idle ()
{
  local kind=$1 jobs=$2 guest code name
  shift 2
  bench_say "eight clones, $kind"
  export base samples
  export -f many_clone many_disk
  must xargs -P "$jobs" -I{} bash -c 'many_clone "$@"' bash "many-disk-$kind-mib" {} "$@" \
    < <(printf '%s\n' "${many_names[@]:0:8}")
  sleep 60
  must many_memory "${many_names[@]:0:8}"
  read -r guest code <<<"$out"
  for name in "${many_names[@]:0:8}"; do
    many_disk "$name" >>"$samples/many-disk-idle-$kind-mib"
  done
  bench_add "many-memory-$kind-mib" "$guest"
  bench_add "many-code-$kind-mib" "$code"
  must ramet remove --yes "${many_names[@]:0:8}"
}

# Make the clone $2; when that was, from $1 on, goes to a file.
many_make ()
{
  ramet clone -q --template --cpus 1 --network plain "$base" "$2" && bench_add_span many-ready "$1" "$EPOCHREALTIME"
}

# All at once, as from a shell's loop: ramet and libvirt see to it that they do not stand in each other's way.
many_make_parallel ()
{
  local since=$EPOCHREALTIME name job jobs=() failed=0
  for name in "${many_names[@]}"; do
    many_make "$since" "$name" &
    jobs+=("$!")
  done
  for job in "${jobs[@]}"; do
    wait "$job" || failed=1
  done
  return "$failed"
}

many_make_in_turn ()
{
  local since=$EPOCHREALTIME name
  for name in "${many_names[@]}"; do
    many_make "$since" "$name" || return
  done
}

# Make all of them as $1 says. What is plotted has two numbers a line: how many were ready, and when.
many_measure ()
{
  must "many_make_${1//-/_}"
  sort -n "$samples/many-ready" | nl -ba >>"$samples/plot-$1"
  sort -n "$samples/many-ready" | tail -n 1 >>"$samples/many-$1-s"
  rm -- "$samples/many-ready"
  must ramet remove --yes "${many_names[@]}"
}

bench_template_many ()
{
  local round template
  template_make "$base" --cpus 1
  many_idle template 4 --template
  many_idle cold 2 --cold
  bench_make_plain_network
  for ((round = 1; round <= repetitions; round++)); do
    bench_say "twenty clones one after another and in parallel, $round of $repetitions"
    many_measure in-turn
    many_measure parallel
  done
  must virsh -q -c qemu:///system net-destroy plain
  must ramet template remove --yes "$template"
}

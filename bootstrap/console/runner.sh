# Runs in the guest at the other end of ramet's root console
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# usage: sh runner NONCE FOLDER, with the terminal as standard input. Requests are lines "SEQUENCE VERB [ARGUMENT]":
#   put SHA256   a chunk follows as base64, ended by EOT; it is added to what was put before   -> got 0 (or 1: resend)
#   env          what was put holds variables, see ramet_frame_environment()                   -> end 0
#   files        what was put holds files, each behind a line "NONCE NAME"                     -> end 0
#   run NAME     run the file of that name, or what was put if there is no NAME                 -> output, end STATUS
#   quit         go, and leave the terminal to the shell that was there before
# Answers are frames, described in src/model/frame.c. Anything else on the line is a step's output.
nonce=$1
folder=$2
keep=524288 # bytes of a step's output kept at its head, and as many at its tail

frame ()
{
  printf '\036%s %s %s %s %s\n' "$nonce" "$1" "$2" "$3" "$nonce"
}

# takes SEQUENCE SHA256; the chunk is read from the terminal up to EOT
put ()
{
  base64 -d >"$folder/chunk" 2>/dev/null
  if [ "$(sha256sum <"$folder/chunk")" = "$2  -" ]; then
    cat "$folder/chunk" >>"$folder/payload"
    frame "$1" got 0
  else
    frame "$1" got 1
  fi
}

# values are taken as they stand, never evaluated
load_environment ()
{
  while IFS= read -r line; do
    name=${line%%[=+]*}
    value=${line#*[=+]}
    case $line in
      "$name="*) export "$name=$value" ;;
      *) eval "old=\$$name" && export "$name=$old
$value" ;;
    esac
  done <"$folder/payload"
}

# on an emulated CPU each program that is started costs as much as most steps: many files are split by one
split_files ()
{
  awk -v nonce="$nonce" -v folder="$folder" '
    $1 == nonce { if (file) close(file); file = folder "/file-" $2; printf "" >file; next }
    { print >file }' "$folder/payload"
}

# takes SEQUENCE FILE; the head of the output is passed on as it comes, the tail when the step is over
run ()
{
  { head -c "$keep"; tail -c "$keep" >"$folder/tail"; } <"$folder/output" &
  filter=$!
  (cd / && exec sh "$2") >"$folder/output" 2>&1 </dev/null
  status=$?
  # a daemon that the step has left behind may hold the pipe open for ever
  { sleep 2; kill "$filter"; } >/dev/null 2>&1 </dev/null &
  watchdog=$!
  wait "$filter"
  kill "$watchdog" 2>/dev/null
  if [ -s "$folder/tail" ]; then
    if [ "$(wc -c <"$folder/tail")" -ge "$keep" ]; then
      printf '\n[what the step printed here was cut]\n'
    fi
    cat "$folder/tail"
  fi
  frame "$1" end "$status"
}

dmesg -n 1 2>/dev/null # kernel messages share the line
export PATH="${PATH:-/usr/bin:/bin}:/usr/local/sbin:/usr/sbin:/sbin"
umask 022
: >"$folder/payload"
mkfifo "$folder/output"
frame 2 ready 0
while IFS=' ' read -r sequence verb argument; do
  case $verb in
    put) put "$sequence" "$argument" ;;
    env)
      load_environment
      : >"$folder/payload"
      frame "$sequence" end 0
      ;;
    files)
      split_files
      : >"$folder/payload"
      frame "$sequence" end 0
      ;;
    run)
      if [ -n "$argument" ]; then
        run "$sequence" "$folder/file-$argument"
      else
        mv "$folder/payload" "$folder/step"
        : >"$folder/payload"
        run "$sequence" "$folder/step"
      fi
      ;;
    quit) exit 0 ;;
  esac
done 2>/dev/null

# shellcheck shell=bash
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# How the host's scripts talk: numbered steps, notes below them, one live line for what takes long, errors with a hint.
# Everything they run is also in the log.

talk_program=${0##*/}
talk_log=/var/log/ramet-quickstart.log
talk_step=0
talk_steps=0
# without a terminal, what takes long gives a line so often
talk_interval_s=10

# Begin the next step, $1.
talk_step ()
{
  talk_step=$((talk_step + 1))
  if ((talk_steps > 0)); then
    printf '[%d/%d] %s\n' "$talk_step" "$talk_steps" "$1"
  else
    printf '%s\n' "$1"
  fi
}

# Say $1 below the step.
talk_note ()
{
  printf '      %s\n' "$1"
}

# Say $1 below the step as a warning.
talk_warn ()
{
  printf '      warning: %s\n' "$1" >&2
}

# Print the error $1 with the hint $2, and leave with status $3 (else 1).
talk_die ()
{
  printf '%s: %s\n' "$talk_program" "$1" >&2
  [[ -z ${2:-} ]] || printf 'hint: %s\n' "$2" >&2
  exit "${3:-1}"
}

# Make the log anew, where only root writes.
talk_open_log ()
{
  rm -f -- "$talk_log"
  (umask 022; : >"$talk_log")
}

# Copy a stream into the log, showing where it is: on a terminal the last line with the seconds, else a line now and then.
# Ends with the stream.
talk_follow ()
{
  local line='' part='' last='' began=$SECONDS shown=$SECONDS terminal=no columns status
  # on Ctrl-C it follows to the end what the command still has to say
  trap '' INT
  [[ ! -t 1 || ${TERM:-dumb} == dumb ]] || terminal=yes
  columns=$(stty size 2>/dev/null </dev/tty) || columns="24 80"
  columns=${columns#* }
  while :; do
    status=0
    IFS= read -r -t 1 line || status=$?
    line=$part$line part=
    if ((status == 0)); then
      printf '%s\n' "$line" >>"$talk_log"
      # nothing that could move the cursor
      last=${line//[[:cntrl:]]/ }
    elif ((status <= 128)); then
      [[ -z $line ]] || printf '%s\n' "$line" >>"$talk_log"
      break
    else
      # its second is over in the middle of a line
      part=$line
    fi
    if [[ $terminal == yes ]]; then
      line="      $((SECONDS - began)) s  $last"
      printf '\r\033[K%s' "${line:0:columns - 1}"
    elif ((SECONDS - shown >= talk_interval_s)); then
      printf '      %d s  %s\n' "$((SECONDS - began))" "${last:0:90}"
      shown=$SECONDS
    fi
  done
  [[ $terminal == no ]] || printf '\r\033[K'
}

# Run the command from the second argument on, with its output in the log; if it fails, show the end of that and say that
# $1 cannot be done.
talk_run ()
{
  local what=$1
  shift
  printf '\n== %s\n' "$*" >>"$talk_log"
  # the status is that of the command, as talk_follow gives none
  if ! "$@" </dev/null 2>&1 | talk_follow; then
    tail -n 15 -- "$talk_log" | sed 's/^/      | /' >&2
    talk_die "cannot $what" "all that was said is in $talk_log"
  fi
}

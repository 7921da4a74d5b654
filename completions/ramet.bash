# shellcheck shell=bash
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# bash's completion of ramet: all it knows comes from 'ramet complete'.

_ramet ()
{
  local line last part cut candidate about
  local -a words
  COMPREPLY=()
  # bash splits words at '=', ':' and '@' and leaves quotes in; 'read' without -r only takes backslashes away
  # shellcheck disable=SC2162
  read -a words <<<"${COMP_LINE:0:COMP_POINT}"
  [[ ${COMP_LINE:0:COMP_POINT} != *[[:space:]] || ${COMP_LINE:0:COMP_POINT} == *\\[[:space:]] ]] || words+=('')
  ((${#words[@]} > 1)) || return 0
  last=${words[-1]}
  # shellcheck disable=SC2162
  IFS='' read part <<<"$2"
  # what bash will keep of the word
  cut=${last%"$part"}
  while IFS= read -r line; do
    candidate=${line%%$'\t'*} about=${line#*$'\t'}
    if [[ -z $candidate && $about == files ]]; then
      compopt -o default
    elif [[ -z $candidate && $about == folders ]]; then
      compopt -o dirnames
    elif [[ $candidate == "$last"* ]]; then
      # a name may hold anything: quoted, it is never more than a word
      printf -v candidate %q "${candidate#"$cut"}"
      COMPREPLY+=("$candidate")
    fi
  done < <(command ramet complete -- "${words[@]:1}" 2>/dev/null </dev/null)
}

complete -F _ramet ramet

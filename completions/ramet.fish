# SPDX-License-Identifier: LGPL-2.1-or-later
#
# fish's completion of ramet: all it knows comes from 'ramet complete'.

function __ramet_complete
    set -l words (commandline -opc)
    set -l last (commandline -ct)
    # a value behind '=': fish completes paths only at the start of a word
    set -l option (string match -r -- '^--[^=]*=' $last)
    command ramet complete -- $words[2..] "$last" 2>/dev/null </dev/null | while read -l line
        set -l parts (string split -m 1 \t -- $line)
        if test -n "$parts[1]"
            printf '%s\n' $line
        else if test "$parts[2]" = files
            string replace -r -- '^' "$option" (__fish_complete_path (string replace -- "$option" '' $last))
        else if test "$parts[2]" = folders
            string replace -r -- '^' "$option" (__fish_complete_directories (string replace -- "$option" '' $last) '')
        end
    end
end

complete -c ramet -f -k -a '(__ramet_complete)'

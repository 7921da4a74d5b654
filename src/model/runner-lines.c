/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "model/runner-lines.h"

/*
 * A service of its own where there is systemd, which ends all that the agent has started along with it. systemd would make one
 * of two dollars, and a value of what stands in braces behind one.
 */
const char ramet_runner_line_start[]
  = "set -eu\n"
    "rm -rf \"$1\"; mkdir -p \"$1\"; chmod 700 \"$1\"; cd \"$1\"\n"
    "cat >runner; mkfifo requests; : >answers; : >payload\n"
    "set -- sh -c 'cd \"$1\" && read -r pid _ </proc/self/stat && echo \"$pid\" >pid && exec sh runner \"$2\" \"$1\" <>requests >>answers 2>/dev/null' sh \"$@\"\n"
    "if [ -d /run/systemd/system ]; then\n"
    "  systemd-run --quiet --collect \"$@\"\n"
    "elif command -v setsid >/dev/null; then\n"
    "  setsid \"$@\" </dev/null >/dev/null 2>&1 &\n"
    "else\n"
    "  trap '' HUP\n"
    "  \"$@\" </dev/null >/dev/null 2>&1 &\n"
    "fi\n"
    "n=0\n"
    "while [ ! -s pid ]; do\n"
    "  n=$((n + 1))\n"
    "  [ $n -lt 100 ] || { echo 'it does not start' >&2; exit 1; }\n"
    "  sleep 0.1 2>/dev/null || sleep 1\n"
    "done\n";

const char ramet_runner_line_put[] = "base64 -d >>\"$1/payload\"";

/*
 * Answers as soon as there is more, or else after a while. What the runner said last is told before its end is. Opened for
 * reading too, a fifo keeps nobody waiting. A request is taken once, however often it is sent.
 */
const char ramet_runner_line_turn[]
  = "cd \"$1\" 2>/dev/null || exit 3\n"
    "n=0 gone='' last=''\n"
    "[ ! -f last ] || read -r last <last\n"
    "if [ -n \"$3\" ] && [ \"$3\" != \"$last\" ]; then\n"
    "  printf '%s\\n' \"$3\" >last\n"
    "  exec 3<>requests\n"
    "  printf '%s\\n' \"$3\" >&3\n"
    "fi\n"
    "while size=$(wc -c <answers) && [ \"$size\" -le \"$2\" ]; do\n"
    "  [ -z \"$gone\" ] || exit 3\n"
    "  read -r pid <pid && [ -d \"/proc/$pid\" ] || { gone=1; continue; }\n"
    "  n=$((n + 1))\n"
    "  [ $n -le 10 ] || exit 0\n"
    "  sleep 0.2 2>/dev/null || sleep 1\n"
    "done\n"
    "tail -c \"+$(($2 + 1))\" answers | head -c 32768\n";

const char ramet_runner_line_end[] = "exec 3<>\"$1/requests\" && echo '0 quit' >&3; rm -rf \"$1\"";

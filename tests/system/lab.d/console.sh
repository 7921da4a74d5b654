# shellcheck shell=bash
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# For tests of what a serial console lets one do, from outside of ramet.

# Does a root shell answer on the serial console of the running VM $1? Types at it for some seconds, or until one does, and
# keeps what came back in the file $2.
console_answers_root ()
{
  local console
  console=$(virsh -q -c qemu:///system ttyconsole "$1") || return 1
  python3 - "$console" "$2" <<'END'
import os, select, sys, termios, time, tty
fd = os.open(sys.argv[1], os.O_RDWR | os.O_NOCTTY | os.O_NONBLOCK)
tty.setraw(fd)
seen = b''
def listen(seconds):
    global seen
    end = time.monotonic() + seconds
    while (left := end - time.monotonic()) > 0:
        if select.select([fd], [], [], left)[0]:
            try:
                seen += os.read(fd, 65536)
            except BlockingIOError:
                pass
# the sum is worked out only where there is a shell: an echo of what was typed does not count
for keys in b'\r', b'\x03', b'\r', b'echo "$((6*7))-$(id -u)-shell"\r', b'\r':
    try:
        os.write(fd, keys)
    except BlockingIOError:
        pass
    listen(1.5)
    if b'42-0-shell' in seen:
        break
with open(sys.argv[2], 'wb') as f:
    f.write(seen)
sys.exit(0 if b'42-0-shell' in seen else 1)
END
}

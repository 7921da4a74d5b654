# Ensures that the network has seen its cable plugged in
# SPDX-License-Identifier: LGPL-2.1-or-later
set -eu
PATH=${PATH:-/bin}:/usr/sbin:/usr/bin:/sbin:/bin

# A clone of a base that ramet did not make boots with its cables out, until its identity is new. networkd and
# NetworkManager notice when they are in; ifupdown has asked in vain while booting, and asks no more.
command -v ifup >/dev/null && [ -f /etc/network/interfaces ] || exit 0
[ -z "$(ip route show default 2>/dev/null)" ] || exit 0
ifdown -a --force >/dev/null 2>&1 || :
ifup -a || echo "the network did not come up; going on without it"

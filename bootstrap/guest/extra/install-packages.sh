# Ensures the packages asked for
# SPDX-License-Identifier: LGPL-2.1-or-later
set -euf

# several names; globbing is off. Step 40 put the helper there.
# shellcheck disable=SC2086
exec sh /usr/local/lib/ramet/install-packages $RAMET_PACKAGES

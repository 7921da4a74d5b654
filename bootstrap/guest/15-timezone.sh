# Ensures the time zone of the outside
# SPDX-License-Identifier: LGPL-2.1-or-later
set -eu

zone=${RAMET_TIMEZONE-}
case $zone in
'') exit 0 ;;
/* | *..* | *[!a-zA-Z0-9/_+-]*) echo "'$zone' is not a time zone" >&2; exit 1 ;;
esac

file=/usr/share/zoneinfo/$zone
if [ ! -f "$file" ]; then
  echo "no data for the time zone $zone here: left as it is"
elif [ ! /etc/localtime -ef "$file" ]; then
  ln -sf "$file" /etc/localtime
fi
[ ! -f /etc/timezone ] || echo "$zone" >/etc/timezone

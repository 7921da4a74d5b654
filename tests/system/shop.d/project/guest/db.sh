#!/bin/sh
# Ensures a database that others reach: redis, from the packages that the host serves
# SPDX-License-Identifier: LGPL-2.1-or-later
set -eu
rm -f /etc/apt/sources.list /etc/apt/sources.list.d/*
echo 'deb [trusted=yes] http://192.168.122.1:8099/ ./' >/etc/apt/sources.list
apt-get -q update
DEBIAN_FRONTEND=noninteractive apt-get -q install --yes --no-install-recommends redis-server
sed -i -e 's/^bind .*/bind 0.0.0.0/' -e 's/^protected-mode .*/protected-mode no/' -e 's/^appendonly .*/appendonly yes/' \
  /etc/redis/redis.conf
systemctl restart redis-server

#!/bin/sh
# Ensures a worker that counts, from a copy of its own
# SPDX-License-Identifier: LGPL-2.1-or-later
set -eu
mkdir -p /var/lib/shop
cp /srv/shop/worker.pl /usr/local/lib/shop-worker.pl
cat >/etc/systemd/system/shop-worker.service <<'END_OF_UNIT'
[Unit]
Description=The shop's worker
After=network.target

[Service]
ExecStart=/usr/bin/perl /usr/local/lib/shop-worker.pl
Restart=on-failure

[Install]
WantedBy=multi-user.target
END_OF_UNIT
systemctl enable --now shop-worker.service

#!/bin/sh
# Ensures a web server that runs in the shared folder, as a developer's does
# SPDX-License-Identifier: LGPL-2.1-or-later
set -eu
mkdir -p /var/lib/shop
cat >/etc/systemd/system/shop-web.service <<'END_OF_UNIT'
[Unit]
Description=The shop's web server
After=network.target ramet-shares.service

[Service]
WorkingDirectory=/srv/shop
ExecStart=/usr/bin/perl web.pl
Restart=on-failure

[Install]
WantedBy=multi-user.target
END_OF_UNIT
systemctl enable --now shop-web.service

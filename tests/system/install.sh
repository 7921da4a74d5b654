#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# ramet as it is installed, with neither its sources nor the build folder in reach: it finds what it needs from where it is.
source "$(dirname -- "${BASH_SOURCE[0]}")/lib.sh"

# lib.sh has read all of itself by now, and bash holds this file open.
lab_base
checkout=$(readlink -f -- "$RAMET_CHECKOUT")
origin=$(meson introspect --buildsystem-files /run/lab/build | jq -r '.[0]')
prefix=$(meson introspect --buildoptions /run/lab/build | jq -r '.[] | select(.name == "prefix").value')
# the build folder names its sources by where they were, which the lab may not see
if [[ ! -e $origin ]]; then
  mkdir -p "${origin%/*}"
  mount --bind /run/lab/checkout "${origin%/*}"
fi
must meson install -C /run/lab/build --no-rebuild --quiet --destdir /opt/there
tree=/opt/there$prefix
for folder in "$checkout" /run/lab/checkout /run/lab/build "${origin%/*}"; do
  mount -t tmpfs -o size=1m tmpfs "$folder"
done
unset RAMET_DATADIR
export PATH=$tree/bin:${PATH#/run/lab/build:/run/lab/build/src:}
cd /

t_start "a tree that DESTDIR put elsewhere finds its data there, and so it does when it is moved"
assert_eq "$tree/bin/ramet" "$(command -v ramet)" "the program"
expect_status 2 ls /run/lab/checkout/bootstrap
check ramet config --json
assert_eq "$tree/share/ramet" "$(jq -r '.templates[0].file' "$t_dir/out" | sed 's|/templates/.*||')" "where its templates are"
assert_eq "$tree/share/ramet/bootstrap/guest" "$(jq -r '.steps[0].file' "$t_dir/out" | sed 's|/[^/]*$||')" "where its steps are"
check test -x "$tree/share/ramet/bootstrap/base/build-debian"
for file in man/man1/ramet.1 man/man5/ramet.ini.5 bash-completion/completions/ramet zsh/site-functions/_ramet \
  fish/vendor_completions.d/ramet.fish; do
  check test -s "$tree/share/$file"
done
mv "$tree" /opt/moved
check /opt/moved/bin/ramet config
assert_contains "/opt/moved/share/ramet/bootstrap/guest/10-hostname.sh" "$out" "where its steps are"
mv /opt/moved "$tree"
mv "$tree/share/ramet" /opt/away
expect_status 1 ramet config
assert_contains "hint: ramet is not installed whole" "$err" "the error without its data"
mv /opt/away "$tree/share/ramet"

t_start "a clone is made by it, with the user's own first-boot steps among its own"
mkdir -p ~/.config/ramet/guest /srv/project
echo hello >/srv/project/file
cat >~/.config/ramet/guest/45-mine.sh <<'END'
#!/bin/sh
# Ensures that my own step is run
set -eu
echo "$RAMET_HOSTNAME" >/etc/mine
END
cat >~/.config/ramet/guest/80-last <<'END'
exit 1
END
echo 'echo last >>/etc/mine' >~/.config/ramet/guest/90-last.sh
: >~/.config/ramet/guest/15-timezone.sh
must ramet clone --cpus 1 -d /srv/project debian-12 web
assert_contains "web: ensures that my own step is run" "$err" "what is said"
assert_contains "web: 90-last.sh" "$err" "what is said"
assert_lacks "time zone" "$err" "what is said of a step that is off"
check ramet ssh web -- cat /etc/mine /srv/project/file
assert_eq $'web\nlast\nhello' "$out" "what the steps made"

t_start "its log tells how it was set up, and what it printed since"
check ramet log web
assert_contains "== ensures that my own step is run" "$out" "the log"
assert_contains "== serial console since" "$out" "the log"
check ramet remove --yes web
expect_status 3 ramet log web

t_done

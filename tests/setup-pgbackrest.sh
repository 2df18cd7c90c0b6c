#!/usr/bin/env bash
# Fetches a pgBackRest that stores blocks (2.46 or later) where the installed one does not: Debian 13's, by package name, into
# a tree of its own. Idempotent; where it cannot be had the reason is recorded in <dir>/unobtainable and the tests that need
# it leave themselves out by name.
#
# usage: tests/setup-pgbackrest.sh [DIR]      (default: /var/tmp/pgmayday-tests/pgbackrest, where tests/backup/peer.rs looks)
set -euo pipefail

dir=${1:-/var/tmp/pgmayday-tests/pgbackrest}
root=$dir/rootfs
program=$dir/pgbackrest

stores_blocks() { # PROGRAM
    local minor
    minor=$("$1" version 2>/dev/null | sed -n 's/^pgBackRest 2\.\([0-9]*\).*/\1/p')
    [[ -n $minor ]] && ((minor >= 46))
}

for known in /usr/bin/pgbackrest "$program"; do
    if stores_blocks "$known"; then exit 0; fi
done

mkdir -p "$dir"
exec 9>"$dir/.lock"
flock 9
rm -f "$dir/unobtainable"

fetch() {
    ((EUID == 0)) || { echo 'only root can unpack another Debian'; return 1; }
    rm -rf "$root"
    debootstrap --variant=minbase trixie "$root" >"$dir/log" 2>&1 || { tail -n 1 "$dir/log"; return 1; }
    DEBIAN_FRONTEND=noninteractive chroot "$root" \
        apt-get -qq install -y --no-install-recommends pgbackrest >>"$dir/log" 2>&1 || { tail -n 1 "$dir/log"; return 1; }
    rm -rf "$root"/var/cache/apt "$root"/var/lib/apt/lists "$root"/usr/share/{doc,man,locale}
    # Started with the libraries and the loader of its own tree.
    local loader libraries
    loader=$(ls "$root"/lib64/ld-linux-*.so.* "$root"/lib/ld-linux-*.so.* 2>/dev/null | head -n 1)
    libraries=$(ls -d "$root"/usr/lib/*-linux-gnu | head -n 1)
    printf '#!/bin/sh\nexec %q --library-path %q %q "$@"\n' "$loader" "$libraries" "$root/usr/bin/pgbackrest" >"$program"
    chmod 755 "$dir" "$root" "$program"
    stores_blocks "$program" || { echo 'it does not start here'; return 1; }
}

echo 'fetching a pgBackRest that stores blocks'
if ! reason=$(fetch); then
    tail -n 1 <<<"$reason" >"$dir/unobtainable"
    echo "a pgBackRest that stores blocks cannot be had here: $(<"$dir/unobtainable")"
fi

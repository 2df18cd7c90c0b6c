#!/usr/bin/env bash
# Installs the Debian packages named on the command line, if any is missing. Quick and silent when all are there.
# Starts nothing: Debian would make and start a PostgreSQL cluster on port 5432, and etcd on 2379.
set -euo pipefail

missing=()
for package in "$@"; do
    status=$(dpkg-query -W -f '${Status}' "$package" 2>/dev/null || true)
    [[ $status == 'install ok installed' ]] || missing+=("$package")
done
((${#missing[@]})) || exit 0

if ! command -v apt-get >/dev/null; then
    echo "this is no Debian: install the equivalents of: ${missing[*]}" >&2
    exit 2
fi
if ((EUID == 0)); then
    as_root=(env)
elif command -v sudo >/dev/null; then
    as_root=(sudo)
else
    echo "not root and no sudo; as root run: apt-get install ${missing[*]}" >&2
    exit 2
fi

install() {
    "${as_root[@]}" DEBIAN_FRONTEND=noninteractive \
        apt-get -qq -o Dpkg::Options::=--force-confold -o Acquire::Retries=3 -o Dpkg::Use-Pty=0 \
        install -y --no-install-recommends "$@" >/dev/null
}

echo "installing: ${missing[*]}"
"${as_root[@]}" apt-get -qq -o Acquire::Retries=3 update

if [[ " ${missing[*]} " == *' postgresql '* ]]; then
    # The common package brings the file; only then can the server's own installation be told to make no cluster.
    install postgresql-common
    conf=/etc/postgresql-common/createcluster.conf
    if ! grep -qE '^[[:space:]]*create_main_cluster[[:space:]]*=' "$conf"; then
        echo 'create_main_cluster = false' | "${as_root[@]}" tee -a "$conf" >/dev/null
    fi
fi
# While it is there, dpkg starts no service it installs. One that is there already is somebody's, and stays.
policy=/usr/sbin/policy-rc.d
if [[ " ${missing[*]} " =~ ' etcd-server '|' patroni ' && ! -e $policy ]]; then
    trap '"${as_root[@]}" rm -f "$policy"' EXIT
    printf '#!/bin/sh\nexit 101\n' | "${as_root[@]}" tee "$policy" >/dev/null
    "${as_root[@]}" chmod 755 "$policy"
fi
install "${missing[@]}"

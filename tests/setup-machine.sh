#!/usr/bin/env bash
# Installs the Debian packages named on the command line, if any is missing. Quick and silent when all are there.
# Never starts a PostgreSQL cluster of its own: Debian would make and start one on port 5432.
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
install "${missing[@]}"

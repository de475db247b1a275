#!/usr/bin/env bash
# A throw-away PostgreSQL for tests, on a Unix socket only.
#   postgres.sh start FOLDER    makes a cluster in FOLDER, starts it and prints the URL of an empty database
#   postgres.sh stop FOLDER     stops it and removes FOLDER
set -euo pipefail

binaries=$(dirname "$(command -v /usr/lib/postgresql/*/bin/initdb initdb 2>/dev/null | sort -V | tail -1)")
[ -x "$binaries/initdb" ] || { echo "PostgreSQL's server is not installed: compose/scripts/setup.sh --test" >&2; exit 1; }
folder=$2
# PostgreSQL refuses to run as root.
as=()
[ "$(id -u)" -ne 0 ] || as=(setpriv --reuid=postgres --regid=postgres --clear-groups)

case "$1" in
start)
    mkdir -p "$folder"
    chmod 700 "$folder"
    [ "$(id -u)" -ne 0 ] || chown postgres:postgres "$folder"
    cd /
    "${as[@]}" "$binaries/initdb" -D "$folder/data" -U postgres -A trust -E UTF8 --locale=C.UTF-8 --no-sync >/dev/null
    "${as[@]}" "$binaries/pg_ctl" -D "$folder/data" -w -l "$folder/log" \
        -o "-k $folder -c listen_addresses='' -c fsync=off -c max_connections=600" start >/dev/null
    echo "postgres://postgres@/postgres?host=$folder"
    ;;
stop)
    cd /
    "${as[@]}" "$binaries/pg_ctl" -D "$folder/data" -m immediate stop >/dev/null || true
    rm -rf "$folder"
    ;;
*)
    echo "usage: postgres.sh start|stop FOLDER" >&2
    exit 64
    ;;
esac

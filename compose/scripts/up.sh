#!/usr/bin/env bash
# Sets up, builds in release mode and runs the stack, on the example application unless `--project` names another.
# Arguments go to `martlet up`.
set -euo pipefail
cd "$(dirname "$0")/../.."

command -v swift >/dev/null || { echo "No Swift toolchain on PATH: install Swift 6.2 or newer from swift.org." >&2; exit 1; }
compose/scripts/setup.sh
echo "Building (the first time takes some minutes) ..."
swift build -c release --product martlet
project=(--project compose/example)
for argument in "$@"; do
    case "$argument" in
        --processes)
            for service in edge auth data logic notification; do
                swift build -c release --product "martlet-$service"
            done ;;
        --project | --project=*) project=() ;;
    esac
done
exec "$(swift build -c release --show-bin-path)/martlet" up "${project[@]}" "$@"

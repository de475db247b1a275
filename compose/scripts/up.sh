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
folder=compose/example
next=
for argument in "$@"; do
    [ -z "$next" ] || folder=$argument
    next=
    case "$argument" in
        --processes)
            for service in edge auth data logic notification; do
                swift build -c release --product "martlet-$service"
            done ;;
        --project) project=() next=1 ;;
        --project=*) project=() folder=${argument#--project=} ;;
    esac
done
# A project without functions in TypeScript needs no Deno.
if compgen -G "$folder/functions/*/index.[tj]s" >/dev/null; then
    MARTLET_LOGIC_DENO=$(compose/scripts/deno.sh)
    export MARTLET_LOGIC_DENO
fi
exec "$(swift build -c release --show-bin-path)/martlet" up "${project[@]}" "$@"

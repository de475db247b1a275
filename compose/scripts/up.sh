#!/usr/bin/env bash
# Sets up, builds in release mode and runs the stack, on the example application unless `--project` names another.
# Arguments go to `martlet up`.
set -euo pipefail
cd "$(dirname "$0")/../.."

command -v swift >/dev/null || { echo "No Swift toolchain on PATH: install Swift 6.2 or newer from swift.org." >&2; exit 1; }
project=(--project compose/example)
folder=compose/example
products=(martlet)
next=
for argument in "$@"; do
    [ -z "$next" ] || folder=$argument
    next=
    case "$argument" in
        --processes) products+=(martlet-edge martlet-auth martlet-data martlet-logic martlet-notification) ;;
        --project) project=() next=1 ;;
        --project=*) project=() folder=${argument#--project=} ;;
    esac
done
# A project without functions in TypeScript needs no Deno. What can fail comes before the build, which takes its time.
if compgen -G "$folder/functions/*/index.[tj]s" >/dev/null; then
    compose/scripts/setup.sh --deno
    MARTLET_LOGIC_DENO=$(compose/scripts/deno.sh)
    export MARTLET_LOGIC_DENO
else
    compose/scripts/setup.sh
fi
echo "Building (the first time takes some minutes) ..."
for product in "${products[@]}"; do
    swift build -c release --product "$product"
done
exec "$(swift build -c release --show-bin-path)/martlet" up "${project[@]}" "$@"

#!/usr/bin/env bash
# Prints where Deno is, which runs TypeScript functions: the one that is named, on PATH, or PyPI's, which it installs below .build.
#   compose/scripts/deno.sh
set -euo pipefail
cd "$(dirname "$0")/../.."

version=2.9.8
if [ -n "${MARTLET_LOGIC_DENO:-}" ]; then
    echo "$MARTLET_LOGIC_DENO"
elif command -v deno >/dev/null; then
    command -v deno
else
    folder=.build/deno-venv
    if [ ! -x "$folder/bin/deno" ]; then
        command -v python3 >/dev/null || {
            echo "TypeScript functions need Deno: install it (deno.com), or python3 with venv to have it installed." >&2
            exit 1
        }
        echo "Installing Deno $version ..." >&2
        python3 -m venv "$folder" >&2
        "$folder/bin/pip" install --quiet --disable-pip-version-check "deno==$version" >&2
    fi
    echo "$PWD/$folder/bin/deno"
fi

#!/usr/bin/env bash
# Every test, from nothing but a Swift toolchain, git and apt. Prints the time of each stage; a missing server is a failure.
#   compose/scripts/test.sh [STAGE...]   stages: setup build unit conformance faults (all by default)
set -euo pipefail
cd "$(dirname "$0")/../.."

all_stages=(setup build unit system faults)
stages=("$@")
[ ${#stages[@]} -gt 0 ] || stages=("${all_stages[@]}")
times=()

setup() { compose/scripts/setup.sh --test; }

build() {
    swift build --build-tests
}

unit() {
    swift test --skip-build
}

# The client library of PyPI against the real executables: one process and five, SQLite and PostgreSQL.
system() {
    Tests/Conformance/run
}

faults() {
    Tests/Faults/run --minutes 1 --kills 10
}

for stage in "${stages[@]}"; do
    echo "=== $stage"
    begin=$(date +%s)
    "$stage"
    times+=("$stage $(($(date +%s) - begin)) s")
done
echo "=== stages: $(printf '%s, ' "${times[@]}" | sed 's/, $//')"

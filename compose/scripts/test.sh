#!/usr/bin/env bash
# Every test, from nothing but a Swift toolchain, git and apt. Prints the time of each stage; a missing server is a failure.
#   compose/scripts/test.sh [STAGE...]   stages: setup build unit (all by default)
set -euo pipefail
cd "$(dirname "$0")/../.."

stages=("$@")
[ ${#stages[@]} -gt 0 ] || stages=(setup build unit)
times=()

setup() { compose/scripts/setup.sh --test; }
build() { swift build --build-tests; }

# Prints one summary for all suites, which the test runner's own closing line carries too.
unit() {
    local log
    log=$(mktemp)
    swift test --skip-build 2>&1 | tee "$log" | grep -vE '^◇' || true
    grep -qE 'Test run with [1-9][0-9]* tests? .*passed' "$log" || { echo "The tests did not pass." >&2; exit 1; }
    ! grep -qE 'Test run with .* failed' "$log"
    rm -f "$log"
}

for stage in "${stages[@]}"; do
    echo "=== $stage"
    begin=$(date +%s)
    "$stage"
    times+=("$stage $(($(date +%s) - begin)) s")
done
echo "=== stages: $(printf '%s, ' "${times[@]}" | sed 's/, $//')"

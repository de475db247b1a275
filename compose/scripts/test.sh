#!/usr/bin/env bash
# Every test, from nothing but a Swift toolchain, git and apt. Prints the time of each stage; a missing server is a failure.
#   compose/scripts/test.sh [STAGE...]   stages: setup build unit mutants (all by default)
set -euo pipefail
cd "$(dirname "$0")/../.."

stages=("$@")
[ ${#stages[@]} -gt 0 ] || stages=(setup build unit mutants)
times=()

setup() { compose/scripts/setup.sh --test; }
build() { swift build --build-tests; }

# The suites of both engines run against a throw-away PostgreSQL; the number of its cases per engine is printed, and equal.
unit() {
    local log folder
    log=$(mktemp)
    folder=$(mktemp -d)
    trap 'compose/scripts/postgres.sh stop "$folder"' RETURN
    MARTLET_TEST_POSTGRES_URL=$(compose/scripts/postgres.sh start "$folder")
    export MARTLET_TEST_POSTGRES_URL
    timeout 600 swift test --skip-build 2>&1 | tee "$log" | grep -vE '^(◇|\[)' || true
    grep -qE 'Test run with [1-9][0-9]* tests? .*passed' "$log" || { echo "The tests did not pass." >&2; return 1; }

    local sqlite postgres
    sqlite=$(grep -cE '^◇ Test case .*\.sqlite' "$log") || true
    postgres=$(grep -cE '^◇ Test case .*\.postgres' "$log") || true
    echo "cases of both engines: sqlite $sqlite, postgres $postgres"
    [ "$sqlite" -gt 0 ] && [ "$sqlite" -eq "$postgres" ] || { echo "The engines ran different cases." >&2; return 1; }
    rm -f "$log"
}

# Every planted bug is seen to turn a test red.
mutants() { compose/scripts/mutants.sh; }

for stage in "${stages[@]}"; do
    echo "=== $stage"
    begin=$(date +%s)
    "$stage"
    times+=("$stage $(($(date +%s) - begin)) s")
done
echo "=== stages: $(printf '%s, ' "${times[@]}" | sed 's/, $//')"

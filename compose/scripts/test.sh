#!/usr/bin/env bash
# Every test, from nothing but a Swift toolchain, git and apt. Prints the time of each stage; a missing server is a failure.
#   compose/scripts/test.sh [STAGE...]   stages: setup build unit conformance faults mutants (all by default)
set -euo pipefail
cd "$(dirname "$0")/../.."

stages=("$@")
[ ${#stages[@]} -gt 0 ] || stages=(setup build unit conformance faults mutants)
times=()

setup() { compose/scripts/setup.sh --test; }
build() { swift build --build-tests; }

# How many cases of a log ran on an engine.
cases() { grep -cE "^◇ Test case .*\\.$1" "$2" || true; }

# Each module's tests in a process of their own, so that one module's load is no other's trouble. What runs on both engines
# runs against a throw-away PostgreSQL too; the number of cases per engine is printed, and equal.
unit() {
    local log folder module passed sqlite=0 postgres=0 failed=()
    log=$(mktemp)
    folder=$(mktemp -d)
    trap 'compose/scripts/postgres.sh stop "$folder"' RETURN
    MARTLET_TEST_POSTGRES_URL=$(compose/scripts/postgres.sh start "$folder")
    export MARTLET_TEST_POSTGRES_URL
    for module in Tests/*Tests; do
        module=${module#Tests/}
        timeout 600 swift test --skip-build --filter "^$module\\." >"$log" 2>&1 || true
        passed=$(grep -oE 'Test run with [1-9][0-9]* tests? in .* passed' "$log" | grep -oE '[0-9]+' | head -1) || true
        if [ -n "$passed" ]; then
            echo "$module: $passed passed, 0 failed"
        else
            grep -vE '^(◇|\[|✔)' "$log" | tail -60
            echo "$module: FAILED"
            failed+=("$module")
        fi
        sqlite=$((sqlite + $(cases sqlite "$log")))
        postgres=$((postgres + $(cases postgres "$log")))
    done
    rm -f "$log"
    [ ${#failed[@]} -eq 0 ] || { echo "These did not pass: ${failed[*]}" >&2; return 1; }
    echo "cases of both engines: sqlite $sqlite, postgres $postgres"
    [ "$sqlite" -gt 0 ] && [ "$sqlite" -eq "$postgres" ] || { echo "The engines ran different cases." >&2; return 1; }
}

# The client library of PyPI against the real executables, on both engines, in one process and in five.
conformance() { Tests/Conformance/run; }

# Ten kills of services under a load of writes (`make faults` is the long form), the change log under kills of who follows it,
# a disk that is full, and what no good client sends.
faults() {
    Tests/Faults/run --kills 10
    (cd Tests/Faults && python3 -m unittest -q test_log_check)
    Tests/Faults/run_log --engine sqlite
    Tests/Faults/run_log --engine postgres
    Tests/Faults/full-disk
    Tests/Faults/bad-input
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

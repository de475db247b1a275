#!/usr/bin/env bash
# Plants one bug after the other behind its compile flag and sees a test catch it.
#   mutants.sh [FLAG...]   all by default
set -euo pipefail
cd "$(dirname "$0")/../.."

# flag, and the suite that has to turn red
declare -A catchers=(
    [MUTANT_AUTH_DECOY_SKIPPED]=SignInTests
    [MUTANT_AUTH_REPEAT_UNDOES]=DirectoryTests
    [MUTANT_AUTH_REUSE_FORGIVEN]=RefreshTests
    [MUTANT_AUTH_SIGNATURE_OFF]=TokenVerifierTests
    [MUTANT_DATA_CHECK_SKIPPED]=PolicyConformanceTests
    [MUTANT_DATA_KEY_FORGOTTEN]=WriteConformanceTests
    [MUTANT_DATA_POLICY_DROPPED]=PolicyConformanceTests
    [MUTANT_DB_ACK_BEFORE_COMMIT]=GroupCommitTests
    [MUTANT_DB_DEFERRED_KEYS_UNCHECKED]=GroupCommitTests
    [MUTANT_DB_OTHERS_NOT_RUN_AGAIN]=GroupCommitTests
    [MUTANT_WIRE_UNKNOWN_FIELDS_REFUSED]=HeaderCodecTests
)
flags=("$@")
[ ${#flags[@]} -gt 0 ] || mapfile -t flags < <(printf '%s\n' "${!catchers[@]}" | sort)

# The build folder of everything else: only our own modules are built again for a planted bug.
scratch=.build
log=$(mktemp)
caught=0
for flag in "${flags[@]}"; do
    suite=${catchers[$flag]:?"$flag is no planted bug of ours"}
    grep -rqE "#if !?$flag\b" Services Shared || { echo "$flag stands nowhere in the sources." >&2; exit 1; }
    export MARTLET_MUTANT=$flag
    swift build --build-tests --scratch-path "$scratch" >"$log" 2>&1 ||
        { tail -20 "$log" >&2; echo "$flag does not build." >&2; exit 1; }
    # A planted bug may also make a test wait for ever; the issue that it recorded before counts.
    if timeout 120 stdbuf -oL swift test --skip-build --scratch-path "$scratch" --filter "$suite" >"$log" 2>&1; then
        echo "$flag was not caught by $suite." >&2
        exit 1
    fi
    grep -qE '^✘ Test .* (recorded an issue|failed)' "$log" ||
        { tail -20 "$log" >&2; echo "$flag: the tests did not run." >&2; exit 1; }
    echo "caught: $flag by $suite"
    caught=$((caught + 1))
done
rm -f "$log"
echo "planted bugs caught: $caught of ${#flags[@]}"

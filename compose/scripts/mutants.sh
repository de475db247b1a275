#!/usr/bin/env bash
# Plants bugs behind their compile flags and sees a test catch each.
#   mutants.sh [FLAG...]   all by default
# Suites of both engines need MARTLET_TEST_POSTGRES_URL; without it the script starts a throw-away server.
set -euo pipefail
cd "$(dirname "$0")/../.."

# flag, and the suite that has to turn red
declare -A catchers=(
    [MUTANT_AUTH_CODE_KEPT]=AuthTests.MailTests
    [MUTANT_AUTH_DECOY_SKIPPED]=AuthTests.SignInTests
    [MUTANT_AUTH_GUESSES_UNLIMITED]=AuthTests.MailTests
    [MUTANT_AUTH_NEWS_IGNORED]=AuthTests.TakeOverTests
    [MUTANT_AUTH_REPEAT_UNDOES]=AuthTests.DirectoryTests
    [MUTANT_AUTH_REUSE_FORGIVEN]=AuthTests.RefreshTests
    [MUTANT_AUTH_SIGNATURE_OFF]=AccessTokensTests.TokenVerifierTests
    [MUTANT_BUS_AUTHORISATION_OFF]=BusTests.SecurityTests
    [MUTANT_BUS_CREDITS_IGNORED]=BusTests.SimulatorTests
    [MUTANT_BUS_KEY_CHECK_OFF]=BusTests.SecurityTests
    [MUTANT_BUS_LIBRARY_HEARTBEAT]=BusTests.TortureTests
    [MUTANT_BUS_RETRY_UNKNOWN]=BusTests.SimulatorTests
    [MUTANT_BATCH_EXPECT_IGNORED]=DataTests.BatchTests
    [MUTANT_DATA_CALL_PRIVILEGED]=DataTests.CallTests
    [MUTANT_DATA_CALL_WRITES]=DataTests.CallTests
    [MUTANT_DATA_CHECK_SKIPPED]=DataTests.PolicyConformanceTests
    [MUTANT_DATA_KEY_FORGOTTEN]=DataTests.WriteConformanceTests
    [MUTANT_DATA_POLICY_DROPPED]=DataTests.PolicyConformanceTests
    [MUTANT_DB_ACK_BEFORE_COMMIT]=DatabaseTests.GroupCommitTests
    [MUTANT_DB_DEFERRED_KEYS_UNCHECKED]=DatabaseTests.GroupCommitTests
    [MUTANT_DB_OTHERS_NOT_RUN_AGAIN]=DatabaseTests.GroupCommitTests
    [MUTANT_EDGE_KEY_UNCHECKED]=EdgeTests.AccessTests
    [MUTANT_EDGE_SLOW_SOCKET_KEPT]=EdgeTests.WebSocketServerTests
    [MUTANT_FEED_EXPIRY_IGNORED]=NotificationTests.FeedTests
    [MUTANT_FEED_FILTER_IGNORED]=NotificationTests.FilterTests
    [MUTANT_FUNCTION_DELIVERED_REPEATED]=LogicTests.FunctionCallTests
    [MUTANT_FUNCTION_TURN_KEPT]=LogicTests.FunctionCallTests
    [MUTANT_JOB_FENCE_IGNORED]=LogicTests.JobStoreTests
    [MUTANT_LOG_CURSOR_OUTSIDE]=DatabaseTests.LogConsumerTests
    [MUTANT_LOG_IMAGE_RESELECTED]=DataTests.VisibleTests
    [MUTANT_LOG_NUMBER_BY_ID]=DataTests.NumberingTests
    [MUTANT_LOG_POLICY_IGNORED]=DataTests.VisibleTests
    [MUTANT_LOG_ROLLBACK_KEPT]=DatabaseTests.CaptureTests
    [MUTANT_MAIL_SENT_BEFORE_ACCEPTED]=NotificationTests.MailDeliveryTests
    [MUTANT_PRESENCE_STATE_LATE]=NotificationTests.PresenceTests
    [MUTANT_RULE_GUARD_IGNORED]=DataTests.RuleTests
    [MUTANT_RULE_RECHECK_SKIPPED]=DataTests.RuleTests
    [MUTANT_TRACE_QUEUE_UNBOUNDED]=TracingTests.ExporterTests
    [MUTANT_TRIGGER_CURSOR_OUTSIDE]=LogicTests.TriggerTests
    [MUTANT_WIRE_UNKNOWN_FIELDS_REFUSED]=WireTests.HeaderCodecTests
)
# What is built together, to save builds: in one line no flag's module stands below the suite of another.
waves=(
    "MUTANT_AUTH_DECOY_SKIPPED MUTANT_AUTH_CODE_KEPT MUTANT_AUTH_NEWS_IGNORED MUTANT_DATA_CHECK_SKIPPED MUTANT_DATA_CALL_PRIVILEGED MUTANT_EDGE_KEY_UNCHECKED MUTANT_PRESENCE_STATE_LATE MUTANT_JOB_FENCE_IGNORED MUTANT_TRIGGER_CURSOR_OUTSIDE"
    "MUTANT_AUTH_REPEAT_UNDOES MUTANT_AUTH_GUESSES_UNLIMITED MUTANT_DATA_KEY_FORGOTTEN MUTANT_DATA_CALL_WRITES MUTANT_EDGE_SLOW_SOCKET_KEPT MUTANT_FEED_FILTER_IGNORED MUTANT_FUNCTION_DELIVERED_REPEATED"
    "MUTANT_AUTH_REUSE_FORGIVEN MUTANT_DATA_POLICY_DROPPED MUTANT_FEED_EXPIRY_IGNORED MUTANT_MAIL_SENT_BEFORE_ACCEPTED MUTANT_FUNCTION_TURN_KEPT"
    "MUTANT_DB_ACK_BEFORE_COMMIT MUTANT_WIRE_UNKNOWN_FIELDS_REFUSED MUTANT_AUTH_SIGNATURE_OFF"
    "MUTANT_DB_DEFERRED_KEYS_UNCHECKED MUTANT_BUS_AUTHORISATION_OFF"
    "MUTANT_DB_OTHERS_NOT_RUN_AGAIN MUTANT_BUS_KEY_CHECK_OFF MUTANT_TRACE_QUEUE_UNBOUNDED"
    "MUTANT_LOG_ROLLBACK_KEPT"
    "MUTANT_LOG_NUMBER_BY_ID"
    "MUTANT_LOG_CURSOR_OUTSIDE"
    "MUTANT_LOG_IMAGE_RESELECTED MUTANT_BATCH_EXPECT_IGNORED"
    "MUTANT_LOG_POLICY_IGNORED MUTANT_RULE_RECHECK_SKIPPED"
    "MUTANT_RULE_GUARD_IGNORED"
    "MUTANT_BUS_CREDITS_IGNORED"
    "MUTANT_BUS_RETRY_UNKNOWN"
    "MUTANT_BUS_LIBRARY_HEARTBEAT"
)
[ $# -eq 0 ] || waves=("$@")

if [ -z "${MARTLET_TEST_POSTGRES_URL:-}" ]; then
    folder=$(mktemp -d)
    MARTLET_TEST_POSTGRES_URL=$(compose/scripts/postgres.sh start "$folder")
    export MARTLET_TEST_POSTGRES_URL
    trap 'compose/scripts/postgres.sh stop "$folder"' EXIT
fi

log=$(mktemp)
caught=0
for flag in $(grep -rhoE 'MUTANT_[A-Z_]+' Services Shared | sort -u); do
    [ -n "${catchers[$flag]:-}" ] || { echo "$flag has no suite here that catches it." >&2; exit 1; }
done
for wave in "${waves[@]}"; do
    for flag in $wave; do
        : "${catchers[$flag]:?"$flag is no planted bug of ours"}"
        grep -rqE "#if !?$flag\b" Services Shared || { echo "$flag stands nowhere in the sources." >&2; exit 1; }
    done
    # The build folder of everything else: only our own modules are built again for planted bugs.
    MARTLET_MUTANT=$wave swift build --build-tests >"$log" 2>&1 ||
        { grep -E 'error' "$log" | tail -20 >&2; echo "$wave does not build." >&2; exit 1; }
    for flag in $wave; do
        suite=${catchers[$flag]}
        # A planted bug may also make a test wait for ever; the issue that it recorded before counts.
        if MARTLET_MUTANT=$wave timeout 180 stdbuf -oL swift test --skip-build --filter "^${suite/./\\.}" >"$log" 2>&1
        then
            echo "$flag was not caught by $suite." >&2
            exit 1
        fi
        grep -qE '^✘ Test .* (recorded an issue|failed)' "$log" ||
            { tail -20 "$log" >&2; echo "$flag: the tests did not run." >&2; exit 1; }
        echo "caught: $flag by $suite"
        caught=$((caught + 1))
    done
done
rm -f "$log"
echo "planted bugs caught: $caught"

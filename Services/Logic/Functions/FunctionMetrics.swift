// SPDX-License-Identifier: Apache-2.0

internal import MartletServiceKit

/// Counts calls by their outcome; names of functions are no labels, as a project may have many.
struct FunctionMetrics: Sendable {
    private let answered: Counter
    private let failures: [FunctionFailure.Code: Counter]
    private let durations: Histogram

    init(_ registry: MetricsRegistry) {
        let name = "martlet_logic_function_calls_total"
        let help = "Calls of functions, by outcome."
        answered = registry.counter(name, help, ["outcome": "answered"])
        failures = Dictionary(
            uniqueKeysWithValues: FunctionFailure.Code.allCases.map { code in
                (code, registry.counter(name, help, ["outcome": code.rawValue.lowercased()]))
            })
        durations = registry.histogram(
            "martlet_logic_function_seconds", "From the call to the whole answer, in seconds.")
    }

    func note(code: FunctionFailure.Code?, since start: ContinuousClock.Instant) {
        if let code { failures[code]?.increment() } else { answered.increment() }
        durations.observe(ContinuousClock.now - start)
    }
}

// SPDX-License-Identifier: Apache-2.0

import Glibc
import Testing

@testable import MartletBus

/// The protocol's promises under loss, delay, reordering, crash and pause.
@Suite(.timeLimit(.minutes(5)))
struct SimulatorTests {
    /// The seeds of a run, or the one that `MARTLET_SIM_SEED` names.
    static let seeds: [UInt64] = {
        if let text = getenv("MARTLET_SIM_SEED").map({ String(cString: $0) }), let seed = UInt64(text) { return [seed] }
        return Array(1...400)
    }()

    @Test("Every request has one outcome, nothing happens twice or late, and every bound holds")
    func promises() async {
        var calls = 0
        var replies = 0
        for seed in Self.seeds {
            // The other suites wait for real sockets on the same few threads.
            await Task.yield()
            let simulation = Simulation(seed: seed)
            simulation.run()
            calls += simulation.records.count
            replies += simulation.records.values.filter { $0.starts > 0 }.count
            if let failure = simulation.failures.first {
                Issue.record(
                    "\(failure)\nrepeat with: MARTLET_SIM_SEED=\(seed) swift test --filter SimulatorTests")
                return
            }
        }
        // A world in which nothing ever works would break no promise either.
        #expect(replies * 2 > calls)
    }
}

// SPDX-License-Identifier: Apache-2.0

/// How patient the supervisor is.
struct SupervisionLimits: Sendable {
    /// Delay of the first restart; it doubles with each further one.
    var delayMin = Duration.milliseconds(50)
    var delayMax = Duration.seconds(2)
    /// Who lived that long begins again with the shortest delay.
    var soundLife = Duration.seconds(10)
    /// A service that dies so often without ever having been ready stops everything.
    var firstStartsMax = 5
    /// How long the others wait for the edge when everything stops.
    var edgeMax: Duration
    /// When what still runs is killed.
    var killAfter: Duration

    /// A service gives up by itself five seconds after `drainTimeout`; until then it is left alone.
    init(drainTimeout: Duration) {
        edgeMax = drainTimeout / 2
        killAfter = drainTimeout + .seconds(5)
    }

    func delay(afterFailures count: Int) -> Duration {
        // Beyond eight doublings it is the largest one anyway.
        min(delayMin * (1 << min(max(count - 1, 0), 8)), delayMax)
    }
}

/// How a process ended.
enum ProcessEnd: Sendable, Equatable {
    case exited(Int32)
    case signalled(Int32)

    /// The status that wait(2) reports: a signal in the low seven bits, else the exit status in the next eight.
    init(waitStatus: Int32) {
        let signal = waitStatus & 0x7F
        self = signal == 0 ? .exited(waitStatus >> 8 & 0xFF) : .signalled(signal)
    }

    var text: String {
        switch self {
        case .exited(let status): "exit status \(status)"
        case .signalled(let number): "signal \(number)"
        }
    }
}

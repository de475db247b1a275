// SPDX-License-Identifier: Apache-2.0

internal import MartletWire

/// The life of one connection from a caller to a replica: connect, HELLO and READY, beats, draining, death.
///
/// A value without I/O. Requests are `TargetMachine`'s business; this keeps the credit that they use.
struct LinkMachine {
    enum State: Equatable {
        /// Connecting and authenticating, then waiting for READY.
        case connecting, greeting
        /// Takes requests.
        case ready
        /// Finishes what is in flight, takes nothing new.
        case draining
    }

    /// What a tick asks for.
    enum Due: Equatable {
        case nothing, ping
        case dead(LinkLoss)
    }

    let id: LinkID
    let endpoint: String
    private(set) var state = State.connecting
    private(set) var requestsInFlight = 0
    private var bytesInFlight = 0
    private var requestsMax = 0
    private var bytesMax = 0
    /// Largest body that the replica takes.
    private(set) var bodyBytesMax = 0
    private let giveUpAt: BusTime
    private var lastReceived: BusTime
    private var lastSent: BusTime
    private var lastPing: BusTime

    init(id: LinkID, endpoint: String, now: BusTime, limits: BusLimits) {
        self.id = id
        self.endpoint = endpoint
        giveUpAt = now + limits.connectMax
        lastReceived = now
        lastSent = now
        lastPing = now
    }

    /// The connection stands and is authenticated: HELLO is due.
    mutating func connected(now: BusTime) -> Bool {
        guard state == .connecting else { return false }
        state = .greeting
        lastReceived = now
        return true
    }

    /// READY arrived. Returns false when it is not the time for one.
    mutating func introduced(_ grant: ReplicaGrant, now: BusTime, limits: BusLimits) -> Bool {
        guard state == .greeting else { return false }
        state = .ready
        requestsMax = min(max(grant.requestsMax, 1), limits.requestsMax)
        bytesMax = min(max(grant.bytesMax, limits.windowBytesMax), limits.bytesMax)
        bodyBytesMax = grant.bodyBytesMax
        lastReceived = now
        return true
    }

    mutating func startDraining() {
        if state == .ready { state = .draining }
    }

    mutating func received(now: BusTime) { lastReceived = now }
    mutating func sent(now: BusTime) { lastSent = now }

    /// Whether a request of `charge` bytes may be sent now.
    func hasCredit(_ charge: Int) -> Bool {
        guard state == .ready else { return false }
        #if MUTANT_BUS_CREDITS_IGNORED
            return true
        #else
            return requestsInFlight < requestsMax && bytesInFlight + charge <= bytesMax
        #endif
    }

    mutating func take(_ charge: Int) {
        requestsInFlight += 1
        bytesInFlight += charge
    }

    mutating func giveBack(_ charge: Int) {
        requestsInFlight -= 1
        bytesInFlight -= charge
    }

    mutating func tick(now: BusTime, limits: BusLimits) -> Due {
        switch state {
        case .connecting, .greeting:
            return now >= giveUpAt ? .dead(.connectTimeout) : .nothing
        case .ready, .draining:
            if now >= lastReceived + limits.silenceMax { return .dead(.silent) }
            guard now >= pingDue(limits) else { return .nothing }
            lastPing = now
            lastSent = now
            return .ping
        }
    }

    /// When `tick` has something to do next.
    func nextTick(_ limits: BusLimits) -> BusTime {
        switch state {
        case .connecting, .greeting: giveUpAt
        case .ready, .draining: min(lastReceived + limits.silenceMax, pingDue(limits))
        }
    }

    /// The peer must hear from us each beat, and we from it; one PING serves both.
    private func pingDue(_ limits: BusLimits) -> BusTime {
        max(min(lastReceived, lastSent), lastPing) + limits.beat
    }
}

/// Why a link ended. Metric labels and logs carry the raw value.
package enum LinkLoss: String, Sendable {
    case connectFailed = "connect_failed"
    case connectTimeout = "connect_timeout"
    /// The other side refused our key, or is not who it should be.
    case refused
    case disconnected
    case silent
    /// It broke the protocol.
    case violation
    /// It finished draining, or we did.
    case closed
    /// Our queue to it was full although credit allowed the frame.
    case stalled
}

/// What a replica grants in READY.
struct ReplicaGrant: Equatable {
    var requestsMax: Int
    var bytesMax: Int
    var bodyBytesMax: Int
}

// SPDX-License-Identifier: Apache-2.0

/// Every bound of the bus, with its unit and what happens at it. Tests and the simulator use smaller ones.
package struct BusLimits: Sendable {
    // Liveness.
    /// A link on which nothing moved for so long gets a PING.
    package var beat: BusSpan = .milliseconds(500)
    /// A link or peer that was silent for so long is dead.
    package var silenceMax: BusSpan = .seconds(2)
    /// From `connect` to READY; then the connection is given up and tried again.
    package var connectMax: BusSpan = .seconds(2)
    /// Reconnects wait a random time up to a bound that doubles from the first to the second of these.
    package var reconnectFirst: BusSpan = .milliseconds(20)
    package var reconnectMax: BusSpan = .milliseconds(500)

    // Requests.
    /// Requests in flight on one link; the rest waits at the caller.
    package var requestsMax = 64
    /// Bytes of requests in flight on one link. A chunked body counts as its window.
    package var bytesMax = 4 << 20
    /// Requests that wait at the caller for a ready replica or for credit; one more is refused as busy (D16).
    package var parkedMax = 1_000
    /// How long a request waits so, at most (D16).
    package var parkedTimeMax: BusSpan = .seconds(3)
    /// Tries of one request, the first included.
    package var attemptsMax: UInt8 = 3
    /// Retries wait a random time up to this, doubled for every further one.
    package var retryFirst: BusSpan = .milliseconds(10)
    /// Handlers of one service that run at once; one more request is refused as busy.
    package var runningMax = 1_024
    /// Peers that one service talks to; one more is turned away.
    package var peersMax = 1_024
    /// Longest deadline that a caller may ask for.
    package var budgetMax: BusSpan = .seconds(600)

    // Bodies (D17).
    /// Payload bytes of one frame.
    package var chunkBytesMax = 64 << 10
    /// Bytes of one body on their way without credit.
    package var windowBytesMax = 256 << 10
    /// A body that is put together in memory; a larger one is refused as too large.
    package var bodyBytesMax = 16 << 20
    /// All bodies that a service is putting together; beyond it requests are refused as busy.
    package var bodiesBytesMax = 128 << 20
    /// Bytes of a frame's header (the prefix counts it in 16 bits).
    package var headerBytesMax = 60 << 10

    // Draining.
    /// How long requests that are on their way are still taken after GOAWAY: two beats.
    package var drainGrace: BusSpan = .seconds(1)
    /// How long running handlers may take to finish.
    package var drainMax: BusSpan = .seconds(25)

    // Events.
    /// Events that wait for one subscriber; the newest are dropped and counted.
    package var eventsQueuedMax = 1_024
    package static let topicBytesMax = 64

    /// The largest frame that a socket takes; libzmq ends a connection that sends a larger one.
    var messageBytesMax: Int { 64 + headerBytesMax + (5 << 10) + chunkBytesMax }

    /// A body of this size counts so much against `bytesMax`.
    func charge(_ bytes: Int) -> Int { min(bytes, windowBytesMax) }

    package init() {}
}

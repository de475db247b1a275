// SPDX-License-Identifier: Apache-2.0

package import MartletWire

/// Where one replica of a service listens.
package struct PeerEndpoint: Sendable, Hashable {
    /// `tcp://host:port`, `ipc:///path` or `inproc://service` (also `inproc://service/caller`).
    package var request: String
    /// Of its events; empty when it publishes none.
    package var event: String

    package init(request: String, event: String = "") {
        self.request = request
        self.event = event
    }
}

/// What one node of the bus is and whom it knows. Validated by `Bus.init`.
package struct BusConfiguration: Sendable {
    package var service: ServiceName
    /// Names this process among the replicas of its service; for logs and READY.
    package var instance: String
    /// Endpoints to bind for requests; empty for a pure client. `inproc://data` stands for one endpoint per caller
    /// (`inproc://data/edge`, …), because `inproc` has no peer identity (D11). Port 0 picks a free one.
    package var requestEndpoints: [String]
    /// Endpoints to bind for events.
    package var eventEndpoints: [String]
    package var peers: [ServiceName: [PeerEndpoint]]
    /// Our own pair; needed for `tcp` and `ipc`.
    package var keys: CurveKeyPair?
    /// Public keys of the services we call; several during rotation, tried in turn.
    package var serverKeys: [ServiceName: [String]]
    /// Who may connect to us.
    package var allowed: AllowList
    package var limits: BusLimits
    /// Receives notable facts on the bus thread; must be quick and must not call the bus.
    package var observer: (@Sendable (BusObservation) -> Void)?
    /// Runs every handler, for who looks at all requests: traces. Nil, and nothing is between a request and its handler.
    package var around: (@Sendable (InboundRequest, BusHandler) async -> OutboundReply)?

    package init(
        service: ServiceName, instance: String, requestEndpoints: [String] = [], eventEndpoints: [String] = [],
        peers: [ServiceName: [PeerEndpoint]] = [:], keys: CurveKeyPair? = nil,
        serverKeys: [ServiceName: [String]] = [:], allowed: AllowList = AllowList(),
        limits: BusLimits = BusLimits(), observer: (@Sendable (BusObservation) -> Void)? = nil
    ) {
        self.service = service
        self.instance = instance
        self.requestEndpoints = requestEndpoints
        self.eventEndpoints = eventEndpoints
        self.peers = peers
        self.keys = keys
        self.serverKeys = serverKeys
        self.allowed = allowed
        self.limits = limits
        self.observer = observer
    }
}

// SPDX-License-Identifier: Apache-2.0

package import MartletWire

/// A notable fact of the bus. Logs, metrics and tests subscribe to it; the closure runs on the bus thread and must be
/// quick.
package enum BusObservation: Sendable, Equatable {
    case linkReady(target: ServiceName, endpoint: String)
    case linkLost(target: ServiceName, endpoint: String, reason: LinkLoss)
    /// A request is sent again; `code` is what the last attempt ended with.
    case retried(target: ServiceName, code: ErrorCode)
    /// A caller's connection was introduced.
    case peerReady(ServiceName)
    case peerLost(ServiceName, reason: LinkLoss)
    /// A connection's key is on no list, or its list entry ended.
    case peerRefused(reason: PeerRefusal)
    /// A request that never reached a handler.
    case requestRefused(caller: ServiceName, code: ErrorCode)
    /// Bytes that are no frame of ours, or a frame that is illegal now.
    case badFrame
    /// The bus thread did nothing else for longer than a millisecond.
    case longTurn(Duration)
    /// An event was dropped because its subscriber is too slow.
    case eventDropped(target: ServiceName)
    case drained

    /// Why a connection was turned away.
    package enum PeerRefusal: String, Sendable {
        case unknownKey = "unknown_key"
        case expiredKey = "expired_key"
        /// HELLO names another service than the key.
        case wrongService = "wrong_service"
        case tooMany = "too_many"
        case noCommonVersion = "no_common_version"
    }
}

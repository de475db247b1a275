// SPDX-License-Identifier: Apache-2.0

internal import Synchronization

/// A coarse fuse against one address that floods the edge (D15): so many requests in a second, then 429 until the next.
/// The limits of the auth contract are auth's own.
final class ClientFuse: Sendable {
    /// Addresses remembered within one second; beyond it newcomers are not counted, so that memory stays bounded.
    static let addressesMax = 100_000

    private struct Window {
        var second: Int64 = 0
        var counts: [String: Int] = [:]
    }

    private let requestsMax: Int
    private let window = Mutex(Window())

    init(requestsPerSecond: Int) { requestsMax = requestsPerSecond }

    /// Counts one request; false when the address has used up this second.
    ///
    /// - Parameter second: any clock that counts seconds up.
    func admit(_ address: String, second: Int64) -> Bool {
        window.withLock { window in
            if window.second != second {
                window.second = second
                window.counts.removeAll(keepingCapacity: window.counts.count < 1_000)
            }
            guard let count = window.counts[address] else {
                if window.counts.count < Self.addressesMax { window.counts[address] = 1 }
                return true
            }
            window.counts[address] = count + 1
            return count < requestsMax
        }
    }
}

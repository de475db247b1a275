// SPDX-License-Identifier: Apache-2.0

internal import NIOHTTP1

/// What the edge knows about one request from its beginning to its log line.
struct Visit: Sendable {
    let requestID: String
    /// W3C Trace Context: the client's trace, else a new one.
    let traceparent: String
    let clientAddress: String
    let started = ContinuousClock.now
    let hasOrigin: Bool
    /// `X-Supabase-Api-Version`.
    let apiVersion: String?
    var route: Route?

    /// Longest request id that a proxy may bring, in bytes.
    private static let requestIDBytesMax = 64

    init(headers: HTTPHeaders, peer: String, addresses: ClientAddress) {
        let forwarded = headers["x-forwarded-for"]
        clientAddress = forwarded.isEmpty ? peer : addresses.resolve(peer: peer, forwardedFor: forwarded)
        hasOrigin = headers.contains(name: "origin")
        apiVersion = headers.first(name: "x-supabase-api-version")
        if let given = headers.first(name: "x-request-id"), Self.isRequestID(given), addresses.isTrusted(peer) {
            requestID = given
        } else {
            requestID = Self.hex(.random(in: .min ... .max)) + Self.hex(.random(in: .min ... .max))
        }
        if let given = headers.first(name: "traceparent"), Self.isTraceparent(given) {
            traceparent = given
        } else {
            let trace = Self.hex(.random(in: 1 ... .max)) + Self.hex(.random(in: 1 ... .max))
            traceparent = "00-\(trace)-\(Self.hex(.random(in: 1 ... .max)))-01"
        }
    }

    var traceID: Substring { traceparent.dropFirst(3).prefix(32) }

    /// A clock for the fuse: whole seconds since the system started.
    var startedSecond: Int64 { Self.origin.duration(to: started).components.seconds }

    private static let origin = ContinuousClock.now

    private static func isRequestID(_ text: String) -> Bool {
        (1...requestIDBytesMax).contains(text.utf8.count)
            && text.utf8.allSatisfy { $0 > 0x20 && $0 < 0x7F && $0 != UInt8(ascii: "\"") }
    }

    /// Version 00: `00-<32>-<16>-<2>`, lower-case digits, neither id all zeros.
    private static func isTraceparent(_ text: String) -> Bool {
        let parts = text.split(separator: "-", omittingEmptySubsequences: false)
        guard parts.count == 4, parts.map(\.utf8.count) == [2, 32, 16, 2], parts[0] == "00" else { return false }
        let isHex = parts.allSatisfy {
            $0.utf8.allSatisfy {
                (UInt8(ascii: "0")...UInt8(ascii: "9")).contains($0) || (UInt8(ascii: "a")...UInt8(ascii: "f")).contains($0)
            }
        }
        return isHex && parts[1].contains { $0 != "0" } && parts[2].contains { $0 != "0" }
    }

    /// Sixteen digits.
    private static func hex(_ number: UInt64) -> String {
        String(unsafeUninitializedCapacity: 16) { space in
            for index in 0..<16 {
                let digit = UInt8(truncatingIfNeeded: number >> UInt64((15 - index) * 4)) & 0xF
                space[index] = digit < 10 ? UInt8(ascii: "0") + digit : UInt8(ascii: "a") + digit - 10
            }
            return 16
        }
    }
}

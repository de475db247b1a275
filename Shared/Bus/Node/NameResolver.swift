// SPDX-License-Identifier: Apache-2.0

internal import CZeroMQ
internal import Glibc
internal import Synchronization

/// Resolves the host names of endpoints on a thread of its own: `getaddrinfo` may take seconds, the bus thread never
/// waits (D10).
final class NameResolver: Sendable {
    /// How often names are resolved again.
    static let interval = Duration.seconds(5)

    private let isEnded = Atomic(false)

    /// Calls `onResult` with the literal endpoints of each list of endpoints, at once and then each interval, until
    /// `end`. A name that cannot be resolved keeps its last addresses.
    init(_ endpoints: [String], onResult: @escaping @Sendable ([String]) -> Void) {
        let box = ResolverStart(resolver: self, endpoints: endpoints, onResult: onResult)
        let argument = unsafe Unmanaged.passRetained(box)
        var thread = pthread_t()
        if unsafe pthread_create(&thread, nil, resolverMain, argument.toOpaque()) == 0 {
            pthread_detach(thread)
        } else {
            unsafe argument.release()
        }
    }

    func end() { isEnded.store(true, ordering: .relaxed) }

    fileprivate var hasEnded: Bool { isEnded.load(ordering: .relaxed) }

    /// The literal endpoints of one; nil when its name cannot be resolved now.
    static func resolve(_ endpoint: String) -> [String]? {
        guard let parsed = Endpoint(endpoint), parsed.isName, case .tcp(let host, let port) = parsed else {
            return [endpoint]
        }
        var hints = unsafe addrinfo()
        unsafe hints.ai_socktype = Int32(SOCK_STREAM.rawValue)
        var first: UnsafeMutablePointer<addrinfo>?
        guard unsafe getaddrinfo(host, nil, &hints, &first) == 0 else { return nil }
        defer { unsafe freeaddrinfo(first) }
        var found: [String] = []
        var next = unsafe first
        while let entry = unsafe next {
            var text = [CChar](repeating: 0, count: Int(NI_MAXHOST))
            let result = unsafe getnameinfo(
                entry.pointee.ai_addr, entry.pointee.ai_addrlen, &text, socklen_t(text.count), nil, 0, NI_NUMERICHOST)
            if result == 0 {
                let literal = String(decoding: text.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }, as: UTF8.self)
                let address = literal.contains(":") ? "tcp://[\(literal)]:\(port)" : "tcp://\(literal):\(port)"
                if !found.contains(address) { found.append(address) }
            }
            unsafe next = unsafe entry.pointee.ai_next
        }
        return found
    }
}

private final class ResolverStart: Sendable {
    let resolver: NameResolver
    let endpoints: [String]
    let onResult: @Sendable ([String]) -> Void

    init(resolver: NameResolver, endpoints: [String], onResult: @escaping @Sendable ([String]) -> Void) {
        self.resolver = resolver
        self.endpoints = endpoints
        self.onResult = onResult
    }
}

private func resolverMain(_ argument: UnsafeMutableRawPointer?) -> UnsafeMutableRawPointer? {
    guard let argument = unsafe argument else { return nil }
    let start = unsafe Unmanaged<ResolverStart>.fromOpaque(argument).takeRetainedValue()
    var last: [String: [String]] = [:]
    while !start.resolver.hasEnded {
        for endpoint in start.endpoints {
            if let found = NameResolver.resolve(endpoint) { last[endpoint] = found }
        }
        start.onResult(start.endpoints.flatMap { last[$0] ?? [] })
        // In short naps, so that the end is noticed soon.
        for _ in 0..<20 where !start.resolver.hasEnded {
            usleep(UInt32(NameResolver.interval.nanosecondsClamped / 20_000))
        }
    }
    return nil
}

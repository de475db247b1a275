// SPDX-License-Identifier: Apache-2.0

import Glibc
import NIOCore
import Synchronization
import Testing

@testable import MartletBus
@testable import MartletWire

/// How two nodes of a test are connected.
enum Transport: String, CaseIterable, CustomTestStringConvertible {
    case tcp, ipc, inproc

    var testDescription: String { rawValue }

    func endpoint(_ service: ServiceName) -> String {
        switch self {
        case .tcp: "tcp://127.0.0.1:*"
        case .ipc: "ipc://\(Self.directory)/\(service.rawValue)-\(UInt64.random(in: 0 ... .max))"
        case .inproc: "inproc://\(service.rawValue)"
        }
    }

    private static let directory: String = {
        var template = Array("/tmp/martlet-bus-XXXXXX".utf8CString)
        guard let path = mkdtemp(&template) else { return "/tmp" }
        // Shared by all tests of the process, so it goes when the process does.
        atexit { removeFolder(Transport.directory) }
        return String(cString: path)
    }()
}

/// Removes a folder of ours and the files in it.
func removeFolder(_ path: String) {
    guard path.hasPrefix("/tmp/martlet-"), let folder = opendir(path) else { return }
    while let entry = readdir(folder) {
        let name = withUnsafeBytes(of: &entry.pointee.d_name) { String(decoding: $0.prefix { $0 != 0 }, as: UTF8.self) }
        if name != ".", name != ".." { unlink("\(path)/\(name)") }
    }
    closedir(folder)
    rmdir(path)
}

/// Observations of one node, kept for the test to look at.
final class Observed: Sendable {
    private let list = Mutex<[BusObservation]>([])
    func note(_ observation: BusObservation) { list.withLock { $0.append(observation) } }
    var all: [BusObservation] { list.withLock { $0 } }
}

/// A data service and an edge that calls it, on one transport.
struct Pair {
    let server: Bus
    let client: Bus
    let clientThread: BusThread
    let serverThread: BusThread
    let serverKeys: CurveKeyPair
    let clientKeys: CurveKeyPair
    let serverObserved: Observed
    let clientObserved: Observed

    static func configuration(
        _ service: ServiceName, keys: CurveKeyPair, limits: BusLimits, observed: Observed
    ) -> BusConfiguration {
        BusConfiguration(
            service: service, instance: "\(service.rawValue)-1", keys: keys, limits: limits,
            observer: { observed.note($0) })
    }

    /// Makes both nodes, runs them while `body` runs, and stops them.
    static func with(
        _ transport: Transport, limits: BusLimits = patientLimits(), allowed: AllowList? = nil, serverKey: String? = nil,
        caller: ServiceName = .edge, handlers: [(Method, @Sendable (InboundRequest) async -> OutboundReply)] = [],
        _ body: @Sendable (Pair) async throws -> Void
    ) async throws {
        let serverKeys = try CurveKeyPair.make()
        let clientKeys = try CurveKeyPair.make()
        let serverThread = try BusThread()
        let clientThread = transport == .inproc ? serverThread : try BusThread()
        let serverObserved = Observed()
        let clientObserved = Observed()
        var serving = configuration(.data, keys: serverKeys, limits: limits, observed: serverObserved)
        serving.requestEndpoints = [transport.endpoint(.data)]
        serving.allowed = allowed ?? AllowList([clientKeys.publicKey: .init(service: caller)])
        let server = try Bus(serving, on: serverThread)
        for (method, handler) in handlers { server.handle(method, handler) }
        var calling = configuration(caller, keys: clientKeys, limits: limits, observed: clientObserved)
        calling.peers = [.data: server.boundRequestEndpoints.map { PeerEndpoint(request: $0) }]
        calling.serverKeys = [.data: [serverKey ?? serverKeys.publicKey]]
        let client = try Bus(calling, on: clientThread)
        let pair = Pair(
            server: server, client: client, clientThread: clientThread, serverThread: serverThread,
            serverKeys: serverKeys, clientKeys: clientKeys, serverObserved: serverObserved,
            clientObserved: clientObserved)
        try await withThrowingTaskGroup(of: Void.self) { group in
            group.addTask { try? await server.run() }
            group.addTask { try? await client.run() }
            do { try await body(pair) } catch {
                group.cancelAll()
                throw error
            }
            group.cancelAll()
        }
    }
}

/// The product's limits, with time to connect on a machine that is busy with other tests: what a test asserts is never
/// that the link came within three seconds.
func patientLimits() -> BusLimits {
    var limits = BusLimits()
    limits.parkedTimeMax = .seconds(30)
    limits.connectMax = .seconds(10)
    return limits
}

/// Waits until `fact` holds; records an issue with `text` when it does not in time, which is long because other tests
/// keep the processors busy.
func eventually(
    _ text: Comment, within limit: Duration = .seconds(30), sourceLocation: SourceLocation = #_sourceLocation,
    _ fact: () -> Bool
) async throws {
    let end = ContinuousClock.now.advanced(by: limit)
    while !fact() {
        guard ContinuousClock.now < end else {
            Issue.record(text, sourceLocation: sourceLocation)
            return
        }
        try await Task.sleep(for: .milliseconds(2))
    }
}

/// A reply that repeats the request's payload.
@Sendable func echo(_ request: InboundRequest) async -> OutboundReply { OutboundReply(payload: request.payload) }

func bytes(_ count: Int) -> ByteBuffer {
    ByteBuffer(bytes: (0..<count).map { UInt8(truncatingIfNeeded: $0 &* 31 &+ $0 >> 8) })
}

/// The error that `body` throws, or nil.
func busError(_ body: () async throws -> Void) async -> BusError? {
    do {
        try await body()
        return nil
    } catch { return error as? BusError }
}

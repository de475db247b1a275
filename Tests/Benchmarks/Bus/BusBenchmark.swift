// SPDX-License-Identifier: Apache-2.0

import Glibc
import MartletBus
import MartletWire
import NIOCore
import Synchronization

/// One side of the request/reply exchange over the bus, with the whole protocol on.
///
///     bus-bench server ENDPOINT PUBLIC SECRET PEER-PUBLIC
///     bus-bench client ENDPOINT PUBLIC SECRET PEER-PUBLIC BYTES IN-FLIGHT SECONDS
///
/// The client prints `measuring` when it is warm, one line of JSON at the end, and waits for the end of its input, so
/// that whoever started it can read the processes' counters at both moments. The server serves until its input ends.
@main
enum BusBenchmark {
    static func main() async throws {
        let arguments = CommandLine.arguments
        guard arguments.count >= 6 else {
            say("usage: bus-bench server|client ENDPOINT PUBLIC SECRET PEER-PUBLIC [BYTES IN-FLIGHT SECONDS]")
            exit(64)
        }
        let keys = CurveKeyPair(publicKey: arguments[3], secretKey: arguments[4])
        let thread = try BusThread()
        if arguments[1] == "server" {
            try await serve(arguments[2], keys, peer: arguments[5], on: thread)
        } else if arguments.count == 9, let bytes = Int(arguments[6]), let inFlight = Int(arguments[7]),
            let seconds = Double(arguments[8])
        {
            try await call(
                arguments[2], keys, peer: arguments[5], on: thread,
                Exchange(bytes: bytes, inFlight: inFlight, nanoseconds: Int64(seconds * 1e9)))
        }
    }

    private static func serve(_ endpoint: String, _ keys: CurveKeyPair, peer: String, on thread: BusThread) async throws
    {
        var configuration = BusConfiguration(
            service: .data, instance: "data-1", requestEndpoints: [endpoint], keys: keys)
        configuration.allowed = AllowList([peer: .init(service: .edge)])
        let bus = try Bus(configuration, on: thread)
        bus.handle(MethodRegistry.httpWrite) { OutboundReply(payload: $0.payload) }
        let running = Task { try? await bus.run() }
        say("serving")
        await waitForEndOfInput()
        running.cancel()
        await running.value
    }

    private static func call(
        _ endpoint: String, _ keys: CurveKeyPair, peer: String, on thread: BusThread, _ exchange: Exchange
    ) async throws {
        var configuration = BusConfiguration(service: .edge, instance: "edge-1", keys: keys)
        configuration.peers = [.data: [PeerEndpoint(request: endpoint)]]
        configuration.serverKeys = [.data: [peer]]
        let bus = try Bus(configuration, on: thread)
        let running = Task { try? await bus.run() }
        _ = try await bus.request(MethodRegistry.httpWrite, to: .data, header: RequestHeader())
        say(try await exchange.run(bus))
        await waitForEndOfInput()
        running.cancel()
        await running.value
    }

    /// A line for whoever reads our output, at once.
    static func say(_ line: String) {
        let bytes = Array((line + "\n").utf8)
        _ = write(STDOUT_FILENO, bytes, bytes.count)
    }

    /// On a thread of its own, so that no executor waits.
    private static func waitForEndOfInput() async {
        await withCheckedContinuation { continuation in
            let box = Unmanaged.passRetained(Waiter(continuation))
            var thread = pthread_t()
            pthread_create(
                &thread, nil,
                { argument in
                    while getchar() != EOF {}
                    if let argument { Unmanaged<Waiter>.fromOpaque(argument).takeRetainedValue().continuation.resume() }
                    return nil
                }, box.toOpaque())
            pthread_detach(thread)
        }
    }

    private final class Waiter {
        let continuation: CheckedContinuation<Void, Never>
        init(_ continuation: CheckedContinuation<Void, Never>) { self.continuation = continuation }
    }
}

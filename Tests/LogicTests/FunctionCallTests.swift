// SPDX-License-Identifier: Apache-2.0

import Logging
import MartletServiceKit
import MartletWire
import NIOCore
import NIOPosix
import Testing

@testable import MartletLogic

/// Calls of functions that are upstreams: what is passed on, what is repeated, and what the platform says itself.
@Suite("Functions: calls over HTTP")
struct FunctionCallTests {
    private func calls(_ url: String, _ keys: String = "") throws -> FunctionCalls {
        let project = try TestProject("[martlet.functions.up]\nurl = \"\(url)\"\n\(keys)")
        return FunctionCalls(
            catalogue: FunctionCatalogue(tables: project.settings.tables, project: project.settings.project),
            workers: nil, group: MultiThreadedEventLoopGroup.singleton, logger: Logger(label: "test"),
            metrics: FunctionMetrics(MetricsRegistry()))
    }

    private func send(
        _ calls: FunctionCalls, _ method: String = "POST", _ target: String = "/up", headers: [HTTPField] = [],
        within: Duration = .seconds(10), trace: TraceContext = .none
    ) async -> Result<FunctionResponse, FunctionFailure> {
        let request = FunctionRequest(
            method: method, target: target, headers: headers, body: ByteBuffer(string: "hello"), trace: trace)
        do throws(FunctionFailure) {
            return .success(try await calls.call("up", request, deadline: .now + within))
        } catch {
            return .failure(error)
        }
    }

    private static let fine = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nX-Own: 1\r\nx-relay-error: true\r\n\r\nok"

    @Test("A request is passed on without what belongs to its connection, the answer too")
    func passesOn() async throws {
        let upstream = try await TestUpstream { _ in Self.fine }
        let calls = try calls("http://127.0.0.1:\(upstream.port)/base/")
        let headers = [
            HTTPField("x-a", "1"), HTTPField("x-a", "2"), HTTPField("connection", "x-b, keep-alive"),
            HTTPField("x-b", "3"), HTTPField("transfer-encoding", "chunked"), HTTPField("host", "public"),
            HTTPField("x-request-id", "forged"), HTTPField("traceparent", "forged"),
        ]
        let trace = TraceContext.new()
        let response = try await send(calls, "PUT", "/up/x%20y?b=1&b=2", headers: headers, trace: trace).get()
        #expect(response.status == 200)
        #expect(response.headers == [HTTPField("x-own", "1")])
        #expect(String(buffer: response.body) == "ok")
        let text = try #require(upstream.texts.first)
        #expect(text.hasPrefix("PUT /base/x%20y?b=1&b=2 HTTP/1.1\r\n"))
        #expect(text.contains("x-a: 1\r\nx-a: 2\r\n"))
        #expect(text.contains("host: 127.0.0.1:\(upstream.port)\r\n"))
        #expect(text.contains("x-martlet-hops: 1\r\n"))
        #expect(text.hasSuffix("\r\n\r\nhello"))
        #expect(text.contains("x-request-id: \(trace.requestID)\r\ntraceparent: \(trace.traceparent)\r\n"))
        for word in ["x-b", "chunked", "public", "forged"] { #expect(!text.contains(word)) }
    }

    @Test("A connection carries one request after the other")
    func keepsAlive() async throws {
        let upstream = try await TestUpstream { _ in Self.fine }
        let calls = try calls("http://127.0.0.1:\(upstream.port)")
        for _ in 1...3 { _ = try await send(calls).get() }
        #expect(upstream.requests == 3)
        #expect(upstream.connections == 1)
    }

    @Test("A request that was delivered is not repeated; a GET without a byte back is, once")
    func repeats() async throws {
        // The first request is answered; then the connection ends when the second has arrived.
        let upstream = try await TestUpstream { $0 == 2 || $0 == 4 ? nil : Self.fine }
        let calls = try calls("http://127.0.0.1:\(upstream.port)")
        _ = try await send(calls).get()
        let failure = await send(calls)
        #expect(throws: FunctionFailure.self) { try failure.get() }
        #expect(upstream.requests == 2)
        _ = try await send(calls).get()
        _ = try await send(calls, "GET").get()
        #expect(upstream.requests == 5)
    }

    static let failures: [(answer: String?, code: FunctionFailure.Code)] = [
        (nil, .workerError), ("", .idleTimeout), ("rubbish\r\n\r\n", .workerError),
        ("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nab!", .workerError),
        ("HTTP/1.1 200 OK\r\nContent-Length: 99999999\r\n\r\n" + String(repeating: "a", count: 17 << 20), .workerLimit),
        (
            "HTTP/1.1 200 OK\r\nContent-Length: 0\r\nX: " + String(repeating: "a", count: 60 << 10) + "\r\n\r\n",
            .workerLimit
        ),
    ]

    @Test("An upstream that does not answer is told of in the contract's words", arguments: failures)
    func fails(answer: String?, code: FunctionFailure.Code) async throws {
        let upstream = try await TestUpstream { _ in answer }
        let calls = try calls("http://127.0.0.1:\(upstream.port)", "idle_timeout = \"\(answer == "" ? "300ms" : "8s")\"")
        let failure = await send(calls)
        guard case .failure(let failure) = failure else { return #expect(Bool(false), "it answered") }
        #expect(failure.code == code)
        #expect(failure.wasDelivered)
    }

    @Test("Nobody at the address is BOOT_ERROR, and nothing was delivered")
    func refused() async throws {
        let upstream = try await TestUpstream { _ in nil }
        await upstream.close()
        let failure = await send(try calls("http://127.0.0.1:\(upstream.port)"))
        guard case .failure(let failure) = failure else { return #expect(Bool(false), "it answered") }
        #expect(failure.code == .bootError)
        #expect(!failure.wasDelivered)
    }

    @Test("What is beyond concurrency waits, what is beyond the queue is refused")
    func bounds() async throws {
        let upstream = try await TestUpstream { _ in "" }
        let calls = try calls(
            "http://127.0.0.1:\(upstream.port)", "concurrency = 1\nqueue = 1\nidle_timeout = \"500ms\"")
        let codes = await withTaskGroup(of: FunctionFailure.Code?.self) { group in
            for _ in 1...3 {
                group.addTask {
                    guard case .failure(let failure) = await send(calls) else { return nil }
                    return failure.code
                }
            }
            return await group.reduce(into: []) { $0.append($1) }
        }
        #expect(codes.filter { $0 == .tooManyRequests }.count == 1)
        #expect(codes.filter { $0 == .idleTimeout }.count == 2)
        #expect(upstream.requests == 2)
    }

    @Test("Calls that are nested too deeply end")
    func hops() async throws {
        let upstream = try await TestUpstream { _ in Self.fine }
        let calls = try calls("http://127.0.0.1:\(upstream.port)")
        _ = try await send(calls, headers: [HTTPField("x-martlet-hops", "7")]).get()
        let failure = await send(calls, headers: [HTTPField("x-martlet-hops", "8")])
        guard case .failure(let failure) = failure else { return #expect(Bool(false), "it answered") }
        #expect(failure.code == .loopDetected)
    }

    @Test("Cancelling the call ends the connection")
    func cancels() async throws {
        let upstream = try await TestUpstream { _ in "" }
        let calls = try calls("http://127.0.0.1:\(upstream.port)")
        let task = Task { await send(calls, within: .seconds(60)) }
        while upstream.requests == 0 { try await Task.sleep(for: .milliseconds(5)) }
        task.cancel()
        guard case .failure = await task.value else { return #expect(Bool(false), "it answered") }
    }

    @Test(
        "URLs of upstreams",
        arguments: [
            ("http://h", "h 80 "), ("http://h:8/", "h 8 "), ("http://h:8/a/b/", "h 8 /a/b"),
            ("http://[::1]:9/x", "::1 9 /x"),
            ("http://[::1]", "::1 80 "), ("https://h", "-"), ("http://", "-"), ("http://h:x", "-"), ("http://h:0", "-"),
            ("http://u@h", "-"), ("http://h/?q", "-"),
        ])
    func urls(_ url: String, _ expected: String) {
        let found = FunctionEndpoint.upstream(url)
        var text = "-"
        if case .tcp(let host, let port)? = found?.endpoint { text = "\(host) \(port) \(found?.path ?? "")" }
        #expect(text == expected)
    }
}

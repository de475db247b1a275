// SPDX-License-Identifier: Apache-2.0

import Logging
import MartletServiceKit
import MartletWire
import NIOCore
import NIOPosix
import Synchronization
import Testing

@testable import MartletLogic

/// Functions that are programs, here Python's: started on demand, replaced, limited, ended.
@Suite("Functions: workers", .serialized)
struct WorkerTests {
    /// A server that keeps connections and answers by path.
    static let server = """
        import os, signal, socketserver, sys, time, threading, subprocess
        from http.server import BaseHTTPRequestHandler
        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            def address_string(self): return "-"
            def log_message(self, *arguments): pass
            def do_GET(self):
                what = self.path.split("/")[2] if self.path.count("/") > 1 else ""
                if what == "exit": os._exit(3)
                if what == "spin":
                    while True: pass
                if what == "memory":
                    keep = []
                    while True: keep.append(bytearray(8 << 20))
                if what in ["full", "claim"]:
                    print("# Fatal JavaScript out of memory: Reached heap limit", file=sys.stderr, flush=True)
                    if what == "full": signal.raise_signal(signal.SIGTRAP)
                    os._exit(3)
                if what == "fork":
                    while True: os.fork() or time.sleep(60)
                if what == "sleep": time.sleep(60)
                if what == "print":
                    for name in ["SUPABASE_SERVICE_ROLE_KEY", "SUPABASE_DB_URL", "API_KEY", "GREETING"]:
                        print("a line", os.environ[name], flush=True)
                if what == "leave": subprocess.Popen(["sleep", "600"])
                if what == "group": subprocess.Popen(["sleep", "600"], process_group=0)
                if what == "deaf": server.socket.close()
                body = f"{os.getpid()} {os.environ.get(what, '')} {open('functions/py/word').read()}".encode()
                self.send_response(200)
                self.send_header("content-length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)
        class Server(socketserver.ThreadingMixIn, socketserver.UnixStreamServer):
            daemon_threads = True
        server = Server(os.environ["MARTLET_FUNCTION_SOCKET"], Handler)
        try: server.serve_forever()
        except Exception: time.sleep(600)
        """

    private struct Fixture {
        let project: TestProject
        let calls: FunctionCalls
        let sockets: String
        let lines: LogLines

        func ask(_ path: String = "", within: Duration = .seconds(30)) async throws(FunctionFailure) -> String {
            let response = try await calls.call(
                "py",
                FunctionRequest(method: "GET", target: "/py\(path)", headers: [], body: ByteBuffer()),
                deadline: .now + within)
            return String(buffer: response.body)
        }

        func process() async throws -> Int32 {
            let text = try await ask()
            return try #require(Int32(text.prefix { $0 != " " }))
        }
    }

    private func fixture(_ keys: String = "", server: String = server) throws -> Fixture {
        let project = try TestProject(
            "[martlet.functions.py]\ncommand = [\"python3\", \"functions/py/main.py\"]\n\(keys)",
            files: [
                "functions/py/main.py": server, "functions/py/word": "one",
                "functions/.env": "FROM_FILE=file\nSUPABASE_URL=no\nGREETING=file\nAPI_KEY=own-secret-key",
            ])
        let sockets = "\(project.path)/run"
        try PosixFile.makeFolder(sockets, mode: 0o700)
        let lines = LogLines()
        let logger = Logger(label: "test") { _ in LogLines.Handler(lines: lines) }
        let plan = WorkerPlan(
            project: project.settings.project,
            environment: WorkerEnvironment(
                url: "http://127.0.0.1:1", anonKey: "anon-key", serviceRoleKey: "service-key", jwks: "{}",
                databaseURL: "postgres://u:word@h/db"),
            deno: nil, searchPath: ProcessEnvironment.variables["PATH"] ?? "/usr/bin:/bin",
            denoFolder: "\(project.path)/deno")
        let group = MultiThreadedEventLoopGroup.singleton
        let registry = MetricsRegistry()
        let calls = FunctionCalls(
            catalogue: FunctionCatalogue(tables: project.settings.tables, project: project.settings.project),
            workers: FunctionWorkers(plan: plan, folder: sockets, group: group, logger: logger, metrics: registry),
            group: group, logger: logger, metrics: FunctionMetrics(registry))
        return Fixture(project: project, calls: calls, sockets: sockets, lines: lines)
    }

    private func code(_ work: () async throws(FunctionFailure) -> String) async -> FunctionFailure.Code? {
        do throws(FunctionFailure) {
            _ = try await work()
            return nil
        } catch {
            return error.code
        }
    }

    @Test("A worker is started once, with its environment, and answers again and again")
    func starts() async throws {
        let fixture = try fixture("env = { GREETING = \"hi\" }")
        let first = try await fixture.process()
        #expect(try await fixture.process() == first)
        #expect(try await fixture.ask("/GREETING").hasSuffix(" hi one"))
        #expect(try await fixture.ask("/FROM_FILE").hasSuffix(" file one"))
        #expect(try await fixture.ask("/SUPABASE_URL").hasSuffix(" http://127.0.0.1:1 one"))
        #expect(try await fixture.ask("/MARTLET_ANON_KEY").hasSuffix(" anon-key one"))
        #expect(try await fixture.ask("/MARTLET_TEST_BINARIES").hasSuffix("  one"))
        await fixture.calls.close()
        #expect(kill(first, 0) == -1)
    }

    @Test("What it writes is logged with its name, without the project's secrets")
    func output() async throws {
        let fixture = try fixture()
        _ = try await fixture.ask("/print")
        await fixture.calls.close()
        #expect(fixture.lines.all.contains { $0.contains("function.name=py") && $0.contains("a line (hidden)") })
        #expect(fixture.lines.all.contains { $0.contains("a line file") })
        for secret in ["service-key", "word@h", "own-secret-key"] {
            #expect(!fixture.lines.all.contains { $0.contains(secret) })
        }
    }

    @Test("Who calls when all has ended is refused, and does not wait for ever", .timeLimit(.minutes(1)))
    func late() async throws {
        let fixture = try fixture()
        _ = try await fixture.process()
        await fixture.calls.close()
        try await Task.sleep(for: FunctionLimits.sourceCheckInterval)
        #expect(await code { () async throws(FunctionFailure) in try await fixture.ask() } == .bootError)
    }

    @Test("Changed sources get a new worker")
    func reloads() async throws {
        let fixture = try fixture()
        let first = try await fixture.process()
        try PosixFile.replace("\(fixture.project.path)/functions/py/word", with: "two")
        // Sources are looked at once a second at most.
        try await eventually { try await fixture.process() != first }
        try await eventually { kill(first, 0) == -1 }
        await fixture.calls.close()
    }

    static let excesses: [(path: String, code: FunctionFailure.Code)] = [
        ("/exit", .workerError), ("/spin", .workerLimit), ("/memory", .workerLimit), ("/fork", .workerLimit),
        ("/sleep", .idleTimeout), ("/full", .workerLimit), ("/claim", .workerError),
    ]

    @Test("A worker that ends, or takes too much, fails its request and no later one", arguments: excesses)
    func limits(path: String, code expected: FunctionFailure.Code) async throws {
        let fixture = try fixture(
            "cpu_time = \"300ms\"\nmemory_mebibytes = 64\nprocesses = 20\n"
                + "idle_timeout = \"\(path == "/sleep" ? 3 : 30)s\"")
        let first = try await fixture.process()
        #expect(await code { () async throws(FunctionFailure) in try await fixture.ask(path) } == expected)
        #expect(try await fixture.process() != first)
        try await eventually { ProcessTable.usage(ofGroup: first).processes == 0 }
        await fixture.calls.close()
    }

    @Test("What a worker started ends with it, in its process group or out of it", arguments: ["/leave", "/group"])
    func groups(path: String) async throws {
        let fixture = try fixture()
        let first = try await fixture.process()
        _ = try await fixture.ask(path)
        #expect(ProcessTable.usage(ofGroup: first).processes == 2)
        await fixture.calls.close()
        try await eventually { ProcessTable.usage(ofGroup: first).processes == 0 }
    }

    @Test("A worker that lives but listens no more is replaced")
    func deaf() async throws {
        let fixture = try fixture()
        let first = try await fixture.process()
        _ = try await fixture.ask("/deaf")
        // Its kept connection still works.
        try await Task.sleep(for: FunctionLimits.connectionIdleMax + .milliseconds(100))
        _ = await code { () async throws(FunctionFailure) in try await fixture.ask() }
        #expect(try await fixture.process() != first)
        await fixture.calls.close()
    }

    @Test("Calls beyond what a slow server takes at once wait for it")
    func backlog() async throws {
        let slow = Self.server.replacing("socketserver.ThreadingMixIn, ", with: "").replacing("1.1", with: "1.0")
            .replacing("body = f", with: "time.sleep(0.15); body = f")
        let fixture = try fixture(server: slow)
        let processes = try await withThrowingTaskGroup(of: Int32.self) { group in
            for _ in 1...20 { group.addTask { try await fixture.process() } }
            return try await group.reduce(into: Set<Int32>()) { $0.insert($1) }
        }
        #expect(processes.count == 1)
        await fixture.calls.close()
    }

    @Test("A program that does not start is BOOT_ERROR, and its words are in the log")
    func boots() async throws {
        let fixture = try fixture(server: "raise SystemExit('no way')")
        for _ in 1...3 {
            #expect(await code { () async throws(FunctionFailure) in try await fixture.ask() } == .bootError)
        }
        #expect(fixture.lines.all.contains { $0.contains("no way") })
        try PosixFile.replace("\(fixture.project.path)/functions/py/main.py", with: Self.server)
        try await eventually { await code { () async throws(FunctionFailure) in try await fixture.ask() } == nil }
        await fixture.calls.close()
    }

    @Test("Many calls at once share one worker")
    func shares() async throws {
        let fixture = try fixture()
        let processes = try await withThrowingTaskGroup(of: Int32.self) { group in
            for _ in 1...50 { group.addTask { try await fixture.process() } }
            return try await group.reduce(into: Set<Int32>()) { $0.insert($1) }
        }
        #expect(processes.count == 1)
        await fixture.calls.close()
    }

    /// Asks until it is so, for ten seconds.
    private func eventually(_ fact: () async throws -> Bool) async throws {
        let end = ContinuousClock.now + .seconds(10)
        while try await !fact() {
            guard .now < end else { throw FunctionFailure(code: .idleTimeout, wasDelivered: false, detail: "never") }
            try await Task.sleep(for: .milliseconds(50))
        }
    }
}

/// What was logged.
final class LogLines: Sendable {
    private let lines = Mutex<[String]>([])
    var all: [String] { lines.withLock { $0 } }

    struct Handler: LogHandler {
        let lines: LogLines
        var metadata = Logger.Metadata()
        var logLevel = Logger.Level.debug

        init(lines: LogLines) { self.lines = lines }

        subscript(metadataKey key: String) -> Logger.Metadata.Value? {
            get { metadata[key] }
            set { metadata[key] = newValue }
        }

        func log(event: LogEvent) {
            let values = metadata.merging(event.metadata ?? [:]) { _, new in new }
            let text = values.sorted { $0.key < $1.key }.map { "\($0.key)=\($0.value)" }.joined(separator: " ")
            lines.lines.withLock { $0.append("\(event.message) \(text)") }
        }
    }
}

// SPDX-License-Identifier: Apache-2.0

import Foundation
import Glibc
import MartletJSON
import Testing

/// A project of a test's own, with a table of a name drawn for it, on which `martlet up` runs.
final class Stack {
    enum Topology: String, Sendable, CaseIterable { case one, five }

    let folder: String
    let topology: Topology
    let table = "things_\(UInt32.random(in: 0 ... .max))"
    var environment: [String: String]

    init(_ topology: Topology) throws {
        self.topology = topology
        folder = try temporaryFolder()
        environment = [
            "MARTLET_PROJECT": folder, "MARTLET_DATA_DIR": folder + "/state", "MARTLET_API_PORT": "0",
        ]
        for name in ["EDGE", "AUTH", "DATA", "LOGIC", "NOTIFICATION"] {
            environment["MARTLET_\(name)_ADMIN_PORT"] = "0"
        }
        try write("config.toml", "[auth]\nsite_url = \"http://localhost\"\n")
        let migration = """
            create table public.\(table) (id bigint primary key, name text not null);
            alter table public.\(table) enable row level security;
            grant all on public.\(table) to service_role;
            """
        try write("migrations/20260101000000_things.sql", migration)
        try write("site/index.html", "<title>\(table)</title>\n")
    }

    deinit { try? FileManager.default.removeItem(atPath: folder) }

    func write(_ name: String, _ text: String) throws {
        let path = "\(folder)/\(name)"
        try FileManager.default.createDirectory(
            atPath: (path as NSString).deletingLastPathComponent, withIntermediateDirectories: true)
        try text.write(toFile: path, atomically: true, encoding: .utf8)
    }

    /// Begins `martlet up` and does not wait for anything.
    func begin(_ flags: [String] = []) throws -> Program {
        try Program(["up"] + (topology == .five ? ["--processes"] : []) + flags, environment: environment)
    }

    /// Begins `martlet up` and waits until it says that everything is ready.
    func start() async throws -> Program {
        let program = try begin()
        try await eventually("a ready suite; seen: \(program.complaints.suffix(2_000))") {
            try #require(program.process.isRunning, "\(program.complaints)")
            return program.printed.contains("martlet status") ? true : nil
        }
        return program
    }

    func keys() async throws -> JSONValue {
        let (status, printed, complaints) = try await Program.run(["keys", "--json"], environment: environment)
        try #require(status == 0, "\(complaints)")
        return try JSONValue(parsing: printed)
    }

    /// What runs, by service.
    var listeners: JSONObject {
        let text = (try? String(contentsOfFile: folder + "/state/run/ports.json", encoding: .utf8)) ?? ""
        return (try? JSONValue(parsing: text))?.objectValue ?? JSONObject()
    }

    func process(of service: String) -> pid_t? {
        listeners[service]?["pid"]?.int64Value.map { pid_t($0) }
    }

    var port: Int? {
        listeners["edge"]?["http"]?.stringValue?.split(separator: ":").last.flatMap { Int($0) }
    }

    /// Whether every service is ready, by the edge's word.
    var isHealthy: Bool { (try? request("GET", "/health"))?.hasPrefix("HTTP/1.1 200") == true }

    /// One request to the edge; everything that comes back. Throws `Missing` while nobody listens.
    func request(_ method: String, _ path: String, key: String? = nil, body: String = "") throws -> String {
        var head = "\(method) \(path) HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n"
        if let key { head += "apikey: \(key)\r\nAuthorization: Bearer \(key)\r\n" }
        if !body.isEmpty { head += "Content-Type: application/json\r\nContent-Length: \(body.utf8.count)\r\n" }
        guard let port else { throw Missing(description: "an edge in run/ports.json") }
        return try exchange(port: port, head + "\r\n" + body)
    }
}

/// Sends one HTTP request to a local port and returns everything that comes back until the connection ends.
func exchange(port: Int, _ request: String) throws -> String {
    let socket = socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
    try #require(socket >= 0)
    defer { close(socket) }
    guard withLoopback(port, { connect(socket, $0, $1) }) == 0 else { throw Missing(description: "port \(port)") }
    let bytes = Array(request.utf8)
    try #require(write(socket, bytes, bytes.count) == bytes.count)
    var answer: [UInt8] = []
    var piece = [UInt8](repeating: 0, count: 4_096)
    while true {
        let count = read(socket, &piece, piece.count)
        guard count > 0 else { return String(decoding: answer, as: UTF8.self) }
        answer += piece[..<count]
    }
}

/// A port that somebody listens on for as long as the object lives.
final class TakenPort {
    let number: Int
    private let socket: Int32

    init() throws {
        let socket = Glibc.socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
        self.socket = socket
        try #require(withLoopback(0) { bind(socket, $0, $1) } == 0)
        try #require(listen(socket, 1) == 0)
        var address = sockaddr_in()
        var size = socklen_t(MemoryLayout<sockaddr_in>.size)
        let result = withUnsafeMutablePointer(to: &address) { pointer in
            pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) { getsockname(socket, $0, &size) }
        }
        try #require(result == 0)
        number = Int(UInt16(bigEndian: address.sin_port))
    }

    deinit { close(socket) }
}

private func withLoopback<Result>(
    _ port: Int, _ body: (UnsafePointer<sockaddr>, socklen_t) -> Result
) -> Result {
    var address = sockaddr_in()
    address.sin_family = sa_family_t(AF_INET)
    address.sin_port = in_port_t(port).bigEndian
    address.sin_addr.s_addr = INADDR_LOOPBACK.bigEndian
    return withUnsafePointer(to: &address) { pointer in
        pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
            body($0, socklen_t(MemoryLayout<sockaddr_in>.size))
        }
    }
}

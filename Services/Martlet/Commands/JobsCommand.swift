// SPDX-License-Identifier: Apache-2.0

internal import MartletAccessTokens
internal import MartletJSON
internal import MartletServiceKit
internal import MartletWire

/// What `martlet jobs` is to do.
enum JobsOptions: Sendable, Equatable {
    case list(state: String?, function: String?, limit: String?)
    case show(String)
    case retry(String)
    case cancel(String)

    /// Takes its own words and flags out of `arguments`.
    init(taking arguments: inout [String]) throws(StartFailure) {
        // `martlet jobs --help` is answered as any other.
        guard let word = arguments.first, !word.hasPrefix("-") else {
            self = .list(state: nil, function: nil, limit: nil)
            guard arguments.contains(where: { $0 == "--help" || $0 == "-h" }) else {
                throw StartFailure(.usage, "jobs: expected list, show, retry or cancel")
            }
            return
        }
        arguments.removeFirst()
        if word == "list" {
            self = .list(
                state: try Self.take("--state", from: &arguments),
                function: try Self.take("--function", from: &arguments),
                limit: try Self.take("--limit", from: &arguments))
            return
        }
        guard ["show", "retry", "cancel"].contains(word) else {
            throw StartFailure(.usage, "jobs: \(word): no such word")
        }
        guard let id = arguments.first, !id.hasPrefix("-") else {
            throw StartFailure(.usage, "jobs: \(word): expected the id of a job")
        }
        // What no id holds would mean something else in an address.
        guard id.utf8.allSatisfy({ $0 == UInt8(ascii: "-") || Character(Unicode.Scalar($0)).isHexDigit }) else {
            throw StartFailure(.usage, "jobs: \(id): no id of a job")
        }
        arguments.removeFirst()
        self = word == "show" ? .show(id) : word == "retry" ? .retry(id) : .cancel(id)
    }

    private static func take(_ flag: String, from arguments: inout [String]) throws(StartFailure) -> String? {
        guard let place = arguments.firstIndex(where: { $0 == flag || $0.hasPrefix("\(flag)=") }) else { return nil }
        var value = String(arguments.remove(at: place).dropFirst(flag.count + 1))
        if value.isEmpty, place < arguments.count { value = arguments.remove(at: place) }
        let isPlain = value.utf8.allSatisfy { byte in
            byte == UInt8(ascii: "-") || byte == UInt8(ascii: "_")
                || byte < 0x80 && Character(Unicode.Scalar(byte)).isLetter
                || byte < 0x80 && Character(Unicode.Scalar(byte)).isNumber
        }
        guard !value.isEmpty, isPlain else { throw StartFailure(.usage, "jobs: \(flag): needs a value") }
        return value
    }
}

/// `martlet jobs`: the jobs of a suite that runs, by its admin routes.
struct JobsCommand {
    let settings: Settings
    let options: JobsOptions

    private static let timeout = Duration.seconds(10)
    /// A thousand jobs with the longest of errors, and more than one job with the largest body.
    private static let answerBytesMax = 16 << 20

    func run() throws(StartFailure) {
        switch options {
        case .list(let state, let function, let limit):
            let items = [("state", state), ("function", function), ("limit", limit)].compactMap { name, value in
                value.map { "\(name)=\($0)" }
            }
            let jobs = try ask("GET", "/jobs" + (items.isEmpty ? "" : "?" + items.joined(separator: "&")))
            for job in jobs.arrayValue ?? [] { Console.print(Self.line(job) + "\n") }
        case .show(let id): Console.print(try ask("GET", "/jobs/\(id)").text + "\n")
        case .retry(let id): Console.print(Self.line(try ask("POST", "/jobs/\(id)/retry")) + "\n")
        case .cancel(let id): Console.print(Self.line(try ask("POST", "/jobs/\(id)/cancel")) + "\n")
        }
    }

    /// One job in a line: id, state, attempts, time, function, and why the last attempt failed.
    private static func line(_ job: JSONValue) -> String {
        func text(_ name: String) -> String { job[name].map { $0.stringValue ?? $0.text } ?? "" }
        var line =
            text("id").padded(to: 38) + text("state").padded(to: 11)
            + "\(text("attempt"))/\(text("attempts_max"))".padded(to: 7) + text("run_at").prefix(19) + "Z  "
            + text("function")
        if text("state") != "done", let error = job["error"]?.stringValue {
            line += "  \(text("http_status")) ".replacing("null ", with: "") + error.prefix(80).filter { !$0.isNewline }
        }
        return line
    }

    private func ask(_ method: String, _ path: String) throws(StartFailure) -> JSONValue {
        let directory = DataDirectory.path(settings)
        let listeners: JSONObject
        do {
            listeners =
                PosixFile.isFolder(directory) ? try PortsFile(DataDirectory(path: directory)).read() : JSONObject()
        } catch { throw StartFailure(.unavailable, "run/ports.json: \(error)") }
        guard let address = listeners[ServiceName.edge.rawValue]?["http"]?.stringValue else {
            throw StartFailure(.unavailable, "no suite runs on \(directory)")
        }
        let key = try KeyStore(settings).projectKeys().serviceRole
        let edge = LocalHTTP(address: address, timeout: Self.timeout, answerBytesMax: Self.answerBytesMax)
        let answer = edge.exchange(
            method, "/functions/v1/_admin" + path, fields: [("apikey", key), ("Authorization", "Bearer \(key)")])
        guard let answer, let (status, body) = LocalHTTP.parse(answer), let value = try? JSONValue(parsing: body) else {
            throw StartFailure(.unavailable, "the edge at \(address) does not answer")
        }
        guard (200..<300).contains(status) else {
            throw StartFailure(
                status == 503 ? .unavailable : .usage, "jobs: \(value["message"]?.stringValue ?? "status \(status)")")
        }
        return value
    }
}

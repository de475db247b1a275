// SPDX-License-Identifier: Apache-2.0

internal import MartletJSON
internal import MartletServiceKit

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
                state: try AdminAddress.take("--state", of: "jobs", from: &arguments),
                function: try AdminAddress.take("--function", of: "jobs", from: &arguments),
                limit: try AdminAddress.take("--limit", of: "jobs", from: &arguments))
            return
        }
        guard ["show", "retry", "cancel"].contains(word) else {
            throw StartFailure(.usage, "jobs: \(word): no such word")
        }
        let id = try AdminAddress.takeID(word, of: "jobs", from: &arguments)
        self = word == "show" ? .show(id) : word == "retry" ? .retry(id) : .cancel(id)
    }
}

/// `martlet jobs`: the jobs of a suite that runs, by its admin routes.
struct JobsCommand {
    let settings: Settings
    let options: JobsOptions

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
        try AdminAddress(settings: settings, command: "jobs", prefix: "/functions/v1/_admin").ask(method, path)
    }
}

// SPDX-License-Identifier: Apache-2.0

internal import MartletJSON
internal import MartletServiceKit

/// What `martlet mails` is to do.
enum MailsOptions: Sendable, Equatable {
    case list(state: String?, limit: String?)
    case retry(String)

    /// Takes its own words and flags out of `arguments`.
    init(taking arguments: inout [String]) throws(StartFailure) {
        // `martlet mails --help` is answered as any other.
        guard let word = arguments.first, !word.hasPrefix("-") else {
            self = .list(state: nil, limit: nil)
            guard arguments.contains(where: { $0 == "--help" || $0 == "-h" }) else {
                throw StartFailure(.usage, "mails: expected list or retry")
            }
            return
        }
        arguments.removeFirst()
        switch word {
        case "list":
            self = .list(
                state: try AdminAddress.take("--state", of: "mails", from: &arguments),
                limit: try AdminAddress.take("--limit", of: "mails", from: &arguments))
        case "retry": self = .retry(try AdminAddress.takeID(word, of: "mails", from: &arguments))
        default: throw StartFailure(.usage, "mails: \(word): no such word")
        }
    }
}

/// `martlet mails`: the deliveries of a suite that runs, by `/notification/v1/deliveries`.
struct MailsCommand {
    let settings: Settings
    let options: MailsOptions

    func run() throws(StartFailure) {
        let address = AdminAddress(settings: settings, command: "mails", prefix: "/notification/v1/deliveries")
        switch options {
        case .list(let state, let limit):
            let items = [("state", state), ("limit", limit)].compactMap { name, value in value.map { "\(name)=\($0)" } }
            let mails = try address.ask("GET", items.isEmpty ? "" : "?" + items.joined(separator: "&"))
            for mail in mails.arrayValue ?? [] { Console.print(Self.line(mail) + "\n") }
        case .retry(let id): Console.print(Self.line(try address.ask("POST", "/\(id)/retry")) + "\n")
        }
    }

    /// One mail in a line: id, state, attempts, time, recipient, template, and why the last attempt failed.
    private static func line(_ mail: JSONValue) -> String {
        func text(_ name: String) -> String { mail[name].map { $0.stringValue ?? $0.text } ?? "" }
        var line =
            text("id").padded(to: 38) + text("state").padded(to: 9) + text("attempts").padded(to: 4)
            + text("created_at").prefix(19) + "Z  " + text("to") + "  " + text("template")
        if text("state") != "sent", let error = mail["error"]?.stringValue {
            line += "  " + error.prefix(80).filter { !$0.isNewline }
        }
        return line
    }
}

// SPDX-License-Identifier: Apache-2.0

internal import MartletServiceKit
internal import MartletWire

/// What a person asked `martlet` for.
enum Command: Sendable, Equatable {
    case help(Topic?)
    case version
    case up(CommandLineFlags, isSeparate: Bool)
    case check(CommandLineFlags)
    case move(CommandLineFlags)
    case keys(CommandLineFlags, rotates: Bool, isJSON: Bool)
    /// Of these services; all without any.
    case status(CommandLineFlags, services: [ServiceName])
    case events(CommandLineFlags, EventOptions)
    case jobs(CommandLineFlags, JobsOptions)
    case mails(CommandLineFlags, MailsOptions)

    /// The commands by the word that calls them.
    enum Topic: String, Sendable, CaseIterable { case up, check, move, keys, status, events, jobs, mails }

    /// Throws `StartFailure` with status `usage`.
    init(parsing arguments: some Collection<String>) throws(StartFailure) {
        guard let word = arguments.first else {
            throw StartFailure(.usage, "no command; `martlet help` lists them")
        }
        let rest = Array(arguments.dropFirst())
        switch word {
        case "help", "--help", "-h": self = try .help(Self.topic(rest))
        case "--version", "version": self = .version
        default:
            guard let topic = Topic(rawValue: word) else {
                throw StartFailure(.usage, "\(word): no such command; `martlet help` lists them")
            }
            self = try Self.command(topic, rest)
        }
    }

    private static func topic(_ rest: [String]) throws(StartFailure) -> Topic? {
        guard let word = rest.first else { return nil }
        guard rest.count == 1, let topic = Topic(rawValue: word) else {
            throw StartFailure(.usage, "\(rest.joined(separator: " ")): no such command; `martlet help` lists them")
        }
        return topic
    }

    private static func command(_ topic: Topic, _ arguments: [String]) throws(StartFailure) -> Command {
        var arguments = arguments
        let rotates = topic == .keys && arguments.first == "rotate"
        if rotates { arguments.removeFirst() }
        let isSeparate = topic == .up && take("--processes", from: &arguments)
        // `martlet check DIR` is `martlet check --project DIR`.
        if topic == .check, let folder = arguments.first, !folder.hasPrefix("-") { arguments[0] = "--project=\(folder)" }
        if topic == .move { try takeTarget(from: &arguments) }
        let isJSON = topic == .keys && take("--json", from: &arguments)
        var services: [ServiceName] = []
        while topic == .status, let word = arguments.first, !word.hasPrefix("-") {
            guard let service = ServiceName(rawValue: word), Suite.names.contains(service) else {
                throw StartFailure(.usage, "status: \(word): no such service")
            }
            services.append(service)
            arguments.removeFirst()
        }
        let events = topic == .events ? try EventOptions(taking: &arguments) : EventOptions()
        let jobs = topic == .jobs ? try JobsOptions(taking: &arguments) : nil
        let mails = topic == .mails ? try MailsOptions(taking: &arguments) : nil
        let flags: CommandLineFlags
        do throws(CommandLineFlags.UsageError) { flags = try CommandLineFlags(arguments) } catch {
            throw StartFailure(.usage, "\(topic.rawValue): \(error.message)")
        }
        switch flags.action {
        case .help: return .help(topic)
        case .version: return .version
        case .run: break
        case .checkConfiguration:
            guard topic == .up else { throw StartFailure(.usage, "\(topic.rawValue): --check-config: no such flag") }
        }
        if let jobs { return .jobs(flags, jobs) }
        if let mails { return .mails(flags, mails) }
        return switch topic {
        case .up: .up(flags, isSeparate: isSeparate)
        case .check: .check(flags)
        case .move: .move(flags)
        case .keys: .keys(flags, rotates: rotates, isJSON: isJSON)
        case .events: .events(flags, events)
        case .status, .jobs, .mails: .status(flags, services: services)
        }
    }

    /// `--to postgres`, the one place that there is to move to; `--help` is answered as any other.
    private static func takeTarget(from arguments: inout [String]) throws(StartFailure) {
        if arguments.contains("--help") || arguments.contains("-h") { return }
        guard try AdminAddress.take("--to", of: "move", from: &arguments) == "postgres" else {
            throw StartFailure(.usage, "move: expected --to postgres")
        }
    }

    /// Whether `flag` was there; it is not any more.
    fileprivate static func take(_ flag: String, from arguments: inout [String]) -> Bool {
        let count = arguments.count
        arguments.removeAll { $0 == flag }
        return arguments.count < count
    }
}

/// What `martlet events` does with what it reads.
struct EventOptions: Sendable, Equatable {
    /// nil for standard output.
    var file: String?
    /// Whether it goes on at the log's end.
    var follows = false

    init() {}

    /// Takes its own flags out of `arguments`.
    fileprivate init(taking arguments: inout [String]) throws(StartFailure) {
        follows = Command.take("--follow", from: &arguments)
        guard let place = arguments.firstIndex(where: { $0 == "--into" || $0.hasPrefix("--into=") }) else { return }
        var value = arguments.remove(at: place).dropFirst("--into=".count)
        if value.isEmpty, place < arguments.count { value = arguments.remove(at: place)[...] }
        guard !value.isEmpty else { throw StartFailure(.usage, "events: --into: needs a value") }
        file = String(value)
    }
}

// SPDX-License-Identifier: Apache-2.0

internal import Dispatch
internal import Glibc
internal import MartletServiceKit
internal import MartletWire

/// The executable `martlet`.
package enum CommandLineTool {
    /// Runs the command of this process; its exit status is 0 or one of `StartFailure.Status`.
    ///
    /// It stays on the thread that it is called on, the process's only one, except for `up` in one process, `move` and `events`.
    package static func main() -> Never {
        // A peer that hangs up is an error of a write, not the end of the process.
        signal(SIGPIPE, SIG_IGN)
        do {
            switch try Command(parsing: CommandLine.arguments.dropFirst()) {
            case .help(let topic): Console.print(CommandHelp.text(topic))
            case .version: Console.print("martlet \(MartletVersion.current)\n")
            case .check(let flags): try CheckCommand(settings: settings(flags)).run()
            case .move(let flags):
                let command = MoveCommand(settings: try settings(flags))
                runTask { try await command.run() }
            case .keys(let flags, let rotates, let isJSON):
                try KeysCommand(settings: settings(flags), rotates: rotates, isJSON: isJSON).run()
            case .status(let flags, let services):
                try StatusCommand(settings: settings(flags), services: services.isEmpty ? Suite.names : services).run()
            case .jobs(let flags, let options): try JobsCommand(settings: settings(flags), options: options).run()
            case .mails(let flags, let options): try MailsCommand(settings: settings(flags), options: options).run()
            case .events(let flags, let options):
                let command = EventsCommand(settings: try settings(flags), options: options)
                runTask { try await command.run() }
            case .up(let flags, let isSeparate):
                let settings = try settings(flags, for: Suite.names)
                if flags.action == .checkConfiguration {
                    Console.print(settings.report)
                } else if isSeparate {
                    exit(try Supervisor(settings: settings, flags: flags).run())
                } else {
                    runTask { try await OneProcess(settings: settings).run() }
                }
            }
        } catch {
            fail(error)
        }
        exit(0)
    }

    private static func settings(
        _ flags: CommandLineFlags, for services: [ServiceName] = []
    ) throws(StartFailure) -> Settings {
        do throws(SettingsError) {
            return try SettingsResolver(
                flags: flags, environment: ProcessEnvironment.variables, modeFallback: .development
            ).resolve(for: services)
        } catch {
            throw StartFailure(.configuration, error.problems.joined(separator: "\nmartlet: "))
        }
    }

    private static func runTask(_ body: @escaping @Sendable () async throws -> Void) -> Never {
        // The task is the process: it ends with it.
        Task.detached {
            do { try await body() } catch { fail(error) }
            exit(0)
        }
        dispatchMain()
    }

    private static func fail(_ error: any Error) -> Never {
        let failure = StartFailure(error)
        Console.complain(failure.message)
        exit(failure.status.rawValue)
    }
}

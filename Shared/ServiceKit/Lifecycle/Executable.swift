// SPDX-License-Identifier: Apache-2.0

internal import Glibc
internal import MartletWire

/// The whole of an executable that runs one service: flags, settings, start, graceful stop, exit status.
package enum Executable {
    /// Never returns: ends the process with 0 after a graceful stop, else with a status of `StartFailure.Status`.
    package static func run<S: MartletService>(_ service: S.Type) async -> Never {
        let name = "martlet-\(service.name.rawValue)"
        // A peer that hangs up is an error of a write, not the end of the process.
        signal(SIGPIPE, SIG_IGN)
        do {
            try await start(service, name: name)
        } catch {
            let failure = StartFailure(error)
            say("\(name): \(failure.message)")
            exit(failure.status.rawValue)
        }
        exit(0)
    }

    private static func start<S: MartletService>(_ service: S.Type, name: String) async throws {
        let flags: CommandLineFlags
        do throws(CommandLineFlags.UsageError) { flags = try CommandLineFlags(CommandLine.arguments.dropFirst()) } catch
        {
            throw StartFailure(.usage, error.message)
        }
        switch flags.action {
        case .help: return print(HelpText.text(for: service.name, program: name), terminator: "")
        case .version: return print("\(name) \(MartletVersion.current)")
        case .run, .checkConfiguration: break
        }
        let settings: Settings
        do throws(SettingsError) {
            settings = try SettingsResolver(flags: flags, environment: ProcessEnvironment.variables)
                .resolve(for: [service.name])
        } catch {
            throw StartFailure(.configuration, error.problems.joined(separator: "\n\(name): "))
        }
        if flags.action == .checkConfiguration { return print(settings.report, terminator: "") }
        try await Assembly(services: [service], settings: settings, topology: .separate).run()
    }

    private static func say(_ text: String) {
        let line = Array((text + "\n").utf8)
        _ = write(STDERR_FILENO, line, line.count)
    }
}

// SPDX-License-Identifier: Apache-2.0

internal import CProcess
internal import Glibc
internal import Logging
internal import MartletAccessTokens
internal import MartletJSON
internal import MartletServiceKit
internal import MartletWire

/// `martlet up --processes`: starts the five executables and keeps them alive until it is asked to stop.
///
/// One thread, which the children die with, waits for signals and carries out what `Supervision` decides.
struct Supervisor {
    private static let probeInterval = Duration.milliseconds(50)

    private let settings: Settings
    private let directory: DataDirectory
    private let keys: ProjectKeys
    private let executables: [ServiceName: String]
    private let arguments: [String]
    private let environment: [String: String]
    private let logger: Logger
    private let begin = ContinuousClock.now

    /// Throws `StartFailure`: what must be there is looked for before anything starts.
    init(settings: Settings, flags: CommandLineFlags) throws(StartFailure) {
        self.settings = settings
        let store = try KeyStore(settings)
        directory = try DataDirectory(path: DataDirectory.path(settings))
        keys = try store.projectKeys()
        let folder = try ChildProcess.ownFolder()
        var executables: [ServiceName: String] = [:]
        for service in Suite.names {
            let path = "\(folder)/martlet-\(service.rawValue)"
            guard access(path, X_OK) == 0 else {
                throw StartFailure(.unavailable, "\(path): \(PosixFile.text(of: errno)); build it first")
            }
            executables[service] = path
        }
        self.executables = executables
        arguments = SettingsTable.shared.all.compactMap { declaration in
            flags.values[declaration.path].map { "\(declaration.flag)=\($0)" }
        }
        environment = Self.environment(settings, directory)
        logger = ProcessLogger.make("martlet", settings: settings)
    }

    /// This process's own, and what `martlet up` takes for granted where nobody says otherwise.
    private static func environment(_ settings: Settings, _ directory: DataDirectory) -> [String: String] {
        let table = SettingsTable.shared
        var environment = ProcessEnvironment.variables
        if settings.origin(of: table.process.mode) == .standard {
            environment[table.process.mode.environmentName] = settings[\.process.mode].rawValue
        }
        if settings.origin(of: table.bus.transport) == .standard {
            let fits = directory.hasRoomForSockets
            environment[table.bus.transport.environmentName] = (fits ? BusTransport.ipc : .tcp).rawValue
        }
        return environment
    }

    /// Returns the exit status once every child has ended.
    func run() -> Int32 {
        var signals = SignalWait([SIGTERM, SIGINT, SIGCHLD])
        var supervision = Supervision(
            services: Suite.names, limits: SupervisionLimits(drainTimeout: settings[\.process.drainTimeout]))
        var processes: [ServiceName: pid_t] = [:]
        var actions = supervision.begin(at: .now)
        while true {
            var position = actions.startIndex
            while position < actions.endIndex {
                let action = actions[position]
                position += 1
                switch action {
                case .start(let service):
                    do { processes[service] = try start(service) } catch {
                        logger.error("A process cannot be started.", metadata: ["error.detail": "\(error)"])
                        let end = ProcessEnd.exited(error.status.rawValue)
                        actions += supervision.ended(service, end, at: .now)
                    }
                case .terminate(let service): send(SIGTERM, to: processes[service])
                case .kill(let service): send(SIGKILL, to: processes[service])
                case .announce: announce()
                case .note(let note): report(note)
                case .end(let status): return status
                }
            }
            actions = []
            switch signals.next(within: timeout(supervision)) {
            case SIGTERM, SIGINT: actions += supervision.stop(at: .now)
            default: break
            }
            while let (process, end) = ChildProcess.nextEnded() {
                guard let service = processes.first(where: { $0.value == process })?.key else { continue }
                processes[service] = nil
                actions += supervision.ended(service, end, at: .now)
            }
            for service in ready(among: supervision.unready, processes) {
                actions += supervision.becameReady(service)
            }
            actions += supervision.timePassed(at: .now)
        }
    }

    private func timeout(_ supervision: Supervision) -> Duration {
        let rest = supervision.nextDeadline.map { ContinuousClock.now.duration(to: $0) } ?? .seconds(60)
        return supervision.unready.isEmpty ? rest : min(rest, Self.probeInterval)
    }

    private func start(_ service: ServiceName) throws(StartFailure) -> pid_t {
        guard let path = executables[service] else {
            throw StartFailure(.internalError, "There is no executable of the \(service.rawValue) service.")
        }
        return try ChildProcess.start(path, arguments: arguments, environment: environment)
    }

    /// A number is that of our child: it is forgotten as soon as its end is known, and reused only after that.
    private func send(_ signal: Int32, to process: pid_t?) {
        if let process { kill(process, signal) }
    }

    /// Those of `services` that answer so on the admin port which their present process has written down.
    private func ready(among services: [ServiceName], _ processes: [ServiceName: pid_t]) -> [ServiceName] {
        guard !services.isEmpty, let listeners = try? PortsFile(directory).read() else { return [] }
        return services.filter { service in
            guard let own = listeners[service.rawValue], let address = own["admin"]?.stringValue,
                let process = processes[service], own["pid"]?.int64Value == Int64(process)
            else { return false }
            return ReadinessProbe.ask(address) == .ready
        }
    }

    private func announce() {
        let listeners = try? PortsFile(directory).read()
        let summary = ReadySummary(
            settings: settings, keys: keys,
            address: listeners?[ServiceName.edge.rawValue]?["http"]?.stringValue ?? "",
            duration: ContinuousClock.now - begin)
        Console.print(summary.text)
    }

    private func report(_ note: Supervision.Note) {
        switch note {
        case .restarts(let service, let end, let delay):
            logger.warning(
                "A service has ended and starts again.",
                metadata: [
                    "process.service": "\(service.rawValue)", "process.end": "\(end.text)",
                    "restart.delay": "\(DurationText.text(delay))",
                ])
        case .fails(let service, let end):
            let isMissing = end == .exited(Int32(MARTLET_EXEC_FAILED))
            let reason = isMissing ? "\(executables[service] ?? "") cannot be executed" : end.text
            Console.complain("the \(service.rawValue) service cannot start (\(reason)); everything stops")
        case .stopsBadly(let service, let end):
            logger.error(
                "A service did not stop well.",
                metadata: ["process.service": "\(service.rawValue)", "process.end": "\(end.text)"])
        }
    }
}

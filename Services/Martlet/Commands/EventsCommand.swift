// SPDX-License-Identifier: Apache-2.0

internal import MartletBus
internal import MartletServiceKit
internal import MartletWire

/// `martlet events`: the change log as lines of JSON.
struct EventsCommand: Sendable {
    let settings: Settings
    let options: EventOptions

    /// Returns at the log's end, or never when it follows.
    func run() async throws {
        do {
            guard let path = options.file else { return try await read(into: EventOutput()) }
            let file = try await EventFile(path)
            try await read(into: file)
            await file.close()
        } catch let error as BusError {
            throw StartFailure(.unavailable, "The data service does not answer: \(error.code.name) \(error.message)")
        } catch let error as PosixFile.Failure {
            throw StartFailure(.cannotCreate, "\(error)")
        }
    }

    private func read(into sink: any EventSink) async throws {
        try await OperatorBus.with(settings, to: .data) { bus in
            let reader = EventReader(bus: bus, sink: sink)
            if options.follows { try await reader.follow() } else { try await reader.read() }
        }
    }
}

// SPDX-License-Identifier: Apache-2.0

internal import Logging
internal import MartletBus

/// Gives the bus the list of allowed keys again when its file changes, so that a revoked key loses its links at once.
struct AllowListWatcher: Sendable {
    /// Between two looks at the file.
    static let interval = Duration.seconds(1)

    let bus: Bus
    let path: String
    let logger: Logger

    /// Runs until it is cancelled. A file that cannot be read changes nothing: the last good list stays in force.
    func run(startingWith first: AllowList) async {
        var current = first
        var fault = ""
        while !Task.isCancelled {
            try? await Task.sleep(for: Self.interval)
            do throws(BusError) {
                let found = try AllowList.load(path: path)
                fault = ""
                guard found != current else { continue }
                current = found
                bus.replaceAllowed(found)
                logger.info("The list of allowed keys has changed.", metadata: ["keys.count": "\(found.entries.count)"])
            } catch {
                guard error.message != fault else { continue }
                fault = error.message
                logger.error("The list of allowed keys cannot be read.", metadata: ["error.detail": "\(fault)"])
            }
        }
    }
}

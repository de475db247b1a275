// SPDX-License-Identifier: Apache-2.0

package import Logging

/// Makes the loggers of a process in the form that the settings ask for.
package enum ProcessLogger {
    /// `service` is what its lines carry under that key.
    package static func make(
        _ service: String, settings: Settings, sink: LogSink = .standardError
    ) -> Logger {
        let level = settings[\.process.logLevel]
        let handler: any LogHandler =
            settings[\.process.logFormat].isText(on: sink)
            ? TextLogHandler(service: service, level: level, sink: sink)
            : JSONLogHandler(service: service, level: level, sink: sink)
        return Logger(label: "martlet.\(service)") { _ in handler }
    }
}

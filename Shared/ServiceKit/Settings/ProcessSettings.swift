// SPDX-License-Identifier: Apache-2.0

package import Logging

/// What every process reads first.
package struct ProcessSettings: Sendable {
    package let mode = Setting<DeploymentMode>(
        "martlet.env", .production, isInFile: false,
        "Production refuses keys that were made by themselves. `martlet up` begins in development.")
    package let project = Setting<String?>(
        "martlet.project", nil, isInFile: false,
        "The project folder. Without it: `./supabase` if it holds a `config.toml`, else the working directory.")
    package let dataDirectory = Setting<String?>(
        "martlet.data_dir", nil,
        "The data directory; made with mode 0700. Without it: `.martlet` in the project folder. A relative path in the file begins at the project folder."
    )
    package let instance = Setting<String?>(
        "martlet.instance", nil, isInFile: false,
        "Names this process among the replicas of its service in logs. Without it: the service and the process number."
    ) { value in
        guard let value else { return nil }
        let isPlain = value.utf8.allSatisfy { $0 > 0x20 && $0 < 0x7F }
        return isPlain && (1...64).contains(value.utf8.count) ? nil : "expected 1 to 64 visible ASCII characters"
    }
    package let logLevel = Setting<Logger.Level>("martlet.log_level", .info, "Least severe level that is logged.")
    package let logFormat = Setting<LogFormat>(
        "martlet.log_format", .auto,
        "Lines of JSON for machines or text for people; `auto`: text on a terminal, else JSON.")
    package let drainTimeout = Setting<Duration>(
        "martlet.drain_timeout", .seconds(25), in: .seconds(1)...(.seconds(600)),
        "How long a stopping service may finish what it has in hand before it is cancelled.")
}

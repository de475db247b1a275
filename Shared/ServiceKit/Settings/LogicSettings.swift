// SPDX-License-Identifier: Apache-2.0

internal import MartletWire

/// Functions, jobs, schedules.
package struct LogicSettings: Sendable {
    package let deno = Setting<String?>(
        "martlet.logic.deno", nil, readers: [.logic],
        "Path of the program that runs TypeScript functions. Without it: `deno` on `PATH`.")
    package let edgeURL = Setting<String?>(
        "martlet.logic.edge_url", nil, readers: [.logic],
        "Where functions reach the edge, their `SUPABASE_URL`. Without it: the edge's port on this machine."
    ) { $0.flatMap(NetworkText.urlFault) }
    package let engine = Setting<String>(
        "martlet.logic.engine", "sqlite", range: "`sqlite` or `postgres://…`", isSecret: true, readers: [.logic],
        "Database of jobs, triggers and schedules.", fault: DataSettings.engineFault)
}

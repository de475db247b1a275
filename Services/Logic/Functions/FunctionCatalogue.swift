// SPDX-License-Identifier: Apache-2.0

internal import MartletServiceKit

/// The functions that there are: entries of config.toml, and folders.
struct FunctionCatalogue: Sendable {
    let tables: ProjectTables
    let project: ProjectFolder

    /// Nil if there is none of this name, or it is switched off.
    func entry(_ name: String) -> FunctionEntry? {
        guard let entry = tables.function(name, in: project), entry.isEnabled else { return nil }
        return entry
    }
}

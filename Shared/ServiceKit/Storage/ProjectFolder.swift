// SPDX-License-Identifier: Apache-2.0

/// The folder of an application: its configuration, migrations and site (D6).
package struct ProjectFolder: Sendable, Equatable {
    /// From the root on.
    package let path: String

    package init(path: String) { self.path = PosixFile.absolute(path) }

    /// `./supabase` if it holds a `config.toml`, else the working directory.
    package static func found() -> ProjectFolder {
        ProjectFolder(path: PosixFile.exists("supabase/config.toml") ? "supabase" : ".")
    }

    package var configFile: String { path + "/config.toml" }
    package var migrations: String { path + "/migrations" }
    /// Rows for development.
    package var seed: String { path + "/seed.sql" }
    /// A folder for each function, and `_shared`.
    package var functions: String { path + "/functions" }
    /// Mails in the project's words.
    package var templates: String { path + "/templates" }
    /// Static files that the edge serves.
    package var site: String { path + "/site" }
}

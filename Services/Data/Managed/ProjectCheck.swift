// SPDX-License-Identifier: Apache-2.0

package import MartletServiceKit
package import MartletSQL

/// What a project's migrations and seed would meet on each engine, read without running anything.
package struct ProjectCheck: Sendable {
    package struct File: Sendable {
        package var name: String
        package var statements: Int
        /// Why SQLite does not run it, in the order of the text. Empty: it does.
        package var refusals: [SQLRefusal]
    }

    /// In the order in which they run; the seed last.
    package private(set) var files: [File] = []
    /// Why the project cannot be used on any engine: a file of a wrong name, or one that cannot be read.
    package private(set) var failure: MigrationFailure?

    package var refusals: [SQLRefusal] { files.flatMap(\.refusals) }
    package var runsOnSQLite: Bool { failure == nil && refusals.isEmpty }

    /// Reads the files.
    ///
    /// - Parameter withSeed: whether the seed counts; it is for development.
    package init(_ settings: Settings, withSeed: Bool) {
        let files = ProjectFiles(project: settings.project)
        do {
            var translator = MigrationTranslator(catalog: try Platform.catalog().0)
            var missing = MissingRelations()
            func check(_ sql: String, _ name: String) {
                let (refusals, statements) = translator.check(sql, file: name, &missing)
                self.files.append(File(name: name, statements: statements, refusals: refusals))
            }
            for file in try files.migrations() { check(file.sql, file.fileName) }
            for seed in withSeed ? try files.seeds(settings) : [] { check(seed.sql, seed.name) }
        } catch let failure as MigrationFailure {
            self.failure = failure
        } catch {
            failure = MigrationFailure(file: settings.project.path, reason: "\(error)")
        }
    }
}

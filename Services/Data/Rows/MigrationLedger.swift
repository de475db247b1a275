// SPDX-License-Identifier: Apache-2.0

import MartletSQL

/// What was applied before, compared with the files that there are now.
struct MigrationLedger {
    struct Entry: Equatable {
        var version: String
        var checksum: String
    }

    /// By version, ascending.
    let entries: [Entry]

    /// The files that are new, in order.
    ///
    /// - Throws: `MigrationFailure` for an edited or missing applied file, two files of one version, and a new file
    ///   older than the last applied one.
    func pending(_ files: [MigrationFile]) throws(MigrationFailure) -> [MigrationFile] {
        let files = files.sorted { $0.fileName < $1.fileName }
        var versions: Set<String> = []
        for file in files where !versions.insert(file.version).inserted {
            throw MigrationFailure(file: file.fileName, reason: "another file has the version \(file.version)")
        }
        for entry in entries {
            guard let file = files.first(where: { $0.version == entry.version }) else {
                throw MigrationFailure(
                    file: entry.version, reason: "the migration was applied, and its file is missing now")
            }
            guard ContentDigest.text(of: file.sql) == entry.checksum else {
                throw MigrationFailure(
                    file: file.fileName,
                    reason: "the file was changed after it was applied; put later changes into a new file")
            }
        }
        let applied = Set(entries.map(\.version))
        let new = files.filter { !applied.contains($0.version) }
        if let last = files.last(where: { applied.contains($0.version) }),
            let late = new.first(where: { $0.fileName < last.fileName })
        {
            throw MigrationFailure(
                file: late.fileName,
                reason: "the file is older than \(last.version), which was applied before; give it a later version")
        }
        return new
    }

    /// Why `require_row_security` refuses what `last` leaves behind; nil when every exposed table is guarded.
    static func openTable(in catalog: Catalog, _ schemas: [String], _ last: MigrationFile) -> MigrationFailure? {
        let open = catalog.relations.values.filter {
            $0.kind == .table && schemas.contains($0.name.schema) && !$0.rowSecurity
        }
        guard let first = open.min(by: { $0.name < $1.name }) else { return nil }
        return MigrationFailure(
            file: last.fileName,
            reason: "the table \(first.name.schema).\(first.name.name) has no row level security, which "
                + "martlet.data.require_row_security asks for")
    }
}

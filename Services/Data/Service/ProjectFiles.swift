// SPDX-License-Identifier: Apache-2.0

import MartletServiceKit

/// Reads the migrations and the seed of a project folder (D6).
struct ProjectFiles {
    let project: ProjectFolder

    /// Longest file, in bytes.
    private static let fileBytesMax = 64 << 20

    /// `migrations/<14 digits>_name.sql`, in order. None when there is no such folder.
    ///
    /// - Throws: `MigrationFailure` for a SQL file of another name, and one that cannot be read.
    func migrations() throws(MigrationFailure) -> [MigrationFile] {
        var files: [MigrationFile] = []
        for name in PosixFile.names(in: project.migrations).sorted()
        where name.hasSuffix(".sql") && !name.hasPrefix(".") {
            let version = name.prefix(14)
            guard version.utf8.count == 14, version.utf8.allSatisfy({ UInt8(ascii: "0")...UInt8(ascii: "9") ~= $0 }),
                name.dropFirst(14).hasPrefix("_")
            else {
                throw MigrationFailure(file: name, reason: "a migration is named <14 digits>_<name>.sql")
            }
            files.append(
                MigrationFile(
                    version: String(version), fileName: name, sql: try text(of: "\(project.migrations)/\(name)", name)))
        }
        return files
    }

    /// The seed; nil when there is none.
    func seed() throws(MigrationFailure) -> String? {
        PosixFile.exists(project.seed) ? try text(of: project.seed, "seed.sql") : nil
    }

    private func text(of path: String, _ name: String) throws(MigrationFailure) -> String {
        do {
            if let text = try PosixFile.read(path, bytesMax: Self.fileBytesMax) { return text }
        } catch {
            throw MigrationFailure(file: name, reason: "\(error)")
        }
        throw MigrationFailure(file: name, reason: "the file cannot be read")
    }
}

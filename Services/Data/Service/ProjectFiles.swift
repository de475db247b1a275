// SPDX-License-Identifier: Apache-2.0

import MartletServiceKit

/// Reads the migrations and the seed of a project folder (D6).
struct ProjectFiles {
    let project: ProjectFolder

    /// Longest file, in bytes.
    private static let fileBytesMax = 64 << 20

    /// `migrations/<digits>_name.sql`, in the order of the names. None when there is no such folder.
    ///
    /// - Throws: `MigrationFailure` for a SQL file of another name, and one that cannot be read.
    func migrations() throws(MigrationFailure) -> [MigrationFile] {
        var files: [MigrationFile] = []
        for name in PosixFile.names(in: project.migrations).sorted()
        where name.hasSuffix(".sql") && !name.hasPrefix(".") {
            let version = name.utf8.prefix { UInt8(ascii: "0")...UInt8(ascii: "9") ~= $0 }
            guard !version.isEmpty, name.utf8.dropFirst(version.count).first == UInt8(ascii: "_") else {
                throw MigrationFailure(
                    file: name, reason: "a migration is named <digits>_<name>.sql, usually the time of its making")
            }
            files.append(
                MigrationFile(
                    version: String(Substring(version)), fileName: name,
                    sql: try text(of: "\(project.migrations)/\(name)", name)))
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

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

    /// The files of the seed that are there, each once, by the names that the settings have for them.
    func seeds(_ settings: Settings) throws(MigrationFailure) -> [(name: String, sql: String)] {
        guard settings[\.data.seeds] else { return [] }
        var found: [(name: String, sql: String)] = []
        for pattern in settings[\.data.seedPaths] {
            let plain = pattern.hasPrefix("./") ? String(pattern.dropFirst(2)) : pattern
            for name in names(plain) where !found.contains(where: { $0.name == name }) {
                let path = PosixFile.absolute(name, from: project.path)
                if PosixFile.exists(path) { found.append((name, try text(of: path, name))) }
            }
        }
        return found
    }

    /// What a pattern stands for: itself, or the names of its folder that begin and end as it does around its `*`.
    private func names(_ pattern: String) -> [String] {
        let slash = pattern.lastIndex(of: "/")
        let folder = slash.map { String(pattern[...$0]) } ?? ""
        let parts = pattern[(slash.map { pattern.index(after: $0) } ?? pattern.startIndex)...].split(
            separator: "*", maxSplits: 1, omittingEmptySubsequences: false)
        guard parts.count == 2 else { return [pattern] }
        return PosixFile.names(in: PosixFile.absolute(folder + ".", from: project.path)).sorted().filter { name in
            name.hasPrefix(parts[0]) && name.hasSuffix(parts[1])
                && name.utf8.count >= parts[0].utf8.count + parts[1].utf8.count
        }.map { folder + $0 }
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

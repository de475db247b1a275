// SPDX-License-Identifier: Apache-2.0

import Glibc
package import MartletServiceKit

/// The programs of a PostgreSQL server on this machine.
struct PostgresBinaries: Sendable, Equatable {
    /// From the root on; it holds `postgres` and `initdb`.
    let folder: String
    /// Major version.
    let version: Int

    /// The oldest one that is used: views with `security_invoker` came with it.
    static let versionMin = 15

    /// The newest ones, in this order: those of `named`, a folder that a setting names; those on PATH; where Debian,
    /// Red Hat and a source build put them.
    ///
    /// - Parameter version: only this major version, which an existing cluster needs.
    static func find(named: String?, path: String, version: Int? = nil) -> PostgresBinaries? {
        let folders: [String] =
            if let named { [named] } else { path.split(separator: ":").map(String.init) + places() }
        var best: PostgresBinaries?
        for folder in folders where folder.hasPrefix("/") && hasPrograms(folder) {
            guard let found = Self.version(of: folder), found >= versionMin, version == nil || version == found else {
                continue
            }
            // What is named first is preferred to another place of the same version.
            if best.map({ $0.version < found }) ?? true { best = PostgresBinaries(folder: folder, version: found) }
        }
        return best
    }

    private static func hasPrograms(_ folder: String) -> Bool {
        ["postgres", "initdb"].allSatisfy { access("\(folder)/\($0)", X_OK) == 0 }
    }

    private static func places() -> [String] {
        PosixFile.names(in: "/usr/lib/postgresql").map { "/usr/lib/postgresql/\($0)/bin" }
            + PosixFile.names(in: "/usr").filter { $0.hasPrefix("pgsql-") }.map { "/usr/\($0)/bin" }
            + ["/usr/local/pgsql/bin"]
    }

    /// What `postgres -V` says: `postgres (PostgreSQL) 15.14 (Debian 15.14-0+deb12u1)`, `17beta1`.
    private static func version(of folder: String) -> Int? {
        let command = ProcessCommand(
            program: "\(folder)/postgres", arguments: ["-V"], environment: ["LC_ALL": "C"], folder: "/")
        guard case .success(let text) = ManagedProcess.output(of: command) else { return nil }
        return version(in: text)
    }

    static func version(in text: String) -> Int? {
        guard let word = text.split(separator: ") ", maxSplits: 1).dropFirst().first else { return nil }
        return Int(word.prefix { $0.isASCII && $0.isNumber })
    }
}

/// Where the private server's programs are, for those who do not run it.
package struct PostgresPlace: Sendable, Equatable {
    package let folder: String
    /// Major version.
    package let version: Int

    package static func find(_ settings: Settings) -> PostgresPlace? {
        PostgresBinaries.find(settings).map { PostgresPlace(folder: $0.folder, version: $0.version) }
    }
}

extension PostgresBinaries {
    /// Those that the settings and the environment lead to.
    static func find(_ settings: Settings, version: Int? = nil) -> PostgresBinaries? {
        find(
            named: settings[\.data.postgresBinaries], path: ProcessEnvironment.variables["PATH"] ?? "",
            version: version)
    }
}

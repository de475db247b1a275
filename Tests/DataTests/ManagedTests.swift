// SPDX-License-Identifier: Apache-2.0

import Testing

@testable import MartletData
import MartletServiceKit

@Suite("A private PostgreSQL: values")
struct ManagedTests {
    @Test(
        "The major version stands behind the name",
        arguments: [
            ("postgres (PostgreSQL) 15.14 (Debian 15.14-0+deb12u1)\n", 15), ("postgres (PostgreSQL) 18beta1\n", 18),
            ("postgres (PostgreSQL) 9.6.24\n", 9), ("postgres\n", nil), ("", nil),
        ] as [(String, Int?)])
    func version(text: String, version: Int?) {
        #expect(PostgresBinaries.version(in: text) == version)
    }

    @Test("The URL of a socket in a folder of any name")
    func url() throws {
        let binaries = PostgresBinaries(folder: "/x", version: 15)
        let folder = "/tmp/a b%&?=é"
        let cluster = ManagedCluster(folder: folder, socketFolder: folder, binaries: binaries, user: nil)
        #expect(cluster.url == "postgres://martlet_owner@/postgres?host=/tmp/a%20b%25%26%3F%3D%C3%A9")
    }

    @Test("A path that is too long for a socket gets a folder elsewhere, for this user alone")
    func longPath() throws {
        #expect(try ManagedCluster.socketFolder(for: "/short") == "/short")
        let other = try ManagedCluster.socketFolder(for: "/" + String(repeating: "x", count: 100))
        defer { try? PosixFile.removeTree(other) }
        #expect(other.hasPrefix("/tmp/martlet-postgres-"))
        #expect(PosixFile.isFolder(other))
    }

    @Test("The setting names the choice; auto leaves it open")
    func choice() {
        #expect(EngineChoice(setting: "auto") == nil)
        #expect(EngineChoice(setting: "sqlite") == .sqlite)
        #expect(EngineChoice(setting: "postgres") == .managed)
        #expect(EngineChoice(setting: "postgres://h/d") == .server(url: "postgres://h/d"))
    }

    @Test("Files run in the order of their names, with versions of any length")
    func order() throws {
        func file(_ name: String) -> MigrationFile {
            MigrationFile(version: String(name.prefix { $0.isNumber }), fileName: name, sql: "")
        }
        let files = ["10_b.sql", "002_a.sql", "20240101000000_c.sql"].map(file)
        let ledger = MigrationLedger(entries: [])
        #expect(try ledger.pending(files).map(\.fileName) == ["002_a.sql", "10_b.sql", "20240101000000_c.sql"])
        #expect(throws: MigrationFailure.self) { try ledger.pending(files + [file("002_other.sql")]) }
        let applied = MigrationLedger(entries: [.init(version: "10", checksum: ContentDigest.text(of: ""))])
        #expect(try applied.pending(Array(files.dropFirst(2)) + [files[0]]).map(\.fileName) == ["20240101000000_c.sql"])
        #expect(throws: MigrationFailure.self) { try applied.pending(files) }
    }

    @Test("The digest of rows knows nulls from empty texts, columns from one another, and no order")
    func digest() {
        func digest(_ rows: [[String?]]) -> RowsDigest {
            var digest = RowsDigest()
            for row in rows { digest.add(row) }
            return digest
        }
        #expect(digest([["a", nil], ["b", "c"]]) == digest([["b", "c"], ["a", nil]]))
        #expect(digest([["a", nil]]) != digest([["a", ""]]))
        #expect(digest([["ab", "c"]]) != digest([["a", "bc"]]))
        #expect(digest([["a"], ["a"]]) != digest([["a"]]))
        #expect(digest([[]]) != digest([]))
    }
}

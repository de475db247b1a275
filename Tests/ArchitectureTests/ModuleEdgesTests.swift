// SPDX-License-Identifier: Apache-2.0

import Testing

/// The module edges that `docs/ARCHITECTURE.md` promises, held against the imports of every source file.
@Suite("Architecture: module edges")
struct ModuleEdgesTests {
    private static let sources = SourceTree.swiftFiles(under: ["Services", "Shared"])

    /// Who may import a module that is not for everybody. Paths are prefixes of the importing file.
    private static let importers: [String: [String]] = [
        "CZeroMQ": ["Shared/Bus/"],
        "CSQLite": ["Shared/Database/"],
        "CPostgreSQL": ["Shared/Database/"],
        "CPgQuery": ["Shared/SQLTranslation/"],
        "CArgon2": ["Services/Auth/"],
        "CCrypt": ["Services/Auth/"],
        "CCurl": ["Shared/SMTP/"],
        "CCurlLate": ["Shared/Tracing/"],
        "MartletSMTP": ["Services/Notification/"],
        "NIOHTTP1": ["Services/Edge/", "Services/Logic/Functions/", "Shared/ServiceKit/"],
        "SwiftProtobuf": ["Shared/Wire/"],
        "Crypto": ["Shared/AccessTokens/", "Services/Auth/", "Services/Logic/"],
        "MartletSQL": ["Services/Data/", "Services/Logic/", "Services/Martlet/"],
        "MartletDatabase": [
            "Services/Auth/", "Services/Data/", "Services/Logic/", "Services/Martlet/", "Services/Notification/",
            "Shared/SQLTranslation/", "Shared/TestKit/",
        ],
        "NIOWebSocket": ["Services/Edge/"],
        "MartletEdge": ["Services/Edge/Executable/", "Services/Martlet/"],
        "MartletAuth": ["Services/Auth/Executable/", "Services/Martlet/"],
        "MartletData": ["Services/Data/Executable/", "Services/Martlet/"],
        "MartletLogic": ["Services/Logic/Executable/", "Services/Martlet/"],
        "MartletNotification": ["Services/Notification/Executable/", "Services/Martlet/"],
    ]

    @Test("A module with named importers is imported by nobody else", arguments: importers.keys.sorted())
    func importersAreKept(module: String) throws {
        let allowed = try #require(Self.importers[module])
        for file in Self.sources where file.imports.contains(module) {
            #expect(
                allowed.contains { file.path.hasPrefix($0) },
                "\(file.path) imports \(module); allowed are \(allowed.joined(separator: ", "))")
        }
    }

    @Test("A module of the manifest has an importer, so that the table cannot rot", arguments: importers.keys.sorted())
    func importersExist(module: String) throws {
        let manifest = try #require(SourceTree.text(of: "Package.swift"))
        guard manifest.contains("name: \"\(module)\"") else { return }
        #expect(Self.sources.contains { $0.imports.contains(module) }, "Nobody imports \(module)")
    }

    @Test("The wire module's own sources import nothing but buffers and its generated code's runtime")
    func wireIsPure() {
        for file in Self.sources where file.path.hasPrefix("Shared/Wire/") && !file.path.contains("/Generated/") {
            #expect(
                file.imports.isSubset(of: ["NIOCore", "SwiftProtobuf", "Synchronization"]),
                "\(file.path) imports \(file.imports.sorted().joined(separator: ", "))")
        }
    }

    @Test("No service and no hot module links the whole of Foundation")
    func foundationStaysOut() {
        for file in Self.sources where !file.path.contains("/Generated/") {
            #expect(!file.imports.contains("Foundation"), "\(file.path) imports Foundation")
        }
    }

    @Test("No table of an example stands under Services")
    func noExampleInServices() {
        for file in Self.sources where file.path.hasPrefix("Services/") {
            for word in ["order_lines", "placed_orders", "order_status"] {
                #expect(!file.text.contains(word), "\(file.path) names \(word)")
            }
        }
    }

    @Test("Every source file begins with its licence and stays short enough to see through")
    func filesAreTidy() {
        for file in Self.sources where !file.path.contains("/Generated/") {
            #expect(file.text.hasPrefix("// SPDX-License-Identifier: Apache-2.0\n"), "\(file.path)")
            let lines = file.text.split(separator: "\n", omittingEmptySubsequences: false).count
            #expect(lines <= 600, "\(file.path) has \(lines) lines")
        }
    }
}

// SPDX-License-Identifier: Apache-2.0

/// What single statements speak about, for engines that run them as they are written.
package enum SQLNames {
    /// The extension that a `CREATE EXTENSION` makes; nil for any other text.
    package static func createdExtension(in sql: String) -> String? {
        guard let statements = try? SQLParser.statements(of: SourceText(sql)), statements.count == 1,
            let node = statements.first?.node, node.kind == "CreateExtensionStmt"
        else { return nil }
        return node.string("extname")
    }
}

// SPDX-License-Identifier: Apache-2.0

/// What single statements speak about, for engines that run them as they are written.
package enum SQLNames {
    /// The extension that a statement makes, comments on or alters; nil for any other text.
    package static func `extension`(in sql: String) -> (name: String, isCreation: Bool)? {
        guard let statements = try? SQLParser.statements(of: SourceText(sql)), statements.count == 1,
            let node = statements.first?.node
        else { return nil }
        switch node.kind {
        case "CreateExtensionStmt": return node.string("extname").map { ($0, true) }
        case "AlterExtensionStmt": return node.string("extname").map { ($0, false) }
        case "CommentStmt" where node.string("objtype") == "OBJECT_EXTENSION",
            "AlterObjectSchemaStmt" where node.string("objectType") == "OBJECT_EXTENSION":
            let name = node.node("object")?.string("sval") ?? node.bare("object", as: "String")?.string("sval")
            return name.map { ($0, false) }
        default: return nil
        }
    }
}

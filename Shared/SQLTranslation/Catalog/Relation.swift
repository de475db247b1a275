// SPDX-License-Identifier: Apache-2.0

/// A table or a view.
package struct Relation: Sendable, Equatable {
    package enum Kind: String, Sendable { case table, view }

    package var name: QualifiedName
    package var kind: Kind
    package var columns: [Column]
    package var primaryKey: KeyConstraint?
    package var uniques: [KeyConstraint]
    package var foreignKeys: [ForeignKey]
    package var checks: [CheckConstraint]
    package var indexes: [Index]
    package var rowSecurity: Bool
    package var forcesRowSecurity: Bool
    package var policies: [Policy]
    /// Role that owns the relation: `postgres` for the application's own.
    package var owner: String
    /// Table-wide and per-column privileges by role; the pseudo-role `public` is in here under its name.
    package var grants: [String: Privileges]
    package var comment: String?
    /// A view's query, as PostgreSQL text; nil for tables.
    package var viewQuery: String?
    /// `security_invoker`: the view's tables are read as the caller, not as the view's owner.
    package var securityInvoker: Bool
    /// `REPLICA IDENTITY FULL`: change events carry the whole old row.
    package var replicatesOldRow: Bool

    package init(
        name: QualifiedName, kind: Kind = .table, columns: [Column] = [], primaryKey: KeyConstraint? = nil,
        uniques: [KeyConstraint] = [], foreignKeys: [ForeignKey] = [], checks: [CheckConstraint] = [],
        indexes: [Index] = [], rowSecurity: Bool = false, forcesRowSecurity: Bool = false, policies: [Policy] = [],
        owner: String = "postgres", grants: [String: Privileges] = [:], comment: String? = nil,
        viewQuery: String? = nil, securityInvoker: Bool = false, replicatesOldRow: Bool = false
    ) {
        self.name = name
        self.kind = kind
        self.columns = columns
        self.primaryKey = primaryKey
        self.uniques = uniques
        self.foreignKeys = foreignKeys
        self.checks = checks
        self.indexes = indexes
        self.rowSecurity = rowSecurity
        self.forcesRowSecurity = forcesRowSecurity
        self.policies = policies
        self.owner = owner
        self.grants = grants
        self.comment = comment
        self.viewQuery = viewQuery
        self.securityInvoker = securityInvoker
        self.replicatesOldRow = replicatesOldRow
    }

    package func column(_ name: String) -> Column? { columns.first { $0.name == name } }
}

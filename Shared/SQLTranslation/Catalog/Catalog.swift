// SPDX-License-Identifier: Apache-2.0

/// Name of a relation, type or function: schema and name, as PostgreSQL folds them.
package struct QualifiedName: Sendable, Hashable, Comparable {
    package var schema: String
    package var name: String

    package init(_ schema: String, _ name: String) {
        self.schema = schema
        self.name = name
    }

    package static func < (left: Self, right: Self) -> Bool {
        (left.schema, left.name) < (right.schema, right.name)
    }
}

/// What the application's migrations declared: the schema cache of the data service, on both engines.
///
/// On SQLite it is the truth and is stored in `martlet_meta`; on PostgreSQL it is read from the system catalogue.
package struct Catalog: Sendable, Equatable {
    /// Raised by every change of the schema; part of every plan's cache key.
    package var version: Int64
    package var schemas: [String]
    package var relations: [QualifiedName: Relation]
    package var enums: [QualifiedName: EnumType]
    /// Default privileges: what a new table of `schema` grants, by role.
    package var defaultPrivileges: [String: [String: Privileges]]
    /// Roles that exist, with what they bypass.
    package var roles: [String: Role]
    /// Relations of the publication `supabase_realtime`.
    package var publication: Set<QualifiedName>
    /// Roles that may use each schema, `public` among them; a schema that is absent is not guarded here.
    package var schemaUsage: [String: Set<String>]

    package init(
        version: Int64 = 0, schemas: [String] = [], relations: [QualifiedName: Relation] = [:],
        enums: [QualifiedName: EnumType] = [:], defaultPrivileges: [String: [String: Privileges]] = [:],
        roles: [String: Role] = [:], publication: Set<QualifiedName> = [], schemaUsage: [String: Set<String>] = [:]
    ) {
        self.version = version
        self.schemas = schemas
        self.relations = relations
        self.enums = enums
        self.defaultPrivileges = defaultPrivileges
        self.roles = roles
        self.publication = publication
        self.schemaUsage = schemaUsage
    }
}

package struct Role: Sendable, Equatable {
    package var bypassesRowSecurity: Bool

    package init(bypassesRowSecurity: Bool = false) { self.bypassesRowSecurity = bypassesRowSecurity }
}

package struct EnumType: Sendable, Equatable {
    package var name: QualifiedName
    /// Labels in their order, which is also the order of values.
    package var labels: [String]

    package init(name: QualifiedName, labels: [String]) {
        self.name = name
        self.labels = labels
    }
}

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

package struct Column: Sendable, Equatable {
    package enum Identity: String, Sendable { case none, always, byDefault }

    package var name: String
    package var type: ColumnType
    package var notNull: Bool
    /// Default as PostgreSQL text; nil when there is none. Applied by the host on SQLite (data-semantics 4).
    package var defaultExpression: String?
    package var identity: Identity
    /// Expression of a stored generated column, as PostgreSQL text.
    package var generatedExpression: String?
    package var comment: String?

    package init(
        name: String, type: ColumnType, notNull: Bool = false, defaultExpression: String? = nil,
        identity: Identity = .none, generatedExpression: String? = nil, comment: String? = nil
    ) {
        self.name = name
        self.type = type
        self.notNull = notNull
        self.defaultExpression = defaultExpression
        self.identity = identity
        self.generatedExpression = generatedExpression
        self.comment = comment
    }
}

package struct KeyConstraint: Sendable, Equatable {
    package var name: String
    package var columns: [String]
    package var nullsNotDistinct: Bool

    package init(name: String, columns: [String], nullsNotDistinct: Bool = false) {
        self.name = name
        self.columns = columns
        self.nullsNotDistinct = nullsNotDistinct
    }
}

package struct ForeignKey: Sendable, Equatable {
    package enum Action: String, Sendable { case noAction, restrict, cascade, setNull, setDefault }

    package var name: String
    package var columns: [String]
    package var target: QualifiedName
    package var targetColumns: [String]
    package var onDelete: Action
    package var onUpdate: Action
    package var isDeferrable: Bool
    package var isInitiallyDeferred: Bool

    package init(
        name: String, columns: [String], target: QualifiedName, targetColumns: [String],
        onDelete: Action = .noAction, onUpdate: Action = .noAction, isDeferrable: Bool = false,
        isInitiallyDeferred: Bool = false
    ) {
        self.name = name
        self.columns = columns
        self.target = target
        self.targetColumns = targetColumns
        self.onDelete = onDelete
        self.onUpdate = onUpdate
        self.isDeferrable = isDeferrable
        self.isInitiallyDeferred = isInitiallyDeferred
    }
}

package struct CheckConstraint: Sendable, Equatable {
    package var name: String
    /// PostgreSQL text of the condition.
    package var expression: String

    package init(name: String, expression: String) {
        self.name = name
        self.expression = expression
    }
}

package struct Index: Sendable, Equatable {
    package var name: String
    package var isUnique: Bool
    /// Each term as PostgreSQL text (a column name or an expression), with its direction.
    package var terms: [String]
    /// Condition of a partial index, as PostgreSQL text.
    package var predicate: String?
    /// `btree`; any other is kept here only, because an index changes no result and SQLite has trees alone.
    package var method: String

    package init(name: String, isUnique: Bool, terms: [String], predicate: String? = nil, method: String = "btree") {
        self.name = name
        self.isUnique = isUnique
        self.terms = terms
        self.predicate = predicate
        self.method = method
    }
}

package struct Policy: Sendable, Equatable {
    package enum Command: String, Sendable { case all, select, insert, update, delete }

    package var name: String
    package var isPermissive: Bool
    package var command: Command
    /// Roles it applies to; `public` means every role.
    package var roles: [String]
    /// PostgreSQL text of USING and WITH CHECK.
    package var using: String?
    package var withCheck: String?

    package init(
        name: String, isPermissive: Bool = true, command: Command = .all, roles: [String] = ["public"],
        using: String? = nil, withCheck: String? = nil
    ) {
        self.name = name
        self.isPermissive = isPermissive
        self.command = command
        self.roles = roles
        self.using = using
        self.withCheck = withCheck
    }
}

/// What a role may do with a relation.
package struct Privileges: Sendable, Equatable {
    package struct Set: OptionSet, Sendable, Hashable {
        package let rawValue: UInt16

        package init(rawValue: UInt16) { self.rawValue = rawValue }

        package static let select = Set(rawValue: 1)
        package static let insert = Set(rawValue: 2)
        package static let update = Set(rawValue: 4)
        package static let delete = Set(rawValue: 8)
        package static let truncate = Set(rawValue: 16)
        package static let references = Set(rawValue: 32)
        package static let trigger = Set(rawValue: 64)
        package static let all: Set = [.select, .insert, .update, .delete, .truncate, .references, .trigger]
    }

    package var table: Set
    /// Column grants: `grant select (a, b)`.
    package var columns: [String: Set]

    package init(table: Set = [], columns: [String: Set] = [:]) {
        self.table = table
        self.columns = columns
    }
}

/// A column's type with its modifiers.
package struct ColumnType: Sendable, Equatable, Hashable {
    package enum Base: String, Sendable, Hashable {
        case int2, int4, int8, float4, float8, numeric, bool, text, varchar, bpchar, citext, uuid, date, time
        case timestamp, timestamptz, interval, json, jsonb, bytea, inet
        /// A type of the application; `enumName` says which.
        case enumeration
        /// A type that this page does not know (PostgreSQL only): values pass as text.
        case other
    }

    package var base: Base
    /// Whether it is an array of `base` (of any number of dimensions, as in PostgreSQL).
    package var isArray: Bool
    /// Length of varchar(n) and char(n); precision of numeric(p, s).
    package var precision: Int?
    package var scale: Int?
    package var enumName: QualifiedName?
    /// PostgreSQL's spelling (`format_type`), for casts and messages: `timestamp with time zone`, `numeric(10,2)`.
    package var display: String

    package init(
        base: Base, isArray: Bool = false, precision: Int? = nil, scale: Int? = nil, enumName: QualifiedName? = nil,
        display: String
    ) {
        self.base = base
        self.isArray = isArray
        self.precision = precision
        self.scale = scale
        self.enumName = enumName
        self.display = display
    }
}

// SPDX-License-Identifier: Apache-2.0

/// What the application's migrations declared: the schema cache of the data service, on both engines.
///
/// On SQLite it is the truth and is stored in `martlet_meta`; on PostgreSQL it is read from the system catalogue.
package struct Catalog: Sendable, Equatable {
    /// Raised by every change of the schema; part of every plan's cache key.
    package var version: Int64
    package var schemas: [String]
    package var relations: [QualifiedName: Relation]
    package var enums: [QualifiedName: EnumType]
    /// Functions that can be called by name, every overload of each; none on SQLite.
    package var functions: [QualifiedName: [DatabaseFunction]]
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
        roles: [String: Role] = [:], publication: Set<QualifiedName> = [], schemaUsage: [String: Set<String>] = [:],
        functions: [QualifiedName: [DatabaseFunction]] = [:]
    ) {
        self.version = version
        self.schemas = schemas
        self.relations = relations
        self.enums = enums
        self.functions = functions
        self.defaultPrivileges = defaultPrivileges
        self.roles = roles
        self.publication = publication
        self.schemaUsage = schemaUsage
    }
}

// SPDX-License-Identifier: Apache-2.0

package import MartletSQL

/// The catalogue with what the planner derives from it once per load: relationships between exposed relations.
package final class SchemaCache: Sendable {
    package let catalog: Catalog
    /// Schemas that `/rest/v1` shows, the default one first (rest contract 14).
    package let exposedSchemas: [String]
    private let relationships: [QualifiedName: [Relationship]]

    package init(catalog: Catalog, exposedSchemas: [String] = ["public"]) {
        self.catalog = catalog
        self.exposedSchemas = exposedSchemas
        self.relationships = RelationshipFinder(catalog: catalog, exposedSchemas: exposedSchemas).find()
    }

    /// The relation, when it stands in an exposed schema.
    package func exposedRelation(_ name: QualifiedName) -> Relation? {
        exposedSchemas.contains(name.schema) ? catalog.relations[name] : nil
    }

    /// Every function of the name, when it stands in an exposed schema.
    package func exposedFunctions(_ name: QualifiedName) -> [DatabaseFunction] {
        exposedSchemas.contains(name.schema) ? catalog.functions[name] ?? [] : []
    }

    /// Every relationship that starts at `source`, in a stable order.
    package func relationships(from source: QualifiedName) -> [Relationship] { relationships[source] ?? [] }
}

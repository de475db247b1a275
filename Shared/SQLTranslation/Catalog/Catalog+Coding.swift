// SPDX-License-Identifier: Apache-2.0
package import MartletDatabase
import MartletJSON

/// The catalogue as JSON, as `martlet_meta` keeps it. Members that are false, empty or absent are left out.
extension Catalog {
    /// Version of the encoding itself.
    private static let format: Int64 = 1

    package func encoded() -> String {
        var object: JSONObject = ["format": .integer(Self.format), "version": .integer(version)]
        object["schemas"] = .strings(schemas)
        object["relations"] = .array(relations.values.sorted { $0.name < $1.name }.map(\.json))
        object["enums"] = .array(enums.values.sorted { $0.name < $1.name }.map(\.json))
        object["defaultPrivileges"] = .map(defaultPrivileges) { .map($0, \.json) }
        object["roles"] = .map(roles) { .bool($0.bypassesRowSecurity) }
        object["publication"] = .array(publication.sorted().map(\.json))
        object["schemaUsage"] = .map(schemaUsage) { .strings($0.sorted()) }
        return JSONValue.object(object).text
    }

    /// Throws `DatabaseError` XX001 when the text is not a catalogue that this version knows.
    package init(decoding text: String) throws(DatabaseError) {
        do {
            let value = try JSONValue(parsing: text, depthMax: 128)
            let reader = try CatalogReader(value)
            guard try reader.integer("format") == Self.format else { throw CatalogReader.Fault() }
            self.init(
                version: try reader.integer("version"), schemas: try reader.strings("schemas"),
                relations: Dictionary(
                    try reader.list("relations").map(Relation.init(reader:)).map { ($0.name, $0) },
                    uniquingKeysWith: { $1 }),
                enums: Dictionary(
                    try reader.list("enums").map(EnumType.init(reader:)).map { ($0.name, $0) }, uniquingKeysWith: { $1 }
                ),
                defaultPrivileges: try reader.map("defaultPrivileges") { value in
                    try CatalogReader(value).all { try Privileges(reader: try CatalogReader($0)) }
                },
                roles: try reader.map("roles") { Role(bypassesRowSecurity: $0.boolValue ?? false) },
                publication: Set(try reader.names("publication")),
                schemaUsage: try reader.map("schemaUsage") { Set(($0.arrayValue ?? []).compactMap(\.stringValue)) })
        } catch {
            throw DatabaseError(sqlState: "XX001", message: "the stored catalogue cannot be read")
        }
    }
}

/// Reads members of one JSON object; what must be there and is not is a fault.
private struct CatalogReader {
    struct Fault: Error {}

    let object: JSONObject

    init(_ value: JSONValue) throws {
        guard let object = value.objectValue else { throw Fault() }
        self.object = object
    }

    func string(_ key: String) throws -> String {
        guard let text = object[key]?.stringValue else { throw Fault() }
        return text
    }

    func integer(_ key: String) throws -> Int64 {
        guard let number = object[key]?.int64Value else { throw Fault() }
        return number
    }

    func text(_ key: String) -> String? { object[key]?.stringValue }
    func number(_ key: String) -> Int? { object[key]?.int64Value.map { Int($0) } }
    func flag(_ key: String) -> Bool { object[key]?.boolValue ?? false }
    func strings(_ key: String) throws -> [String] { (object[key]?.arrayValue ?? []).compactMap(\.stringValue) }
    func list(_ key: String) throws -> [CatalogReader] { try (object[key]?.arrayValue ?? []).map(CatalogReader.init) }
    func names(_ key: String) throws -> [QualifiedName] {
        try (object[key]?.arrayValue ?? []).map(QualifiedName.init(json:))
    }

    func name(_ key: String) throws -> QualifiedName {
        guard let value = object[key] else { throw Fault() }
        return try QualifiedName(json: value)
    }

    func raw<Value: RawRepresentable<String>>(_ key: String) throws -> Value {
        guard let value = Value(rawValue: try string(key)) else { throw Fault() }
        return value
    }

    func map<Value>(_ key: String, _ body: (JSONValue) throws -> Value) throws -> [String: Value] {
        guard let value = object[key] else { return [:] }
        return try CatalogReader(value).all(body)
    }

    func all<Value>(_ body: (JSONValue) throws -> Value) throws -> [String: Value] {
        var result: [String: Value] = [:]
        for member in object.members { result[member.key] = try body(member.value) }
        return result
    }
}

extension JSONValue {
    fileprivate static func strings(_ values: [String]) -> JSONValue { .array(values.map { .string($0) }) }

    fileprivate static func map<Value>(_ values: [String: Value], _ body: (Value) -> JSONValue) -> JSONValue {
        .object(JSONObject(values.sorted { $0.key < $1.key }.map { (key: $0.key, value: body($0.value)) }))
    }
}

extension JSONObject {
    /// Sets what is worth keeping.
    fileprivate mutating func set(_ key: String, _ text: String?) { self[key] = text.map { .string($0) } }
    fileprivate mutating func set(_ key: String, _ flag: Bool) { self[key] = flag ? true : nil }
    fileprivate mutating func set(_ key: String, _ number: Int?) { self[key] = number.map { .integer($0) } }
    fileprivate mutating func set(_ key: String, _ list: [JSONValue]) { self[key] = list.isEmpty ? nil : .array(list) }
}

extension QualifiedName {
    fileprivate var json: JSONValue { .array([.string(schema), .string(name)]) }

    fileprivate init(json: JSONValue) throws {
        guard let parts = json.arrayValue?.compactMap(\.stringValue), parts.count == 2 else {
            throw CatalogReader.Fault()
        }
        self.init(parts[0], parts[1])
    }
}

extension EnumType {
    fileprivate var json: JSONValue { .object(["name": name.json, "labels": .strings(labels)]) }

    fileprivate init(reader: CatalogReader) throws {
        self.init(name: try reader.name("name"), labels: try reader.strings("labels"))
    }
}

extension Privileges {
    fileprivate var json: JSONValue {
        .object(["table": .integer(table.rawValue), "columns": .map(columns) { .integer($0.rawValue) }])
    }

    fileprivate init(reader: CatalogReader) throws {
        self.init(
            table: Set(rawValue: UInt16(truncatingIfNeeded: try reader.integer("table"))),
            columns: try reader.map("columns") { Set(rawValue: UInt16(truncatingIfNeeded: $0.int64Value ?? 0)) })
    }
}

extension ColumnType {
    fileprivate var json: JSONValue {
        var object: JSONObject = ["base": .string(base.rawValue), "display": .string(display)]
        object.set("array", isArray)
        object.set("precision", precision)
        object.set("scale", scale)
        object["enum"] = enumName?.json
        return .object(object)
    }

    fileprivate init(reader: CatalogReader) throws {
        self.init(
            base: try reader.raw("base"), isArray: reader.flag("array"), precision: reader.number("precision"),
            scale: reader.number("scale"), enumName: reader.object["enum"] == nil ? nil : try reader.name("enum"),
            display: try reader.string("display"))
    }
}

extension Column {
    fileprivate var json: JSONValue {
        var object: JSONObject = ["name": .string(name), "type": type.json]
        object.set("notNull", notNull)
        object.set("default", defaultExpression)
        if identity != .none { object.set("identity", identity.rawValue) }
        object.set("generated", generatedExpression)
        object.set("comment", comment)
        return .object(object)
    }

    fileprivate init(reader: CatalogReader) throws {
        self.init(
            name: try reader.string("name"),
            type: try ColumnType(reader: try CatalogReader(reader.object["type"] ?? .null)),
            notNull: reader.flag("notNull"), defaultExpression: reader.text("default"),
            identity: reader.object["identity"] == nil ? .none : try reader.raw("identity"),
            generatedExpression: reader.text("generated"), comment: reader.text("comment"))
    }
}

extension KeyConstraint {
    fileprivate var json: JSONValue {
        var object: JSONObject = ["name": .string(name), "columns": .strings(columns)]
        object.set("nullsNotDistinct", nullsNotDistinct)
        return .object(object)
    }

    fileprivate init(reader: CatalogReader) throws {
        self.init(
            name: try reader.string("name"), columns: try reader.strings("columns"),
            nullsNotDistinct: reader.flag("nullsNotDistinct"))
    }
}

extension ForeignKey {
    fileprivate var json: JSONValue {
        var object: JSONObject = ["name": .string(name), "columns": .strings(columns), "target": target.json]
        object["targetColumns"] = .strings(targetColumns)
        object.set("onDelete", onDelete.rawValue)
        object.set("onUpdate", onUpdate.rawValue)
        object.set("deferrable", isDeferrable)
        object.set("deferred", isInitiallyDeferred)
        return .object(object)
    }

    fileprivate init(reader: CatalogReader) throws {
        self.init(
            name: try reader.string("name"), columns: try reader.strings("columns"), target: try reader.name("target"),
            targetColumns: try reader.strings("targetColumns"), onDelete: try reader.raw("onDelete"),
            onUpdate: try reader.raw("onUpdate"), isDeferrable: reader.flag("deferrable"),
            isInitiallyDeferred: reader.flag("deferred"))
    }
}

extension CheckConstraint {
    fileprivate var json: JSONValue { .object(["name": .string(name), "expression": .string(expression)]) }

    fileprivate init(reader: CatalogReader) throws {
        self.init(name: try reader.string("name"), expression: try reader.string("expression"))
    }
}

extension Index {
    fileprivate var json: JSONValue {
        var object: JSONObject = ["name": .string(name), "terms": .strings(terms), "method": .string(method)]
        object.set("unique", isUnique)
        object.set("predicate", predicate)
        return .object(object)
    }

    fileprivate init(reader: CatalogReader) throws {
        self.init(
            name: try reader.string("name"), isUnique: reader.flag("unique"), terms: try reader.strings("terms"),
            predicate: reader.text("predicate"), method: try reader.string("method"))
    }
}

extension Policy {
    fileprivate var json: JSONValue {
        var object: JSONObject = [
            "name": .string(name), "command": .string(command.rawValue), "roles": .strings(roles),
        ]
        object.set("restrictive", !isPermissive)
        object.set("using", using)
        object.set("check", withCheck)
        return .object(object)
    }

    fileprivate init(reader: CatalogReader) throws {
        self.init(
            name: try reader.string("name"), isPermissive: !reader.flag("restrictive"),
            command: try reader.raw("command"), roles: try reader.strings("roles"), using: reader.text("using"),
            withCheck: reader.text("check"))
    }
}

extension Relation {
    fileprivate var json: JSONValue {
        var object: JSONObject = ["name": name.json, "kind": .string(kind.rawValue), "owner": .string(owner)]
        object.set("columns", columns.map(\.json))
        object["primaryKey"] = primaryKey?.json
        object.set("uniques", uniques.map(\.json))
        object.set("foreignKeys", foreignKeys.map(\.json))
        object.set("checks", checks.map(\.json))
        object.set("indexes", indexes.map(\.json))
        object.set("rowSecurity", rowSecurity)
        object.set("forcesRowSecurity", forcesRowSecurity)
        object.set("policies", policies.map(\.json))
        object["grants"] = .map(grants, \.json)
        object.set("comment", comment)
        object.set("view", viewQuery)
        object.set("securityInvoker", securityInvoker)
        object.set("replicatesOldRow", replicatesOldRow)
        return .object(object)
    }

    fileprivate init(reader: CatalogReader) throws {
        self.init(
            name: try reader.name("name"), kind: try reader.raw("kind"),
            columns: try reader.list("columns").map(Column.init(reader:)),
            primaryKey: try reader.object["primaryKey"].map { try KeyConstraint(reader: try CatalogReader($0)) },
            uniques: try reader.list("uniques").map(KeyConstraint.init(reader:)),
            foreignKeys: try reader.list("foreignKeys").map(ForeignKey.init(reader:)),
            checks: try reader.list("checks").map(CheckConstraint.init(reader:)),
            indexes: try reader.list("indexes").map(Index.init(reader:)), rowSecurity: reader.flag("rowSecurity"),
            forcesRowSecurity: reader.flag("forcesRowSecurity"),
            policies: try reader.list("policies").map(Policy.init(reader:)), owner: try reader.string("owner"),
            grants: try reader.map("grants") { try Privileges(reader: try CatalogReader($0)) },
            comment: reader.text("comment"), viewQuery: reader.text("view"),
            securityInvoker: reader.flag("securityInvoker"), replicatesOldRow: reader.flag("replicatesOldRow"))
    }
}

// SPDX-License-Identifier: Apache-2.0
import MartletJSON

/// One node of PostgreSQL's raw parse tree, as libpg_query prints it in JSON.
///
/// A handler names every field that it understands with `allow`, so that a clause which nobody thought of is refused
/// and never dropped. Fields with the value zero, false or empty are absent from the tree.
struct ParseNode: Sendable {
    /// Node type: `ColumnRef`, `A_Expr`, …
    let kind: String
    private let fields: JSONObject

    init(kind: String, fields: JSONObject) {
        self.kind = kind
        self.fields = fields
    }

    /// A node that names its own type: `{"ColumnRef": {…}}`; nil for anything else.
    init?(_ value: JSONValue?) {
        guard let object = value?.objectValue, object.count == 1, let member = object.members.first,
            let fields = member.value.objectValue
        else { return nil }
        self.init(kind: member.key, fields: fields)
    }

    /// Byte offset in the source, when the node has one.
    var location: Int? {
        guard let location = fields["location"]?.int64Value, location >= 0 else {
            return fields["location"] == nil ? children.lazy.compactMap(\.location).first : nil
        }
        return Int(location)
    }

    private var children: [ParseNode] {
        fields.members.flatMap { member -> [ParseNode] in
            if let node = ParseNode(member.value) { return [node] }
            return member.value.arrayValue?.compactMap { ParseNode($0) } ?? []
        }
    }

    func has(_ field: String) -> Bool { fields[field] != nil }
    func string(_ field: String) -> String? { fields[field]?.stringValue }
    func flag(_ field: String) -> Bool { fields[field]?.boolValue ?? false }
    func integer(_ field: String) -> Int64? { fields[field]?.int64Value }

    /// A field that holds a node which names its type.
    func node(_ field: String) -> ParseNode? { ParseNode(fields[field]) }

    /// A field that holds the bare members of a node whose type the grammar fixes.
    func bare(_ field: String, as kind: String) -> ParseNode? {
        guard let object = fields[field]?.objectValue else { return nil }
        return ParseNode(kind: kind, fields: object)
    }

    /// A list of nodes; an element of no type (the marker in a plain DISTINCT) becomes a node of kind "".
    func list(_ field: String) -> [ParseNode] {
        (fields[field]?.arrayValue ?? []).map { ParseNode($0) ?? ParseNode(kind: "", fields: $0.objectValue ?? [:]) }
    }

    /// The texts of a list of `String` nodes: a dotted name, or a list of columns.
    func strings(_ field: String) -> [String] { list(field).compactMap { $0.string("sval") } }

    /// Elements of a `List` node.
    var items: [ParseNode] { list("items") }

    /// Refuses every field that is not named here, `location` apart.
    func allow(_ names: String...) throws(TranslationFault) {
        for key in fields.keys where key != "location" && !names.contains(key) {
            throw TranslationFault("\(Self.words(kind)) with \"\(key)\" is not translated", at: location)
        }
    }

    /// `CreateTrigStmt` → `create trig`: how a node is called in a refusal that has no better words.
    static func words(_ kind: String) -> String {
        var result = ""
        for character in kind where character != "_" {
            if character.isUppercase, !result.isEmpty, result.last?.isLowercase == true { result.append(" ") }
            result.append(character)
        }
        return result
    }
}

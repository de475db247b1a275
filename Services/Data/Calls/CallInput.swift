// SPDX-License-Identifier: Apache-2.0

import MartletJSON
import MartletSQL

/// The arguments that a request brings, before a function is found for them (rest contract 11.1, 12.1).
struct CallInput {
    /// What a whole body may be the argument for.
    enum Form { case query, document, form, text, xml, bytes }

    var form: Form
    /// Names of the arguments, sorted; nil when the body is no object with names, or its objects differ in them.
    var names: [String]?
    private var texts: [String: [String]] = [:]
    private var object = JSONObject()
    private let body: [UInt8]

    /// Nesting of a body.
    private static let depthMax = 100

    /// Arguments of GET and HEAD.
    init(_ arguments: [ParsedQuery.Argument]) {
        form = .query
        body = []
        take(arguments)
    }

    /// Arguments of POST.
    ///
    /// - Parameter columns: `columns=`, the only names that are taken; nil when there is none.
    /// - Throws: `RowError` PGRST102.
    init(_ bytes: [UInt8], contentType: String?, columns: [String]?) throws(RowError) {
        body = bytes
        let type = contentType.map { String(($0.split(separator: ";").first ?? "").trimmedSpaces).lowercased() }
        switch type {
        case nil, "", "application/json":
            form = .document
            try readDocument(columns)
        case "application/x-www-form-urlencoded":
            form = .form
            take(try Self.fields(bytes))
        case "text/plain": form = .text
        case "text/xml": form = .xml
        case "application/octet-stream": form = .bytes
        case let type?: throw RowError("PGRST102", "Content-Type not acceptable: \(type)")
        }
    }

    private static func fields(_ bytes: [UInt8]) throws(RowError) -> [ParsedQuery.Argument] {
        let parameters = QueryString(String(decoding: bytes, as: UTF8.self)).parameters
        guard parameters.count <= QueryParser.parametersMax else {
            throw RowError("PGRST102", "At most \(QueryParser.parametersMax) fields are accepted in a form")
        }
        guard parameters.allSatisfy({ !$0.name.utf8.contains(0) && !$0.value.utf8.contains(0) }) else {
            throw RowError("22021", "invalid byte sequence for encoding \"UTF8\": 0x00")
        }
        return parameters.map { ParsedQuery.Argument(name: $0.name, value: $0.value) }
    }

    private mutating func take(_ arguments: [ParsedQuery.Argument]) {
        for argument in arguments { texts[argument.name, default: []].append(argument.value) }
        names = texts.keys.sorted()
    }

    /// An object holds the arguments; of an array of objects the first counts, and all have the same names.
    private mutating func readDocument(_ columns: [String]?) throws(RowError) {
        guard !body.isEmpty else { return names = [] }
        let value: JSONValue
        do {
            value = try JSONValue(parsing: body, depthMax: Self.depthMax)
        } catch {
            throw RowError("PGRST102", "Empty or invalid json")
        }
        switch value {
        case .object(let row): object = row
        case .array(let elements):
            let rows = elements.compactMap(\.objectValue)
            guard rows.count == elements.count else { return }
            object = rows.first ?? [:]
            let keys = object.keys
            let isUniform = rows.dropFirst().allSatisfy { row in
                row.count == keys.count && keys.allSatisfy { row[$0] != nil }
            }
            guard isUniform || columns != nil else { return }
        default: break
        }
        names = columns ?? object.keys.sorted()
    }

    /// The arguments for a function that was found by their names.
    var byName: CallArguments {
        switch form {
        case .document: .members(object, names: names ?? [])
        default: .texts(texts)
        }
    }

    /// The whole body for a function's only parameter, which has no name.
    ///
    /// - Throws: `RowError` 22021 when the parameter is no bytea and the body no text.
    func wholeBody() throws(RowError) -> CallArguments {
        guard form != .bytes else { return .body(body) }
        guard !body.contains(0), String(validating: body, as: UTF8.self) != nil else {
            throw RowError("22021", "invalid byte sequence for encoding \"UTF8\"")
        }
        return .body(form == .document && body.isEmpty ? Array("{}".utf8) : body)
    }

    /// Whether the whole body can be the argument of a parameter without a name.
    func fits(_ type: ColumnType) -> Bool {
        guard !type.isArray else { return false }
        return switch form {
        case .document: type.base == .json || type.base == .jsonb
        case .text: type.base == .text
        case .xml: type.base == .other && type.display == "xml"
        case .bytes: type.base == .bytea
        case .query, .form: false
        }
    }

    /// What a body of this kind is called when it is no list of names.
    var bodyType: String? {
        switch form {
        case .text: "text"
        case .xml: "xml"
        case .bytes: "bytea"
        case .query, .form, .document: nil
        }
    }
}

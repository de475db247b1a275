// SPDX-License-Identifier: Apache-2.0

/// The `Prefer` fields of a request (rest contract 13). The first value of each kind counts.
struct Preferences: Sendable, Equatable {
    enum Return: String { case minimal, headersOnly = "headers-only", representation }
    enum Resolution: String { case mergeDuplicates = "merge-duplicates", ignoreDuplicates = "ignore-duplicates" }
    enum Count: String { case exact, planned, estimated }

    var returns: Return?
    var resolution: Resolution?
    var missing: MissingMember?
    var count: Count?
    /// `handling=strict`: what is not understood is refused.
    var isStrict: Bool?
    var affectedMax: Int?
    /// Tokens that are no preference, as sent.
    private(set) var invalid: [String] = []

    init(_ fields: some Sequence<String>) {
        for field in fields {
            for token in field.split(separator: ",") { read(token.trimmedSpaces) }
        }
    }

    private mutating func read(_ token: Substring) {
        guard !token.isEmpty else { return }
        let parts = token.split(separator: "=", maxSplits: 1)
        let value = parts.count == 2 ? String(parts[1].trimmedSpaces) : ""
        switch parts[0].trimmedSpaces {
        case "return": take(Return(rawValue: value), into: \.returns, token)
        case "resolution": take(Resolution(rawValue: value), into: \.resolution, token)
        case "missing":
            take(value == "default" ? .columnDefault : value == "null" ? .null : nil, into: \.missing, token)
        case "count": take(Count(rawValue: value), into: \.count, token)
        case "handling": take(value == "strict" ? true : value == "lenient" ? false : nil, into: \.isStrict, token)
        case "max-affected": take(Int(value), into: \.affectedMax, token)
        default: invalid.append(String(token))
        }
    }

    private mutating func take<Value>(
        _ value: Value?, into path: WritableKeyPath<Preferences, Value?>, _ token: Substring
    ) {
        guard let value else { return invalid.append(String(token)) }
        if self[keyPath: path] == nil { self[keyPath: path] = value }
    }

    /// - Throws: `RowError` PGRST122 with `handling=strict` and a token that is not understood.
    func check() throws(RowError) {
        guard isStrict == true, !invalid.isEmpty else { return }
        throw RowError(
            "PGRST122", "Invalid preferences given with handling=strict",
            details: "Invalid preferences: \(invalid.joined(separator: ", "))")
    }

    /// Rows that may be affected; counts with strict handling alone.
    var affectedBound: Int? { isStrict == true ? affectedMax : nil }

    /// What `Preference-Applied` says; nil when nothing was honoured.
    ///
    /// - Parameters:
    ///   - appliesResolution: the insert has a key to conflict on.
    func applied(to method: RestMethod, appliesResolution: Bool = false) -> String? {
        var parts: [String] = []
        if method == .post, appliesResolution, let resolution { parts.append("resolution=\(resolution.rawValue)") }
        if method == .post || method == .patch, let missing {
            parts.append("missing=\(missing == .columnDefault ? "default" : "null")")
        }
        if method.isWrite, let returns { parts.append("return=\(returns.rawValue)") }
        if let count { parts.append("count=\(count.rawValue)") }
        if let isStrict { parts.append("handling=\(isStrict ? "strict" : "lenient")") }
        if method == .patch || method == .delete, let affectedBound { parts.append("max-affected=\(affectedBound)") }
        return parts.isEmpty ? nil : parts.joined(separator: ", ")
    }

    /// The same for a function's call.
    var appliedToCall: String? {
        var parts: [String] = []
        if let count { parts.append("count=\(count.rawValue)") }
        if let isStrict { parts.append("handling=\(isStrict ? "strict" : "lenient")") }
        if let affectedBound { parts.append("max-affected=\(affectedBound)") }
        return parts.isEmpty ? nil : parts.joined(separator: ", ")
    }
}

/// Methods of tables.
enum RestMethod: String, Sendable {
    case get = "GET"
    case head = "HEAD"
    case post = "POST"
    case patch = "PATCH"
    case delete = "DELETE"
    case options = "OPTIONS"

    var isWrite: Bool { self == .post || self == .patch || self == .delete }
}

extension Substring {
    /// Without spaces and tabs at both ends.
    var trimmedSpaces: Substring {
        var part = self
        while let first = part.first, first == " " || first == "\t" { part.removeFirst() }
        while let last = part.last, last == " " || last == "\t" { part.removeLast() }
        return part
    }
}

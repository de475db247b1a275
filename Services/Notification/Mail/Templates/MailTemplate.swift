// SPDX-License-Identifier: Apache-2.0

internal import MartletJSON

/// A template in the part of mustache that mails need: variables, `{{{raw}}}` or `{{&raw}}`, sections, inverted sections,
/// comments, dotted names. A leading dot is taken as Go's templates write it: `{{ .Token }}` is `{{Token}}`.
///
/// Partials, set delimiters and Go's actions (`{{ if … }}`) are refused, so that none is silently printed.
struct MailTemplate: Sendable {
    enum Escaping: Sendable {
        case html
        case none
    }

    /// What is wrong with a template, and on which line.
    struct Fault: Error, Sendable, Equatable {
        let line: Int
        let reason: String
    }

    private enum Node: Sendable {
        case text(String)
        case variable([String], isRaw: Bool)
        case section([String], isInverted: Bool, [Node])
    }

    private let nodes: [Node]

    init(_ text: String) throws(Fault) {
        var open: [(name: String, isInverted: Bool, line: Int, outer: [Node])] = []
        var nodes: [Node] = []
        // Bytes: a combining mark after a brace would make one Character of both.
        var rest = Array(text.utf8)[...]
        var line = 1
        while let start = Self.position(of: "{{", in: rest) {
            if start > rest.startIndex { nodes.append(.text(String(decoding: rest[..<start], as: UTF8.self))) }
            line += Self.lines(in: rest[..<start])
            rest = rest[start...].dropFirst(2)
            let isTriple = rest.first == UInt8(ascii: "{")
            let close = isTriple ? "}}}" : "}}"
            guard let end = Self.position(of: close, in: rest) else {
                throw Fault(line: line, reason: "a tag is not closed")
            }
            let tag = isTriple ? rest[..<end].dropFirst() : rest[..<end]
            rest = rest[end...].dropFirst(close.utf8.count)
            let name = Self.trimmed(tag.dropFirst())
            switch isTriple ? nil : tag.first {
            case UInt8(ascii: "!"): break
            case UInt8(ascii: "#"), UInt8(ascii: "^"):
                guard open.count < MailLimits.sectionsMax else {
                    throw Fault(line: line, reason: "more than \(MailLimits.sectionsMax) sections in each other")
                }
                open.append((name, tag.first == UInt8(ascii: "^"), line, nodes))
                nodes = []
            case UInt8(ascii: "/"):
                guard let section = open.popLast(), section.name == name else {
                    throw Fault(line: line, reason: "{{/\(name)}} closes no open section")
                }
                let inner = nodes
                nodes = section.outer
                let path = try Self.path(name, line: section.line)
                nodes.append(.section(path, isInverted: section.isInverted, inner))
            case UInt8(ascii: ">"), UInt8(ascii: "="):
                throw Fault(line: line, reason: "partials and other delimiters are not known")
            case UInt8(ascii: "&"): nodes.append(.variable(try Self.path(name, line: line), isRaw: true))
            default:
                nodes.append(.variable(try Self.path(Self.trimmed(tag), line: line), isRaw: isTriple))
            }
            line += Self.lines(in: tag)
        }
        if let section = open.last {
            throw Fault(line: section.line, reason: "the section \(section.name) is not closed")
        }
        if !rest.isEmpty { nodes.append(.text(String(decoding: rest, as: UTF8.self))) }
        self.nodes = nodes
    }

    /// The text with the variables filled in. What is not there is empty.
    ///
    /// - Throws: `badMail` when the result is longer than a body may be.
    func render(_ variables: JSONObject, escaping: Escaping) throws(MailRefusal) -> String {
        var result = ""
        try Self.render(nodes, [.object(variables)], escaping, into: &result)
        return result
    }

    private static func render(
        _ nodes: [Node], _ context: [JSONValue], _ escaping: Escaping, into result: inout String
    ) throws(MailRefusal) {
        for node in nodes {
            guard result.utf8.count <= MailLimits.bodyBytesMax else { throw .badMail("the rendered mail is too long") }
            switch node {
            case .text(let text): result += text
            case .variable(let path, let isRaw):
                let text = text(value(path, context))
                result += escaping == .html && !isRaw ? escaped(text) : text
            case .section(let path, isInverted: true, let inner):
                if !isTrue(value(path, context)) { try render(inner, context, escaping, into: &result) }
            case .section(let path, isInverted: false, let inner):
                let value = value(path, context)
                guard isTrue(value) else { continue }
                for element in value.arrayValue ?? [value] {
                    try render(inner, context + [element], escaping, into: &result)
                }
            }
        }
    }

    /// The first name is looked for from the innermost section outwards, the others inside what it names.
    private static func value(_ path: [String], _ context: [JSONValue]) -> JSONValue {
        guard let first = path.first else { return context.last ?? .null }
        for scope in context.reversed() {
            guard let found = scope[first] else { continue }
            return path.dropFirst().reduce(found) { $0[$1] ?? .null }
        }
        return .null
    }

    private static func isTrue(_ value: JSONValue) -> Bool {
        switch value {
        case .null, .bool(false): false
        case .string(let text): !text.isEmpty
        case .array(let elements): !elements.isEmpty
        default: true
        }
    }

    private static func text(_ value: JSONValue) -> String {
        switch value {
        case .null: ""
        case .string(let text): text
        default: value.text
        }
    }

    /// Fit for HTML, also inside of quoted attributes.
    static func escaped(_ text: String) -> String {
        var result = ""
        for scalar in text.unicodeScalars {
            switch scalar {
            case "&": result += "&amp;"
            case "<": result += "&lt;"
            case ">": result += "&gt;"
            case "\"": result += "&quot;"
            case "'": result += "&#39;"
            default: result.unicodeScalars.append(scalar)
            }
        }
        return result
    }

    /// The parts of a dotted name; none for `.`, the section's own value.
    private static func path(_ name: String, line: Int) throws(Fault) -> [String] {
        if name == "." { return [] }
        let parts = (name.hasPrefix(".") ? name.dropFirst() : name[...])
            .split(separator: ".", omittingEmptySubsequences: false)
        let isName = parts.allSatisfy { part in
            !part.isEmpty && part.utf8.allSatisfy { !($0 <= 0x20 || "{}|()\"`$#^/".utf8.contains($0)) }
        }
        guard isName else {
            throw Fault(line: line, reason: "{{\(name)}} is no variable; actions of Go's templates are not known")
        }
        return parts.map(String.init)
    }

    private static func position(of mark: String, in bytes: ArraySlice<UInt8>) -> Int? {
        bytes.indices.first { bytes[$0...].starts(with: mark.utf8) }
    }

    private static func lines(in bytes: ArraySlice<UInt8>) -> Int { bytes.count { $0 == UInt8(ascii: "\n") } }

    private static func trimmed(_ bytes: ArraySlice<UInt8>) -> String {
        let isBlank = { (byte: UInt8) in byte == 0x20 || (0x09...0x0D).contains(byte) }
        let trimmed = bytes.drop(while: isBlank).reversed().drop(while: isBlank).reversed()
        return String(decoding: trimmed, as: UTF8.self)
    }
}

// SPDX-License-Identifier: Apache-2.0

import MartletWire
import Testing

#if canImport(Glibc)
    import Glibc
#endif

/// Everything of the wire that is for ever, one line each, in a fixed order.
struct Schema {
    private(set) var lines: [String] = []
    private(set) var messages: [String] = []

    /// The schema of the sources: the `.proto` files, the registry, the kinds and the codes.
    static func current() throws -> Schema {
        var schema = Schema()
        for file in ["control.proto", "headers.proto", "methods.proto", "mail.proto"] {
            schema.read(try Files.proto(file))
        }
        schema.lines += FrameKind.allCases.map { "kind \($0.rawValue) \($0)" }
        schema.lines += MethodRegistry.all.map { method in
            let callers = method.callers.map(\.rawValue).sorted().joined(separator: ",")
            return "method \(method.id) \(method.name) \(method.repeatability) \(method.priority) "
                + "\(method.defaultBudgetMilliseconds) \(callers) \(method.route)"
        }
        schema.lines += (UInt16(0)..<1_000).map(ErrorCode.init(rawValue:)).filter { $0.name != "unknown" }.map {
            "code \($0.rawValue) \($0.name)"
        }
        schema.lines += [Executed.no, .yes, .unknown].map { "executed \($0.rawValue) \($0)" }
        return schema
    }

    /// Adds the fields and values of a `.proto` file. Only what our files use is understood; `reserved` is no line.
    mutating func read(_ text: String) {
        var scope: [(kind: String, name: String)] = []
        for line in text.split(separator: "\n") {
            let code = line.prefix { $0 != ";" }
            let words = code.split(separator: " ").map(String.init)
            guard let first = words.first, !first.hasPrefix("//") else { continue }
            if ["message", "enum", "oneof"].contains(first), words.count >= 2 {
                scope.append((first, words[1]))
                if first == "message" { messages.append(path(scope)) }
            } else if first == "}" {
                if !scope.isEmpty { scope.removeLast() }
            } else if let inner = scope.last, let equals = words.lastIndex(of: "="), equals + 1 < words.count {
                let number = words[equals + 1]
                let declared = words[..<equals].joined(separator: " ")
                switch inner.kind {
                case "enum": lines.append("value \(path(scope)) \(number) \(declared)")
                case "oneof": lines.append("field \(path(scope.dropLast())) \(number) oneof \(inner.name) \(declared)")
                default: lines.append("field \(path(scope)) \(number) \(declared)")
                }
            }
        }
    }

    private func path(_ scope: some Sequence<(kind: String, name: String)>) -> String {
        scope.map(\.name).joined(separator: ".")
    }
}

/// Files that tests read.
enum Files {
    static let root: String = {
        var parts = #filePath.split(separator: "/", omittingEmptySubsequences: false)
        parts.removeLast(3)
        return parts.joined(separator: "/")
    }()

    /// A golden file's text.
    static func text(_ name: String) throws -> String { try read("\(root)/Tests/WireTests/Golden/\(name)") }
    static func proto(_ name: String) throws -> String { try read("\(root)/Shared/Wire/Protos/\(name)") }
    static func hex(_ name: String) throws -> [UInt8] { try bytes(ofHex: text(name)) }

    static func bytes(ofHex text: String) throws -> [UInt8] {
        let digits = text.filter { !$0.isWhitespace }.compactMap(\.hexDigitValue)
        try #require(digits.count.isMultiple(of: 2))
        return stride(from: 0, to: digits.count, by: 2).map { UInt8(digits[$0] << 4 | digits[$0 + 1]) }
    }

    static func read(_ path: String) throws -> String {
        let file = try #require(fopen(path, "r"), "\(path)")
        defer { fclose(file) }
        var bytes: [UInt8] = []
        while true {
            let byte = fgetc(file)
            guard byte != EOF else { return String(decoding: bytes, as: UTF8.self) }
            bytes.append(UInt8(truncatingIfNeeded: byte))
        }
    }
}

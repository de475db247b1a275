// SPDX-License-Identifier: Apache-2.0

/// What a table can be shown as (rest contract 10.1).
enum MediaType: Sendable, Equatable {
    case json
    case object
    case arrayWithoutNulls
    case objectWithoutNulls

    /// `Content-Type` of the answer.
    var contentType: String {
        switch self {
        case .json: "application/json; charset=utf-8"
        case .object: "application/vnd.pgrst.object+json; charset=utf-8"
        case .arrayWithoutNulls: "application/vnd.pgrst.array+json;nulls=stripped; charset=utf-8"
        case .objectWithoutNulls: "application/vnd.pgrst.object+json;nulls=stripped; charset=utf-8"
        }
    }

    var isObject: Bool { self == .object || self == .objectWithoutNulls }
    var stripsNulls: Bool { self == .arrayWithoutNulls || self == .objectWithoutNulls }

    /// Picks by descending `q`, then specificity, then position.
    ///
    /// - Throws: `RowError` PGRST107 when none of the entries can be produced.
    init(accept: String?) throws(RowError) {
        guard let accept, !accept.allSatisfy({ $0 == " " }) else {
            self = .json
            return
        }
        let entries = accept.split(separator: ",").map { Entry($0) }
        let ordered = entries.enumerated().sorted { left, right in
            if left.element.quality != right.element.quality { return left.element.quality > right.element.quality }
            if left.element.specificity != right.element.specificity {
                return left.element.specificity > right.element.specificity
            }
            return left.offset < right.offset
        }
        for (_, entry) in ordered where entry.quality > 0 {
            if let type = entry.mediaType {
                self = type
                return
            }
        }
        let list = entries.map(\.name).joined(separator: ", ")
        throw RowError("PGRST107", "None of these media types are available: \(list)")
    }

    private struct Entry {
        let name: String
        let stripsNulls: Bool
        let quality: Double

        init(_ text: Substring) {
            var parts = text.split(separator: ";").map { $0.trimmedSpaces.lowercased() }
            name = parts.isEmpty ? "" : parts.removeFirst()
            stripsNulls = parts.contains("nulls=stripped")
            quality = parts.first { $0.hasPrefix("q=") }.flatMap { Double($0.dropFirst(2)) } ?? 1
        }

        var specificity: Int { name == "*/*" ? 0 : name.hasSuffix("/*") ? 1 : 2 }

        var mediaType: MediaType? {
            switch name {
            case "*/*", "application/*", "application/json": .json
            case "application/vnd.pgrst.object+json", "application/vnd.pgrst.object":
                stripsNulls ? .objectWithoutNulls : .object
            case "application/vnd.pgrst.array+json", "application/vnd.pgrst.array":
                stripsNulls ? .arrayWithoutNulls : .json
            default: nil
            }
        }
    }
}

// SPDX-License-Identifier: Apache-2.0

import MartletDatabase
import MartletJSON
import MartletSQL
import MartletWire

/// How a published table's rows stand in the log: the same bytes on both engines, the values as `/rest/v1` shows them.
struct RowImage: Sendable {
    /// Longest body that keeps its values; a longer one keeps those of the key, and says `cut` in its headers.
    static let bodyBytesMax = 8 * 1024 * 1024

    let relation: Relation
    private let version: Int64
    /// `{"columns":[…],"key":[…],"full":false`
    private let beginning: [UInt8]
    /// `"name":` by position.
    private let members: [[UInt8]]
    private let keyPositions: [Int]

    init(_ relation: Relation, version: Int64) {
        self.relation = relation
        self.version = version
        let names = relation.columns.map(\.name)
        members = names.map { name in
            var bytes: [UInt8] = []
            JSONText.appendString(name, to: &bytes)
            bytes.append(UInt8(ascii: ":"))
            return bytes
        }
        let key = relation.primaryKey?.columns ?? []
        keyPositions = key.compactMap { name in names.firstIndex(of: name) }
        var bytes = Array("{\"columns\":[".utf8)
        for (position, column) in relation.columns.enumerated() {
            bytes.append(contentsOf: (position == 0 ? "{\"name\":" : ",{\"name\":").utf8)
            JSONText.appendString(column.name, to: &bytes)
            bytes.append(contentsOf: ",\"type\":".utf8)
            JSONText.appendString(column.type.internalName, to: &bytes)
            bytes.append(UInt8(ascii: "}"))
        }
        bytes.append(contentsOf: "],\"key\":[".utf8)
        for (position, name) in key.enumerated() {
            if position > 0 { bytes.append(UInt8(ascii: ",")) }
            JSONText.appendString(name, to: &bytes)
        }
        bytes.append(contentsOf: "],\"full\":\(relation.replicatesOldRow)".utf8)
        beginning = bytes
    }

    /// One entry's key, headers and body.
    struct Written {
        var type: String
        var key: String
        var headers: String
        var body: [UInt8]
    }

    /// - Parameters:
    ///   - record: the row after the change as a JSON object; nil for a deletion.
    ///   - oldRecord: the row before; nil for an insertion.
    ///   - trace: what the change belongs to.
    func entry(_ type: String, record: [UInt8]?, oldRecord: [UInt8]?, trace: TraceContext = .none) -> Written {
        var body = body(record, oldRecord)
        let isCut = body.count > Self.bodyBytesMax
        if isCut { body = self.body(record.map(keyOnly), oldRecord.map(keyOnly)) }
        var headers = Array("{\"schema\":".utf8)
        JSONText.appendString(relation.name.schema, to: &headers)
        headers.append(contentsOf: ",\"table\":".utf8)
        JSONText.appendString(relation.name.name, to: &headers)
        headers.append(contentsOf: ",\"op\":\"\(Self.operation(type))\",\"version\":\(version)".utf8)
        if isCut { headers.append(contentsOf: ",\"cut\":true".utf8) }
        trace.appendMembers(to: &headers)
        headers.append(UInt8(ascii: "}"))
        return Written(
            type: type, key: (record ?? oldRecord).map(key) ?? "", headers: String(decoding: headers, as: UTF8.self),
            body: body)
    }

    private static func operation(_ type: String) -> String {
        switch type {
        case LogEntryType.insert: "INSERT"
        case LogEntryType.update: "UPDATE"
        case LogEntryType.delete: "DELETE"
        default: "TRUNCATE"
        }
    }

    private func body(_ record: [UInt8]?, _ oldRecord: [UInt8]?) -> [UInt8] {
        var bytes = beginning
        bytes.reserveCapacity(beginning.count + (record?.count ?? 0) + (oldRecord?.count ?? 0) + 40)
        if let record {
            bytes.append(contentsOf: ",\"record\":".utf8)
            bytes.append(contentsOf: record)
        }
        if let oldRecord {
            bytes.append(contentsOf: ",\"old_record\":".utf8)
            bytes.append(contentsOf: oldRecord)
        }
        bytes.append(UInt8(ascii: "}"))
        return bytes
    }

    /// A row of SQLite's as a JSON object.
    func record(_ image: [SQLValue]) -> [UInt8] {
        var bytes: [UInt8] = [UInt8(ascii: "{")]
        for (position, column) in relation.columns.enumerated() {
            if position > 0 { bytes.append(UInt8(ascii: ",")) }
            bytes.append(contentsOf: members[position])
            var value = position < image.count ? image[position] : .null
            // SQLite keeps a whole number of a REAL column as an integer, and shows it so to the hook.
            if case .integer(let number) = value, [.float4, .float8].contains(column.type.base), !column.type.isArray {
                value = .real(Double(number))
            }
            ValueForm.appendJSON(value, type: column.type, to: &bytes)
        }
        bytes.append(UInt8(ascii: "}"))
        return bytes
    }

    private func key(_ record: [UInt8]) -> String {
        guard !keyPositions.isEmpty else { return "" }
        let values = JSONMembers.values(of: record)
        let parts = keyPositions.map { position in
            position < values.count ? String(decoding: record[values[position]], as: UTF8.self) : "null"
        }
        return "[\(parts.joined(separator: ","))]"
    }

    private func keyOnly(_ record: [UInt8]) -> [UInt8] {
        let values = JSONMembers.values(of: record)
        var bytes: [UInt8] = [UInt8(ascii: "{")]
        for position in keyPositions where position < values.count {
            if bytes.count > 1 { bytes.append(UInt8(ascii: ",")) }
            bytes.append(contentsOf: members[position])
            bytes.append(contentsOf: record[values[position]])
        }
        bytes.append(UInt8(ascii: "}"))
        return bytes
    }
}

/// Finds the values of a JSON object's members as byte ranges, without reading them: what the databases wrote passes on
/// as it is, numbers above all.
enum JSONMembers {
    /// The values' ranges in their order. `object` is an object that a database or `RowImage` wrote; of anything else
    /// the answer is some prefix, never a trap.
    static func values(of object: [UInt8]) -> [Range<Int>] {
        var ranges: [Range<Int>] = []
        var position = 1
        while position < object.count {
            guard let name = end(of: object, from: position), name < object.count else { return ranges }
            // The colon, and blanks around it, which `row_to_json` does not write.
            let start = name + 1
            guard let end = end(of: object, from: start) else { return ranges }
            ranges.append(start..<end)
            position = end + 1
        }
        return ranges
    }

    /// The end of the value that begins at `start`; nil when it does not end.
    private static func end(of bytes: [UInt8], from start: Int) -> Int? {
        var depth = 0
        var position = start
        while position < bytes.count {
            switch bytes[position] {
            case UInt8(ascii: "\""):
                position += 1
                while position < bytes.count, bytes[position] != UInt8(ascii: "\"") {
                    position += bytes[position] == UInt8(ascii: "\\") ? 2 : 1
                }
            case UInt8(ascii: "{"), UInt8(ascii: "["): depth += 1
            case UInt8(ascii: "}"), UInt8(ascii: "]"):
                if depth == 0 { return position }
                depth -= 1
            case UInt8(ascii: ","), UInt8(ascii: ":"):
                if depth == 0 { return position }
            default: break
            }
            position += 1
        }
        return nil
    }
}

// SPDX-License-Identifier: Apache-2.0

internal import MartletDatabase
internal import MartletJSON
internal import MartletWire

/// An entry of the change log as one line of JSON. The same entry is the same line, whenever it is written.
enum EventLine {
    static func line(_ entry: Martlet_Wire_V1_LogEntry, epoch: Int64) -> [UInt8] {
        var bytes = Array("{\"epoch\":\(epoch),\"sequence\":\(entry.sequence),\"id\":".utf8)
        JSONText.appendString(entry.id, to: &bytes)
        bytes.append(contentsOf: ",\"type\":".utf8)
        JSONText.appendString(entry.type, to: &bytes)
        bytes.append(contentsOf: ",\"time_microseconds\":\(entry.timeMicroseconds),\"transaction\":".utf8)
        JSONText.appendString(entry.transaction, to: &bytes)
        for (name, json) in [("key", Array(entry.key.utf8)), ("headers", Array(entry.headers.utf8))] {
            bytes.append(contentsOf: ",\"\(name)\":".utf8)
            append(json, to: &bytes)
        }
        bytes.append(contentsOf: ",\"body\":".utf8)
        append(Array(entry.body), to: &bytes)
        bytes.append(contentsOf: "}\n".utf8)
        return bytes
    }

    /// Stands where entries are missing that the log no longer has: what was read is not the whole any more.
    static func gap(after last: LogCursor, before next: LogCursor) -> [UInt8] {
        Array(
            """
            {"epoch":\(next.epoch),"sequence":\(next.sequence),"type":"log.gap",\
            "after":{"epoch":\(last.epoch),"sequence":\(last.sequence)}}\n
            """.utf8)
    }

    /// A column of type `json` keeps the line breaks that its writer made; between tokens a blank says the same.
    private static func append(_ json: [UInt8], to bytes: inout [UInt8]) {
        guard !json.isEmpty else { return bytes.append(contentsOf: "null".utf8) }
        for byte in json {
            bytes.append(byte == UInt8(ascii: "\n") || byte == UInt8(ascii: "\r") ? UInt8(ascii: " ") : byte)
        }
    }
}

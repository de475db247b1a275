// SPDX-License-Identifier: Apache-2.0

internal import Glibc

/// A time zone of the system's database (RFC 9636). `localtime_r` knows one zone for the whole process; this knows as
/// many as there are schedules.
struct Zone: Sendable, Equatable {
    let name: String
    /// When the offset changes, in seconds since 1970, ascending.
    private let transitions: [Int64]
    /// Seconds east of UTC from the transition at the same place on.
    private let offsets: [Int64]
    /// Before the first transition.
    private let first: Int64
    /// Behind the last transition; nil means that its offset stays.
    private let rule: ZoneRule?

    static let utc = Zone(name: "UTC", transitions: [], offsets: [], first: 0, rule: nil)

    /// Where the system keeps its zones, and the largest of them, in bytes, with room to spare.
    private static let folder = "/usr/share/zoneinfo"
    private static let bytesMax = 65_536

    private init(name: String, transitions: [Int64], offsets: [Int64], first: Int64, rule: ZoneRule?) {
        self.name = name
        self.transitions = transitions
        self.offsets = offsets
        self.first = first
        self.rule = rule
    }

    /// The zone of this name, such as `Europe/Berlin`; nil when the system has none.
    static func named(_ name: String) -> Zone? {
        if ["UTC", "Etc/UTC", "Z", ""].contains(name) { return utc }
        let parts = name.split(separator: "/", omittingEmptySubsequences: false)
        let isName = parts.allSatisfy { part in
            part.first?.isLetter == true
                && part.utf8.allSatisfy { byte in
                    switch byte {
                    case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
                        UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "_"), UInt8(ascii: "+"), UInt8(ascii: "-"):
                        true
                    default: false
                    }
                }
        }
        guard isName, let bytes = read("\(folder)/\(name)") else { return nil }
        return Zone(name: name, file: bytes)
    }

    /// Seconds east of UTC at a time in seconds since 1970.
    func offset(at seconds: Int64) -> Int64 {
        // The number of transitions that are not later.
        var (low, high) = (0, transitions.count)
        while low < high {
            let middle = (low + high) / 2
            if transitions[middle] <= seconds { low = middle + 1 } else { high = middle }
        }
        if low == transitions.count, let rule { return rule.offset(at: seconds) }
        return low == 0 ? first : offsets[low - 1]
    }

    /// What the wall clock shows.
    func civil(at moment: Moment) -> CivilMinute {
        CivilMinute(seconds: moment.seconds + offset(at: moment.seconds))
    }

    /// When the wall clock shows `civil`: the first time where it does so twice; where a change of the clock leaves it
    /// out, as much later as the clock was moved.
    func moment(of civil: CivilMinute) -> Moment {
        let local = civil.seconds
        // An offset is less than a day, so these two are the offsets before and after any change near it.
        let before = offset(at: local - 86_400)
        let after = offset(at: local + 86_400)
        for candidate in [local - max(before, after), local - min(before, after)]
        where candidate + offset(at: candidate) == local {
            return Moment(seconds: candidate)
        }
        return Moment(seconds: local - before)
    }

    // MARK: The file

    /// Nil for bytes that are no zone.
    init?(name: String, file: [UInt8]) {
        // Version 1's block comes first, with 32-bit times; the one that counts follows, and then the rule.
        guard let old = ZoneHeader(file, at: 0), old.version >= UInt8(ascii: "2"),
            let header = ZoneHeader(file, at: old.end(timeBytes: 4))
        else { return nil }
        let end = header.end(timeBytes: 8)
        guard end < file.count, file[end] == 0x0A, header.types > 0 else { return nil }
        var position = header.start
        var transitions: [Int64] = []
        for _ in 0..<header.times {
            transitions.append(Int64(bitPattern: Self.number(file, position, 8)))
            position += 8
        }
        let kinds = file[position..<position + header.times]
        position += header.times
        var typeOffsets: [Int64] = []
        for type in 0..<header.types {
            typeOffsets.append(
                Int64(Int32(truncatingIfNeeded: Int64(bitPattern: Self.number(file, position + type * 6, 4)))))
        }
        guard kinds.allSatisfy({ Int($0) < typeOffsets.count }),
            zip(transitions, transitions.dropFirst()).allSatisfy(<),
            typeOffsets.allSatisfy({ abs($0) < 86_400 })
        else { return nil }
        let text = String(decoding: file[(end + 1)...].prefix { $0 != 0x0A }, as: UTF8.self)
        let rule = text.isEmpty ? nil : ZoneRule(text)
        guard text.isEmpty || rule != nil else { return nil }
        self.init(
            name: name, transitions: transitions, offsets: kinds.map { typeOffsets[Int($0)] }, first: typeOffsets[0],
            rule: rule)
    }

    fileprivate static func number(_ bytes: [UInt8], _ position: Int, _ count: Int) -> UInt64 {
        bytes[position..<position + count].reduce(0) { $0 << 8 | UInt64($1) }
    }

    private static func read(_ path: String) -> [UInt8]? {
        guard let file = fopen(path, "rb") else { return nil }
        defer { fclose(file) }
        var bytes = [UInt8](repeating: 0, count: bytesMax)
        let count = fread(&bytes, 1, bytes.count, file)
        return count > 0 && count < bytesMax ? Array(bytes[..<count]) : nil
    }
}

/// The head of one block of the file.
private struct ZoneHeader {
    let version: UInt8
    /// Where the block's data begins.
    let start: Int
    let times: Int
    let types: Int
    private let rest: (utc: Int, standard: Int, leaps: Int, characters: Int)

    /// Nil unless the whole block is there.
    init?(_ file: [UInt8], at position: Int) {
        guard position + 44 <= file.count, file[position..<position + 4].elementsEqual("TZif".utf8) else { return nil }
        version = file[position + 4]
        let counts = (0..<6).map { Int(Zone.number(file, position + 20 + $0 * 4, 4)) }
        guard counts.allSatisfy({ $0 <= file.count }) else { return nil }
        rest = (counts[0], counts[1], counts[2], counts[5])
        times = counts[3]
        types = counts[4]
        start = position + 44
        guard end(timeBytes: 4) <= file.count else { return nil }
    }

    func end(timeBytes: Int) -> Int {
        start + times * (timeBytes + 1) + types * 6 + rest.characters + rest.leaps * (timeBytes + 4) + rest.standard
            + rest.utc
    }
}

// SPDX-License-Identifier: Apache-2.0

/// A few names of HTTP fields, found whatever their case is, without a lower-case copy of what is looked for.
struct FieldNames: Sendable {
    /// By length: most names are told apart by it alone.
    private let names: [[String]]

    /// - Parameter names: in lower-case ASCII.
    init(_ names: [String]) {
        var table = [[String]](repeating: [], count: (names.map(\.utf8.count).max() ?? 0) + 1)
        for name in names { table[name.utf8.count].append(name) }
        self.names = table
    }

    func contains(_ name: String) -> Bool {
        let count = name.utf8.count
        guard count < names.count else { return false }
        return names[count].contains { Self.isEqual(name, $0) }
    }

    /// Names are tokens (RFC 9110, section 5.1): only the letters of ASCII have a case.
    ///
    /// - Parameter lowercase: a name in lower case.
    static func isEqual(_ name: String, _ lowercase: String) -> Bool {
        guard name.utf8.count == lowercase.utf8.count else { return false }
        for (byte, wanted) in zip(name.utf8, lowercase.utf8) where byte != wanted {
            guard byte >= UInt8(ascii: "A"), byte <= UInt8(ascii: "Z"), byte | 0x20 == wanted else { return false }
        }
        return true
    }
}

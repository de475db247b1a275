// SPDX-License-Identifier: Apache-2.0

internal import MartletWire

/// Fields that belong to one connection (RFC 9110, section 7.6.1), which neither a function nor its client gets.
enum HopByHop {
    private static let names: Set<String> = [
        "connection", "keep-alive", "proxy-authenticate", "proxy-authorization", "proxy-connection", "te", "trailer",
        "transfer-encoding", "upgrade",
    ]

    /// `fields` without them, without those that `Connection` names, and without `others`. Names are lower case.
    static func removed(from fields: [HTTPField], and others: Set<String>) -> [HTTPField] {
        var named: Set<String> = []
        for field in fields where field.name == "connection" {
            for part in field.value.split(separator: ",") {
                named.insert(part.filter { $0 != " " && $0 != "\t" }.lowercased())
            }
        }
        return fields.filter { !names.contains($0.name) && !named.contains($0.name) && !others.contains($0.name) }
    }
}

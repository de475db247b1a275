// SPDX-License-Identifier: Apache-2.0

import MartletJSON
import MartletWire

/// How the cause of a change goes with it into the log: as members of the entry's headers, under the names of the
/// CloudEvents extension for tracing and of our own logs.
extension TraceContext {
    private static let requestMember = "request_id"
    private static let traceMember = "traceparent"

    /// Of an object that SQL wrote, perhaps under settings that a function of the application has changed.
    init(logHeaders: String) {
        let members = try? JSONValue(parsing: logHeaders)
        self.init(
            givenRequestID: members?[Self.requestMember]?.stringValue,
            givenTraceparent: members?[Self.traceMember]?.stringValue)
    }

    /// Appends the members that are there, each after a comma.
    func appendMembers(to bytes: inout [UInt8]) {
        for (name, value) in [(Self.requestMember, requestID), (Self.traceMember, traceparent)] where !value.isEmpty {
            bytes.append(contentsOf: ",\"\(name)\":".utf8)
            JSONText.appendString(value, to: &bytes)
        }
    }
}

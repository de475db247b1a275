// SPDX-License-Identifier: Apache-2.0

import MartletJSON
import MartletWire

/// How the cause of a change goes with it into the log: as members of the entry's headers, under the names of the
/// CloudEvents extension for tracing and of our own logs.
extension TraceContext {
    private static let requestMember = "request_id"
    private static let traceMember = "traceparent"

    /// For the write's session. A request id has no blanks.
    var annotation: String { self == .none ? "" : "\(requestID) \(traceparent)" }

    init(annotation: String) {
        let parts = annotation.split(separator: " ", omittingEmptySubsequences: false)
        guard parts.count == 2 else {
            self = .none
            return
        }
        self.init(requestID: String(parts[0]), traceparent: String(parts[1]))
    }

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

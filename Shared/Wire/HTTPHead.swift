// SPDX-License-Identifier: Apache-2.0

/// One HTTP header field. `name` is lower case.
package struct HTTPField: Sendable, Equatable {
    package var name: String
    package var value: String

    package init(_ name: String, _ value: String) {
        self.name = name
        self.value = value
    }
}

/// Head of an HTTP request on its way to the service that owns its dialect (D12).
package struct HTTPRequestHead: Sendable, Equatable {
    package var method: String
    /// Path after the route's prefix, still percent-encoded, starting with `/`: `/todos` for `/rest/v1/todos`.
    package var path: String
    /// Query without the `?`, still percent-encoded; empty when there is none.
    package var query: String
    /// Fields in the order received; hop-by-hop ones and `cookie` are not forwarded.
    package var fields: [HTTPField]

    package init(method: String, path: String, query: String = "", fields: [HTTPField] = []) {
        self.method = method
        self.path = path
        self.query = query
        self.fields = fields
    }

    /// The first value of `name` (lower case).
    package subscript(_ name: String) -> String? {
        for field in fields where field.name == name { return field.value }
        return nil
    }
}

/// Head of an HTTP response as the owning service decided it.
package struct HTTPResponseHead: Sendable, Equatable {
    package var status: UInt16
    package var fields: [HTTPField]

    package init(status: UInt16, fields: [HTTPField] = []) {
        self.status = status
        self.fields = fields
    }

    /// The first value of `name` (lower case).
    package subscript(_ name: String) -> String? {
        for field in fields where field.name == name { return field.value }
        return nil
    }
}

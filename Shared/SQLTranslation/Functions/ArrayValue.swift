// SPDX-License-Identifier: Apache-2.0
import MartletDatabase
import MartletJSON

/// A stored array.
struct ArrayValue {
    let elements: [JSONValue]

    init(_ text: String) { elements = (try? JSONValue(parsing: text))?.arrayValue ?? [] }

    /// The elements of all dimensions.
    var flattened: [JSONValue] { Self.flatten(elements) }

    private static func flatten(_ elements: [JSONValue]) -> [JSONValue] {
        guard elements.contains(where: { $0.arrayValue != nil }) else { return elements }
        return elements.flatMap { $0.arrayValue.map(flatten) ?? [$0] }
    }

    /// Whether an element is the value that an expression gives; booleans come as 0 and 1.
    static func isEqual(_ element: JSONValue, _ value: SQLValue) -> Bool {
        switch (element, value) {
        case (.string(let text), .text(let other)): text == other
        case (.number(let text), .integer(let number)): text == String(number)
        case (.bool(let truth), .integer(let number)): truth == (number != 0)
        case (.bool(let truth), .boolean(let other)): truth == other
        default: false
        }
    }
}

// SPDX-License-Identifier: Apache-2.0

/// Upper and lower case character by character, as the C.UTF-8 locale maps them.
enum CaseMapping {
    static func lower(_ text: String) -> String { mapped(text, \.lowercaseMapping) }
    static func upper(_ text: String) -> String { mapped(text, \.uppercaseMapping) }

    static func lower(_ scalar: Unicode.Scalar) -> Unicode.Scalar { mapped(scalar, \.lowercaseMapping) }

    private static func mapped(_ text: String, _ mapping: KeyPath<Unicode.Scalar.Properties, String>) -> String {
        var result = String.UnicodeScalarView()
        for scalar in text.unicodeScalars { result.append(mapped(scalar, mapping)) }
        return String(result)
    }

    private static func mapped(
        _ scalar: Unicode.Scalar, _ mapping: KeyPath<Unicode.Scalar.Properties, String>
    ) -> Unicode.Scalar {
        let mapped = scalar.properties[keyPath: mapping].unicodeScalars
        // A mapping to several characters, such as ß to SS, is none in that locale.
        guard mapped.count == 1, let first = mapped.first else { return scalar }
        return first
    }
}

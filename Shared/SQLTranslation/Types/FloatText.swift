// SPDX-License-Identifier: Apache-2.0

/// Floating-point numbers as PostgreSQL prints them: the shortest digits that read back the same, an exponent outside
/// 1e-04 … 1e+15 (float4: 1e+06).
enum FloatText {
    static func text(_ value: Double, isSingle: Bool) -> String {
        if value.isNaN { return "NaN" }
        if value.isInfinite { return value < 0 ? "-Infinity" : "Infinity" }
        if value == 0 { return value.sign == .minus ? "-0" : "0" }
        let (digits, exponent) = shortest(isSingle ? Float(value).magnitude.description : value.magnitude.description)
        let sign = value < 0 ? "-" : ""
        let limit = isSingle ? 6 : 15
        if exponent < -4 || exponent >= limit {
            let fraction = digits.dropFirst()
            let power = exponent.magnitude < 10 ? "0\(exponent.magnitude)" : "\(exponent.magnitude)"
            return sign + digits.prefix(1) + (fraction.isEmpty ? "" : "." + fraction) + "e"
                + (exponent < 0 ? "-" : "+") + power
        }
        if exponent < 0 { return sign + "0." + String(repeating: "0", count: -exponent - 1) + digits }
        if digits.count <= exponent + 1 {
            return sign + digits + String(repeating: "0", count: exponent + 1 - digits.count)
        }
        return sign + digits.prefix(exponent + 1) + "." + digits.dropFirst(exponent + 1)
    }

    /// Significant digits and the decimal exponent of the first, from Swift's own shortest text.
    private static func shortest(_ text: String) -> (digits: String, exponent: Int) {
        let halves = text.split(separator: "e", maxSplits: 1)
        let power = halves.count == 2 ? Int(halves[1]) ?? 0 : 0
        let parts = halves[0].split(separator: ".", maxSplits: 1, omittingEmptySubsequences: false)
        let all = Array(parts[0]) + (parts.count == 2 ? Array(parts[1]) : [])
        let leading = all.prefix { $0 == "0" }.count
        var digits = all.dropFirst(leading)
        while digits.count > 1, digits.last == "0" { digits.removeLast() }
        return (String(digits), power + parts[0].count - 1 - leading)
    }

    /// What PostgreSQL reads as a float; nil for what it does not.
    static func value(_ text: String) -> Double? {
        var slice = Substring(text)
        while let first = slice.first, first.isWhitespace { slice.removeFirst() }
        while let last = slice.last, last.isWhitespace { slice.removeLast() }
        switch slice.lowercased() {
        case "infinity", "+infinity", "inf", "+inf": return .infinity
        case "-infinity", "-inf": return -.infinity
        case "nan": return .nan
        default:
            guard slice.utf8.allSatisfy({ (48...57).contains($0) || "+-.eE".utf8.contains($0) }) else { return nil }
            return Double(slice)
        }
    }
}

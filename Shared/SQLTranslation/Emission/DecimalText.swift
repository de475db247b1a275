// SPDX-License-Identifier: Apache-2.0

/// An exact decimal constant: sign, digits before the point, digits behind it.
struct DecimalText {
    private let isNegative: Bool
    /// Without leading zeros; empty for zero.
    private let whole: String
    private let fraction: String

    /// Nil for anything but digits with an optional sign and point; exponents, NaN and infinity are not read.
    init?(_ text: String) {
        var rest = Substring(text)
        var isNegative = false
        if let sign = rest.first, sign == "-" || sign == "+" {
            isNegative = sign == "-"
            rest.removeFirst()
        }
        let parts = rest.split(separator: ".", maxSplits: 1, omittingEmptySubsequences: false)
        let whole = parts.first ?? ""
        let fraction = parts.count == 2 ? parts[1] : ""
        guard !(whole.isEmpty && fraction.isEmpty), (whole + fraction).utf8.allSatisfy({ (48...57).contains($0) })
        else { return nil }
        self.whole = String(whole.drop { $0 == "0" })
        self.fraction = String(fraction)
        self.isNegative = isNegative && (whole + fraction).contains { $0 != "0" }
    }

    /// The number times 10^scale; nil when that is no integer of 64 bits.
    func scaled(by scale: Int) -> Int64? {
        let significant = String(fraction.reversed().drop { $0 == "0" }.reversed())
        guard significant.count <= scale else { return nil }
        let digits = whole + significant + String(repeating: "0", count: scale - significant.count)
        return Int64((isNegative ? "-" : "") + (digits.isEmpty ? "0" : digits))
    }

    func fits(precision: Int, scale: Int) -> Bool {
        let significant = fraction.reversed().drop { $0 == "0" }.count
        return significant <= scale && whole.count <= precision - scale
    }

    /// PostgreSQL's text with `scale` digits behind the point; nil keeps those that were written.
    func text(scale: Int?) -> String {
        var digits = fraction
        if let scale {
            digits = String(fraction.prefix(scale))
            digits += String(repeating: "0", count: scale - digits.count)
        }
        return (isNegative ? "-" : "") + (whole.isEmpty ? "0" : whole) + (digits.isEmpty ? "" : "." + digits)
    }
}

// SPDX-License-Identifier: Apache-2.0

/// PostgreSQL's numeric: an exact decimal of any length with a display scale. NaN and infinity are not kept on SQLite.
struct Decimal: Sendable, Equatable {
    /// Digits of the absolute value times 10^scale, most significant first, without leading zeros; empty for zero.
    private(set) var digits: [UInt8]
    private(set) var scale: Int
    private(set) var isNegative: Bool

    /// Digits before and behind the point beyond which a number is refused: far below PostgreSQL's limits, and enough.
    static let digitsMax = 1_000

    static let zero = Decimal(digits: [], scale: 0, isNegative: false)

    private init(digits: [UInt8], scale: Int, isNegative: Bool) {
        let significant = digits.drop { $0 == 0 }
        self.digits = Array(significant)
        self.scale = scale
        self.isNegative = isNegative && !significant.isEmpty
    }

    /// The form on disk of numeric(p ≤ 18, s).
    init(scaled value: Int64, scale: Int) {
        self.init(digits: String(value.magnitude).utf8.map { $0 - 48 }, scale: scale, isNegative: value < 0)
    }

    init(_ value: Int64) { self.init(scaled: value, scale: 0) }

    /// Digits with an optional sign, point and exponent, white space around; nil for anything else or too long.
    init?(_ text: String) {
        var digits: [UInt8] = []
        var scale = 0
        var isNegative = false
        var sawPoint = false
        var bytes = text.utf8.drop { Self.isSpace($0) }
        while let last = bytes.last, Self.isSpace(last) { bytes.removeLast() }
        if let sign = bytes.first, sign == UInt8(ascii: "-") || sign == UInt8(ascii: "+") {
            isNegative = sign == UInt8(ascii: "-")
            bytes.removeFirst()
        }
        var count = 0
        while let byte = bytes.first {
            if (48...57).contains(byte) {
                digits.append(byte - 48)
                count += 1
                if sawPoint { scale += 1 }
            } else if byte == UInt8(ascii: "."), !sawPoint {
                sawPoint = true
            } else {
                break
            }
            bytes.removeFirst()
        }
        guard count > 0, count <= 2 * Self.digitsMax else { return nil }
        if let mark = bytes.first, mark == UInt8(ascii: "e") || mark == UInt8(ascii: "E") {
            guard let exponent = Int(String(decoding: bytes.dropFirst(), as: UTF8.self)),
                abs(exponent) <= Self.digitsMax
            else { return nil }
            scale -= exponent
            if scale < 0 {
                digits += [UInt8](repeating: 0, count: -scale)
                scale = 0
            }
        } else if !bytes.isEmpty {
            return nil
        }
        self.init(digits: digits, scale: scale, isNegative: isNegative)
        guard self.digits.count - scale <= Self.digitsMax, scale <= 2 * Self.digitsMax else { return nil }
    }

    private static func isSpace(_ byte: UInt8) -> Bool { byte == 32 || (9...13).contains(byte) }

    var isZero: Bool { digits.isEmpty }

    /// PostgreSQL's text: all digits of the scale.
    var text: String {
        var bytes: [UInt8] = isNegative ? [UInt8(ascii: "-")] : []
        let whole = max(digits.count - scale, 0)
        if whole == 0 { bytes.append(48) }
        for digit in digits.prefix(whole) { bytes.append(digit + 48) }
        if scale > 0 {
            bytes.append(UInt8(ascii: "."))
            for _ in 0..<max(scale - digits.count, 0) { bytes.append(48) }
            for digit in digits.dropFirst(whole) { bytes.append(digit + 48) }
        }
        return String(decoding: bytes, as: UTF8.self)
    }

    var double: Double { Double(text) ?? 0 }

    /// Number of digits before the point, without leading zeros.
    var wholeDigits: Int { max(digits.count - scale, 0) }

    enum Rounding { case halfAwayFromZero, towardZero, down, up }

    /// The number with `places` digits behind the point, or before it when negative.
    func rounded(to places: Int, _ rounding: Rounding = .halfAwayFromZero) -> Decimal {
        if places >= scale {
            return Decimal(
                digits: digits + [UInt8](repeating: 0, count: digits.isEmpty ? 0 : places - scale), scale: places,
                isNegative: isNegative)
        }
        let dropped = scale - places
        let kept = digits.count > dropped ? Array(digits.dropLast(dropped)) : []
        let lost = digits.suffix(min(dropped, digits.count))
        let isInexact = lost.contains { $0 != 0 }
        let first: UInt8 = digits.count >= dropped ? lost.first ?? 0 : 0
        let grows =
            switch rounding {
            case .halfAwayFromZero: first >= 5
            case .towardZero: false
            case .down: isNegative && isInexact
            case .up: !isNegative && isInexact
            }
        var result = grows ? Self.sum(kept, [1]) : kept
        if places < 0 { result += [UInt8](repeating: 0, count: result.isEmpty ? 0 : -places) }
        return Decimal(digits: result, scale: max(places, 0), isNegative: isNegative)
    }

    /// The number times 10^places, when that is an integer of 64 bits.
    func scaled(by places: Int) -> Int64? {
        let exact = rounded(to: places)
        guard exact == self || Self.compare(exact, self) == 0 else { return nil }
        let text = String(decoding: exact.digits.map { $0 + 48 }, as: UTF8.self)
        return Int64((isNegative ? "-" : "") + (text.isEmpty ? "0" : text))
    }

    // MARK: Arithmetic

    static func compare(_ left: Decimal, _ right: Decimal) -> Int {
        if left.isNegative != right.isNegative { return left.isNegative ? -1 : 1 }
        let (first, second) = aligned(left, right)
        let order = compare(first, second)
        return left.isNegative ? -order : order
    }

    static func + (left: Decimal, right: Decimal) -> Decimal {
        let (first, second) = aligned(left, right)
        let scale = max(left.scale, right.scale)
        if left.isNegative == right.isNegative {
            return Decimal(digits: sum(first, second), scale: scale, isNegative: left.isNegative)
        }
        if compare(first, second) >= 0 {
            return Decimal(digits: difference(first, second), scale: scale, isNegative: left.isNegative)
        }
        return Decimal(digits: difference(second, first), scale: scale, isNegative: right.isNegative)
    }

    static prefix func - (value: Decimal) -> Decimal {
        Decimal(digits: value.digits, scale: value.scale, isNegative: !value.isNegative)
    }

    static func - (left: Decimal, right: Decimal) -> Decimal { left + (-right) }

    static func * (left: Decimal, right: Decimal) -> Decimal {
        var cells = [Int](repeating: 0, count: left.digits.count + right.digits.count)
        for (i, a) in left.digits.enumerated() where a != 0 {
            for (j, b) in right.digits.enumerated() { cells[i + j + 1] += Int(a) * Int(b) }
        }
        for index in stride(from: cells.count - 1, to: 0, by: -1) {
            cells[index - 1] += cells[index] / 10
            cells[index] %= 10
        }
        return Decimal(
            digits: cells.map(UInt8.init), scale: left.scale + right.scale,
            isNegative: left.isNegative != right.isNegative)
    }

    /// The quotient with as many digits as PostgreSQL shows; nil when the divisor is zero.
    static func divided(_ left: Decimal, by right: Decimal) -> Decimal? {
        guard !right.isZero else { return nil }
        let places = quotientScale(left, right)
        return quotient(left, right, places: places + 1).rounded(to: places)
    }

    /// The remainder with the dividend's sign; nil when the divisor is zero.
    static func remainder(_ left: Decimal, by right: Decimal) -> Decimal? {
        guard !right.isZero else { return nil }
        let whole = quotient(left, right, places: 0)
        return (left - whole * right).rounded(to: max(left.scale, right.scale))
    }

    /// PostgreSQL's `select_div_scale`: 16 significant digits at least, in steps of its base 10,000.
    private static func quotientScale(_ left: Decimal, _ right: Decimal) -> Int {
        let (weight1, first1) = base10000(left)
        let (weight2, first2) = base10000(right)
        let weight = weight1 - weight2 - (first1 <= first2 ? 1 : 0)
        return min(max(16 - weight * 4, left.scale, right.scale, 0), 1_000)
    }

    /// Weight and value of the first digit in base 10,000.
    private static func base10000(_ value: Decimal) -> (weight: Int, first: Int) {
        guard !value.digits.isEmpty else { return (0, 0) }
        // Exponent of the first decimal digit.
        let exponent = value.digits.count - value.scale - 1
        let weight = exponent >= 0 ? exponent / 4 : -((-exponent + 3) / 4)
        let length = exponent - weight * 4 + 1
        var first = 0
        for index in 0..<length { first = first * 10 + (index < value.digits.count ? Int(value.digits[index]) : 0) }
        return (weight, first)
    }

    /// The quotient cut to `places` digits behind the point.
    private static func quotient(_ left: Decimal, _ right: Decimal, places: Int) -> Decimal {
        var dividend = left.digits
        let shift = places + right.scale - left.scale
        if shift >= 0 {
            dividend += [UInt8](repeating: 0, count: shift)
        } else {
            dividend.removeLast(min(-shift, dividend.count))
        }
        var result: [UInt8] = []
        var rest: [UInt8] = []
        for digit in dividend {
            if !(rest.isEmpty && digit == 0) { rest.append(digit) }
            var count: UInt8 = 0
            while compare(rest, right.digits) >= 0 {
                rest = Array(difference(rest, right.digits).drop { $0 == 0 })
                count += 1
            }
            result.append(count)
        }
        return Decimal(digits: result, scale: places, isNegative: left.isNegative != right.isNegative)
    }

    private static func aligned(_ left: Decimal, _ right: Decimal) -> ([UInt8], [UInt8]) {
        let scale = max(left.scale, right.scale)
        return (left.rounded(to: scale).digits, right.rounded(to: scale).digits)
    }

    private static func compare(_ left: [UInt8], _ right: [UInt8]) -> Int {
        if left.count != right.count { return left.count < right.count ? -1 : 1 }
        for (a, b) in zip(left, right) where a != b { return a < b ? -1 : 1 }
        return 0
    }

    private static func sum(_ left: [UInt8], _ right: [UInt8]) -> [UInt8] {
        var result: [UInt8] = []
        var carry: UInt8 = 0
        for index in 0..<max(left.count, right.count) {
            let a = index < left.count ? left[left.count - 1 - index] : 0
            let b = index < right.count ? right[right.count - 1 - index] : 0
            let total = a + b + carry
            result.append(total % 10)
            carry = total / 10
        }
        if carry > 0 { result.append(carry) }
        return result.reversed()
    }

    /// `left` is not smaller.
    private static func difference(_ left: [UInt8], _ right: [UInt8]) -> [UInt8] {
        var result: [UInt8] = []
        var borrow = 0
        for index in 0..<left.count {
            let a = Int(left[left.count - 1 - index])
            let b = (index < right.count ? Int(right[right.count - 1 - index]) : 0) + borrow
            borrow = a < b ? 1 : 0
            result.append(UInt8(a - b + borrow * 10))
        }
        return result.reversed()
    }
}

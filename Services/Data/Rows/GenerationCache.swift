// SPDX-License-Identifier: Apache-2.0

/// What was made of something before, in two generations.
///
/// When the young generation is full it becomes the old one, and what the old one held is forgotten: bounded, with
/// constant work per look and no list to keep in order.
struct GenerationCache<Key: Hashable, Value> {
    private var young: [Key: Value] = [:]
    private var old: [Key: Value] = [:]
    /// Of one generation.
    private let countMax: Int

    init(countMax: Int) { self.countMax = countMax }

    /// Entries in both generations.
    var count: Int { young.count + old.count }

    mutating func value(for key: Key) -> Value? {
        if let value = young[key] { return value }
        guard let value = old[key] else { return nil }
        keep(value, for: key)
        return value
    }

    mutating func keep(_ value: Value, for key: Key) {
        if young.count >= countMax {
            old = young
            young = [:]
        }
        young[key] = value
    }
}

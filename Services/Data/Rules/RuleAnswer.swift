// SPDX-License-Identifier: Apache-2.0

import MartletJSON

/// What a function says about a write (FN-24): a refusal, or values and further statements.
struct RuleAnswer: Sendable {
    var refusal: RowError?
    /// One for each row of the question, in its order; nil: as they were asked about.
    var records: [JSONObject]?
    var statements: [GuardedStatement] = []

    /// The answer that changes nothing.
    static let consent = RuleAnswer()

    private init() {}

    private static let members = ["ok", "record", "records", "error", "statements"]

    /// - Parameter rows: how many rows the question was about.
    /// - Throws: `DecisionFailure`.
    init(_ bytes: [UInt8], rows: Int, _ schema: SchemaCache) throws(DecisionFailure) {
        guard bytes.count <= RuleLimits.bytesMax else { throw Self.rubbish("it is over \(RuleLimits.bytesMax) bytes") }
        guard let object = (try? JSONValue(parsing: bytes, depthMax: RuleLimits.depthMax))?.objectValue else {
            throw Self.rubbish("it is no JSON object")
        }
        for key in object.keys where !Self.members.contains(key) { throw Self.rubbish("it has a member '\(key)'") }
        if let ok = object["ok"], ok != true { throw Self.rubbish("'ok' is not true") }
        do throws(RowError) {
            if let error = object["error"], !error.isNull { refusal = try Refusal.read(error) }
            if let value = object["statements"], !value.isNull {
                let planner = Planner(schema: schema, rowsMax: nil)
                statements = try StatementParser(planner: planner, allowsReturn: false).statements(value)
            }
        } catch {
            throw Self.rubbish("\(error.message) (\(error.code)): \(error.details.text)")
        }
        records = try Self.records(object, rows)
    }

    private static func records(_ object: JSONObject, _ rows: Int) throws(DecisionFailure) -> [JSONObject]? {
        if let record = object["record"], !record.isNull {
            guard rows == 1, object["records"] == nil, let record = record.objectValue else {
                throw rubbish("'record' is an object, for one row")
            }
            return [record]
        }
        guard let value = object["records"], !value.isNull else { return nil }
        let records = value.arrayValue?.compactMap(\.objectValue)
        guard let records, records.count == rows, value.arrayValue?.count == rows else {
            throw rubbish("'records' is an array of \(rows) objects")
        }
        return records
    }

    static func rubbish(_ reason: String) -> DecisionFailure {
        DecisionFailure(.failed, "the answer cannot be used: \(reason)")
    }
}

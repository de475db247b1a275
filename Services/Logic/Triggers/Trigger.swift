// SPDX-License-Identifier: Apache-2.0

internal import MartletJSON
internal import MartletWire

/// A function that hears of committed changes of a table (FN-21).
struct Trigger: Sendable, Equatable {
    enum Payload: String, Sendable { case supabase, martlet }

    let name: String
    let schema: String
    let table: String
    /// `INSERT`, `UPDATE`, `DELETE`.
    let operations: Set<String>
    let function: String
    let payload: Payload
    let attemptsMax: Int

    /// Equal for triggers that do the same.
    var definition: String {
        [schema, table, operations.sorted().joined(separator: ","), function, payload.rawValue, "\(attemptsMax)"]
            .joined(separator: "\n")
    }

    func matches(_ change: LoggedChange) -> Bool {
        schema == change.schema && table == change.table && operations.contains(change.operation)
    }

    /// The job of one change: the same one, however often the change is read.
    func job(for change: LoggedChange, now: Moment) -> NewJob {
        let id = JobIdentity.derived("trigger", change.id, name)
        return NewJob(
            id: id, function: function, source: .trigger(name),
            headers: [
                HTTPField("content-type", "application/json"), HTTPField("x-martlet-event-id", change.id),
                HTTPField("x-martlet-trigger", name),
            ],
            body: body(change),
            // Rows without a primary key have no identity that could be kept in order.
            orderingKey: change.key.isEmpty
                ? nil : JSONValue.array([.string(name), .string(schema), .string(table), .string(change.key)]).text,
            runAt: now, attemptsMax: attemptsMax, trace: change.trace)
    }

    /// Supabase's form, and ours around it. The rows are the log's bytes: no number is written anew.
    private func body(_ change: LoggedChange) -> String {
        var bytes = Array("{\"type\":".utf8)
        JSONText.appendString(change.operation, to: &bytes)
        for (name, value) in [("table", table), ("schema", schema)] {
            bytes.append(contentsOf: ",\"\(name)\":".utf8)
            JSONText.appendString(value, to: &bytes)
        }
        bytes.append(contentsOf: ",\"record\":".utf8)
        bytes.append(contentsOf: change.record ?? Array("null".utf8)[...])
        bytes.append(contentsOf: ",\"old_record\":".utf8)
        bytes.append(contentsOf: change.oldRecord ?? Array("null".utf8)[...])
        if payload == .martlet {
            let more: JSONObject = [
                "id": .string(change.id), "created_at": .string(change.time.text),
                "trigger": ["name": .string(name)], "claims": nil, "cut": .bool(change.isCut),
                "trace": change.trace.traceparent.isEmpty ? .null : .string(change.trace.traceparent),
            ]
            bytes.append(UInt8(ascii: ","))
            bytes.append(contentsOf: more.text.utf8.dropFirst())
        } else {
            bytes.append(UInt8(ascii: "}"))
        }
        return String(decoding: bytes, as: UTF8.self)
    }
}

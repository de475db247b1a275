// SPDX-License-Identifier: Apache-2.0

internal import CSQLite
internal import Synchronization

/// One row that a write changed, with its values in the order of the table's columns on disk.
package struct CapturedChange: Sendable, Equatable {
    package enum Operation: Sendable { case insert, update, delete }

    /// The table's name in the file.
    package let table: String
    package let operation: Operation
    /// Nil for an insert.
    package let old: [SQLValue]?
    /// Nil for a delete.
    package let new: [SQLValue]?
}

/// Shows the rows that a write changed to the one who keeps a log of them, inside the write's own savepoint.
///
/// SQLite calls for every row, those of triggers and cascades among them. What a ROLLBACK TO takes back is taken back
/// here too.
package final class ChangeCapture: Sendable {
    /// Receives the changes of one write, in their order, before its savepoint is released. What it throws fails the
    /// write. May run again with the write.
    package let sink: @Sendable (DatabaseSession, [CapturedChange]) throws -> Void
    private let tables = Mutex<Set<String>>([])

    package init(sink: @escaping @Sendable (DatabaseSession, [CapturedChange]) throws -> Void) { self.sink = sink }

    /// Names, as they stand in the file, of the tables whose changes are wanted from now on.
    package func replaceTables(_ names: Set<String>) { tables.withLock { $0 = names } }

    func wants(_ table: String) -> Bool { tables.withLock { $0.contains(table) } }
}

/// The changes of the write that runs now.
final class CapturedChanges {
    private(set) var list: [CapturedChange] = []
    private var bytes = 0
    private(set) var isOverfull = false
    let capture: ChangeCapture

    /// Rows of one write that are kept for the log; a larger write fails with 54000 instead of filling the memory.
    private static let rowsMax = 1_000_000
    /// The same in bytes of their values.
    private static let bytesMax = 256 * 1024 * 1024
    /// What a value takes beside its text, in bytes.
    private static let valueBytes = 16

    init(_ capture: ChangeCapture) { self.capture = capture }

    func append(_ change: CapturedChange) {
        for value in (change.old ?? []) + (change.new ?? []) {
            bytes += Self.valueBytes
            switch value {
            case .text(let text): bytes += text.utf8.count
            case .blob(let blob): bytes += blob.count
            default: break
            }
        }
        guard list.count < Self.rowsMax, bytes <= Self.bytesMax else {
            isOverfull = true
            return
        }
        list.append(change)
    }

    func cut(to count: Int) { list.removeSubrange(min(count, list.count)...) }

    func removeAll() {
        list.removeAll()
        bytes = 0
        isOverfull = false
    }
}

extension SQLiteHooks {
    func install(_ capture: ChangeCapture, on handle: OpaquePointer) {
        changes = CapturedChanges(capture)
        let context = unsafe Unmanaged.passUnretained(self).toOpaque()
        unsafe sqlite3_preupdate_hook(
            handle,
            { context, handle, operation, _, table, _, _ in
                guard let context = unsafe context, let table = unsafe table, let handle = unsafe handle else { return }
                let hooks = unsafe Unmanaged<SQLiteHooks>.fromOpaque(context).takeUnretainedValue()
                guard let changes = hooks.changes else { return }
                let name = unsafe String(cString: table)
                guard changes.capture.wants(name) else { return }
                let kind: CapturedChange.Operation =
                    switch operation {
                    case SQLITE_INSERT: .insert
                    case SQLITE_DELETE: .delete
                    default: .update
                    }
                changes.append(
                    CapturedChange(
                        table: name, operation: kind,
                        old: kind == .insert ? nil : unsafe SQLiteHooks.row(of: handle, isNew: false),
                        new: kind == .delete ? nil : unsafe SQLiteHooks.row(of: handle, isNew: true)))
            }, context)
    }

    private static func row(of handle: OpaquePointer, isNew: Bool) -> [SQLValue] {
        let count = unsafe sqlite3_preupdate_count(handle)
        return (0..<count).map { position in
            var value: OpaquePointer?
            let result =
                isNew
                ? unsafe sqlite3_preupdate_new(handle, position, &value)
                : unsafe sqlite3_preupdate_old(handle, position, &value)
            guard result == SQLITE_OK, let value = unsafe value else { return .null }
            return unsafe self.value(value)
        }
    }
}

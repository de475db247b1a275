// SPDX-License-Identifier: Apache-2.0

package struct ForeignKey: Sendable, Equatable {
    package enum Action: String, Sendable { case noAction, restrict, cascade, setNull, setDefault }

    package var name: String
    package var columns: [String]
    package var target: QualifiedName
    package var targetColumns: [String]
    package var onDelete: Action
    package var onUpdate: Action
    package var isDeferrable: Bool
    package var isInitiallyDeferred: Bool

    package init(
        name: String, columns: [String], target: QualifiedName, targetColumns: [String],
        onDelete: Action = .noAction, onUpdate: Action = .noAction, isDeferrable: Bool = false,
        isInitiallyDeferred: Bool = false
    ) {
        self.name = name
        self.columns = columns
        self.target = target
        self.targetColumns = targetColumns
        self.onDelete = onDelete
        self.onUpdate = onUpdate
        self.isDeferrable = isDeferrable
        self.isInitiallyDeferred = isInitiallyDeferred
    }
}

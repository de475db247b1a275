// SPDX-License-Identifier: Apache-2.0

internal import Logging
internal import MartletServiceKit
internal import MartletWire

/// Reads the change log and hands the hub what it may send, in the log's order.
///
/// One task does everything one after the other: connecting a member (which reads the log's head) and reading on never
/// overlap, so a subscription gets exactly what was committed after the head that it saw, once. While nobody
/// subscribes it reads nothing and begins at the log's end when somebody does.
struct FeedReader: Sendable {
    /// Entries of one round; `data.visible` takes as many sequences.
    static let batchEntriesMax = 256
    /// Sets of claims in one question (the bound of `data.visible`).
    static let claimSetsMax = 512
    /// Changes times sets of claims in one question, so that its answer comes within its deadline.
    static let pairsMax = 16_384
    /// How long nothing may ring before the log is looked at anyway.
    static let idleInterval = Duration.seconds(1)
    private static let pauseMin = Duration.milliseconds(50)
    private static let pauseMax = Duration.seconds(1)

    /// How long edges are given to take what waits for them: some of their answers' time.
    private static let backlogPause = Duration.milliseconds(5)

    let hub: Hub
    let source: any FeedSource
    let logger: Logger
    let losses: Counter

    /// Where the reader stands in the log.
    struct Position: Sendable, Equatable {
        var epoch: UInt64
        var after: UInt64
    }

    /// Until its task is cancelled. `wakes` says that there may be something to do.
    func run(wakes: AsyncStream<Void>) async {
        var position: Position?
        var pause = Self.pauseMin
        for await _ in wakes {
            while !Task.isCancelled {
                do throws(FeedFailure) {
                    let isDone = try await turn(&position)
                    pause = Self.pauseMin
                    if isDone { break }
                } catch {
                    logger.debug("The change log cannot be read now.", metadata: ["error.detail": "\(error.message)"])
                    try? await Task.sleep(for: pause * Double.random(in: 0.5...1))
                    pause = min(pause * 2, Self.pauseMax)
                }
            }
        }
    }

    /// Connects who waits, reads one batch; true when there was nothing more to read.
    func turn(_ position: inout Position?) async throws(FeedFailure) -> Bool {
        try await connect(&position)
        guard await hub.hasSubscriptions, let place = position else {
            position = nil
            return true
        }
        let reply = try await source.pull(epoch: place.epoch, after: place.after)
        guard reply.outcome == .entries else {
            losses.increment()
            logger.warning("Changes are no longer in the log; subscribers have to reload.")
            await hub.feedLost()
            position = nil
            return false
        }
        guard let last = reply.entries.last else { return true }
        for batch in Self.batches(of: reply.entries) {
            try await process(batch, epoch: place.epoch)
            if batch.last?.type == "data.schema.changed" { await hub.reattachAll() }
            position?.after = batch.last?.sequence ?? place.after
            // Before anything is read that was written under the new tables.
            try await connect(&position)
        }
        return last.sequence >= reply.head
    }

    // MARK: Connecting

    private static let notAvailable = "The change feed is not available"

    private func connect(_ position: inout Position?) async throws(FeedFailure) {
        let waiting = await hub.takeAttachments()
        for (place, attachment) in waiting.enumerated() {
            let answer: FeedAnswer
            do throws(FeedFailure) {
                if position == nil {
                    let reply = try await source.pull(epoch: 0, after: 0)
                    position = Position(epoch: reply.epoch, after: reply.head)
                }
                answer = try await self.answer(attachment)
            } catch {
                if error.isPassing {
                    await hub.putBack(Array(waiting[place...]))
                    throw error
                }
                logger.warning("The change feed is refused.", metadata: ["error.detail": "\(error.message)"])
                answer = .failed(Self.notAvailable)
            }
            await hub.attached(attachment, answer)
        }
    }

    private func answer(_ attachment: FeedAttachment) async throws(FeedFailure) -> FeedAnswer {
        var subscriptions: [Subscription] = []
        for change in attachment.changes {
            // Never everything to somebody who asked for less.
            guard !change.selectsColumns else { return .failed("`select` of columns is not supported") }
            let key = TableKey(schema: change.schema, table: change.table)
            let reply = try await source.describe(key)
            var columns: [FeedColumn]?
            if key.table != "*" {
                let found = reply.tables.first { table in
                    table.name == key.table && (key.schema == "*" || table.schema == key.schema)
                }
                guard let found else {
                    return .failed(
                        "Unable to subscribe to changes with given parameters: "
                            + "the publication has no table \(key.schema).\(key.table)")
                }
                if key.schema != "*" {
                    columns = found.columns.map { FeedColumn(name: $0.name, type: $0.type, labels: $0.labels) }
                }
            }
            do throws(FilterError) {
                subscriptions.append(
                    Subscription(
                        member: attachment.member, id: change.id, event: change.event, table: key,
                        filter: try Filter(change.filter, columns: columns),
                        floor: attachment.floor ?? reply.head))
            } catch { return .failed(error.message) }
        }
        return .subscribed(subscriptions)
    }

    // MARK: Reading

    /// Splits behind every change of the tables.
    private static func batches(of entries: [Martlet_Wire_V1_LogEntry]) -> [[Martlet_Wire_V1_LogEntry]] {
        var batches: [[Martlet_Wire_V1_LogEntry]] = []
        var batch: [Martlet_Wire_V1_LogEntry] = []
        for entry in entries {
            batch.append(entry)
            if entry.type == "data.schema.changed" || batch.count == batchEntriesMax {
                batches.append(batch)
                batch = []
            }
        }
        return batch.isEmpty ? batches : batches + [batch]
    }

    /// Asks what may be seen, then sends all of it; throws before anything is sent.
    private func process(_ entries: [Martlet_Wire_V1_LogEntry], epoch: UInt64) async throws(FeedFailure) {
        let changes = entries.compactMap { entry in
            RowChange(
                sequence: entry.sequence, headers: entry.headers, microseconds: entry.timeMicroseconds,
                body: Array(entry.body))
        }
        var wanted: [(change: RowChange, matches: [FeedMatch])] = []
        for change in changes {
            let matches = await hub.matches(change)
            if !matches.isEmpty { wanted.append((change, matches)) }
        }
        guard !wanted.isEmpty else { return }
        var claims: [ClaimKey] = []
        var known: Set<ClaimKey> = []
        for (_, matches) in wanted {
            for match in matches where known.insert(match.claims).inserted { claims.append(match.claims) }
        }
        let shapes = try await shapes(of: wanted.map(\.change.sequence), for: claims, epoch: epoch)
        for (change, matches) in wanted {
            // Of most changes most callers see nothing.
            guard let seen = shapes[change.sequence] else { continue }
            let permitted = matches.compactMap { match in seen[match.claims].map { (match: match, shape: $0) } }
            // What is waited out here stays in the log; in an edge's queue it would end the session.
            while await hub.isBacklogged, !Task.isCancelled { try? await Task.sleep(for: Self.backlogPause) }
            await hub.deliver(change, permitted)
        }
    }

    /// What everybody may see, by sequence; who may not even hear of a change has no shape.
    private func shapes(
        of sequences: [UInt64], for claims: [ClaimKey], epoch: UInt64
    ) async throws(FeedFailure) -> [UInt64: [ClaimKey: ChangeShape]] {
        var shapes: [UInt64: [ClaimKey: ChangeShape]] = [:]
        for first in stride(from: 0, to: claims.count, by: Self.claimSetsMax) {
            let asked = Array(claims[first..<min(first + Self.claimSetsMax, claims.count)])
            let step = max(1, Self.pairsMax / asked.count)
            for start in stride(from: 0, to: sequences.count, by: step) {
                var request = Martlet_Wire_V1_VisibleRequest()
                request.stream = BusFeedSource.stream
                request.epoch = epoch
                request.sequences = Array(sequences[start..<min(start + step, sequences.count)])
                request.claimSets = asked.map { key in
                    var set = Martlet_Wire_V1_ClaimSet()
                    set.role = key.role
                    set.claims = key.claims
                    return set
                }
                for answer in try await source.visible(request).changes where !answer.gone {
                    let (visible, denied) = (Array(answer.visible), Array(answer.denied))
                    for (place, key) in asked.enumerated()
                    where Self.bit(place, of: visible) || Self.bit(place, of: denied) {
                        var shape = ChangeShape(
                            isDenied: Self.bit(place, of: denied), hasRowSecurity: answer.rowSecurity)
                        if let mask = answer.masks.first(where: { $0.claimSet == UInt32(place) }) {
                            shape.mask = Set(mask.columns)
                        }
                        shapes[answer.sequence, default: [:]][key] = shape
                    }
                }
            }
        }
        return shapes
    }

    /// Least significant bit first; what is not there is not set.
    private static func bit(_ place: Int, of bytes: [UInt8]) -> Bool {
        place / 8 < bytes.count && bytes[place / 8] >> UInt8(place % 8) & 1 == 1
    }
}

// SPDX-License-Identifier: Apache-2.0

internal import MartletServiceKit

/// Bounds of calls that no entry of config.toml sets.
enum FunctionLimits {
    /// Body of an answer, in bytes: what the bus carries whole (D17), with room for its frame.
    static let answerBytesMax = (16 << 20) - (64 << 10)
    /// Head of an answer, in bytes: the bus's header has 60 KiB, and the edge adds fields.
    static let answerHeadBytesMax = 48 << 10
    /// To connect to a worker or upstream.
    static let connectMax = Duration.seconds(2)
    /// A connection that waited longer is not used again: servers end silent ones after two seconds or more, and a
    /// request that meets such an end may not be repeated.
    static let connectionIdleMax = Duration.seconds(1)
    /// Silent connections kept per worker.
    static let connectionsIdleMax = 32
    /// Calls of functions by functions, one inside the other (FN-09).
    static let hopsMax = 8
    /// From the start of a worker to its socket.
    static let bootMax = Duration.seconds(10)
    /// How long a worker that is asked to end may take until it is killed.
    static let endMax = Duration.seconds(5)
    /// Delays of starts after failures in a row: none for the first, then doubling between these.
    static let restartDelayMin = Duration.milliseconds(100)
    static let restartDelayMax = Duration.seconds(5)
    /// How often sources are looked at for changes, at most.
    static let sourceCheckInterval = Duration.seconds(1)
    /// Files of one function that are looked at; what is beyond is not noticed.
    static let sourceFilesMax = 10_000
}

// SPDX-License-Identifier: Apache-2.0

internal import Glibc
internal import NIOCore
internal import NIOHTTP1
internal import NIOPosix

/// Sends a file in pieces: the next is read once the last is out, so that memory per answer is bounded.
struct FileWriter: Sendable {
    /// Bytes of one piece.
    static let pieceBytes = 128 << 10

    let pool: NIOThreadPool

    /// Writes the body. `progress` is called on the event loop after each piece. Fails when the file is shorter than
    /// it was; the connection has to end then, since the length was promised.
    func write(
        _ file: SiteFile, on channel: any Channel, progress: @escaping @Sendable () -> Void
    ) -> EventLoopFuture<Void> {
        let (pool, loop) = (pool, channel.eventLoop)
        let promise = loop.makePromise(of: Void.self)
        promise.completeWithTask {
            let descriptor = try await pool.runIfActive {
                let descriptor = open(file.path, O_RDONLY | O_CLOEXEC)
                guard descriptor >= 0 else { throw IOError(errnoCode: errno, reason: "open") }
                return descriptor
            }
            var sent = 0
            do {
                while sent < file.size {
                    let want = min(Self.pieceBytes, file.size - sent)
                    let piece = try await pool.runIfActive { [sent] in try Self.read(descriptor, at: sent, want) }
                    sent += piece.readableBytes
                    try await channel.writeAndFlush(HTTPServerResponsePart.body(.byteBuffer(piece)))
                    loop.execute(progress)
                }
                close(descriptor)
            } catch {
                close(descriptor)
                throw error
            }
        }
        return promise.futureResult
    }

    /// A file of one piece at most, read at once; nil for larger ones, and for one whose length is not what it was.
    static func whole(_ file: SiteFile) -> ByteBuffer? {
        guard file.size <= pieceBytes else { return nil }
        guard file.size > 0 else { return ByteBuffer() }
        let descriptor = open(file.path, O_RDONLY | O_CLOEXEC)
        guard descriptor >= 0 else { return nil }
        defer { close(descriptor) }
        // One byte more than it should have, to see whether it has.
        let bytes = try? read(descriptor, at: 0, file.size + 1)
        return bytes?.readableBytes == file.size ? bytes : nil
    }

    private static func read(_ descriptor: Int32, at offset: Int, _ count: Int) throws -> ByteBuffer {
        var buffer = ByteBuffer()
        let result = buffer.writeWithUnsafeMutableBytes(minimumWritableBytes: count) { space in
            max(0, pread(descriptor, space.baseAddress, min(count, space.count), off_t(offset)))
        }
        guard result > 0 else { throw IOError(errnoCode: EIO, reason: "The file became shorter while it was sent.") }
        return buffer
    }
}

// SPDX-License-Identifier: Apache-2.0

internal import CMalloc

/// What malloc keeps of memory that was freed.
package enum ProcessMemory {
    /// Blocks of this size and more are mapped alone and go back to the kernel when they are freed, in bytes: above what
    /// requests take, below an Argon2id hash.
    ///
    /// glibc begins with 128 KiB and raises it to the size of whatever is freed, up to 32 MiB: after the first hash the
    /// 19 MiB of each stayed with the thread that made it.
    private static let mappedBytesMin: Int32 = 4 << 20
    /// Free memory at a heap's end that is kept, in bytes; twice the above, as glibc has it.
    private static let keptBytesMax: Int32 = 8 << 20

    /// At the start of a process.
    package static func bound() {
        _ = mallopt(M_MMAP_THRESHOLD, mappedBytesMin)
        _ = mallopt(M_TRIM_THRESHOLD, keptBytesMax)
    }

    /// Gives back what is free, also between blocks that are in use: after work that is done once, since it looks at
    /// every heap.
    package static func giveBack() { _ = malloc_trim(0) }
}

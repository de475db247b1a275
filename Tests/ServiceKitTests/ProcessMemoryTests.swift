// SPDX-License-Identifier: Apache-2.0

import Glibc
import MartletServiceKit
import Testing

/// What malloc keeps.
@Suite("Memory of the process")
struct ProcessMemoryTests {
    @Test("A large block is mapped alone, also after one of its size was freed")
    func large() throws {
        ProcessMemory.bound()
        for _ in 0..<3 {
            // As large as what an Argon2id hash takes.
            let block = try #require(unsafe malloc(19 << 20))
            // The bit IS_MMAPPED of glibc's chunk, in the word before the block.
            #expect(unsafe block.load(fromByteOffset: -8, as: UInt.self) & 2 != 0)
            unsafe free(block)
        }
    }
}

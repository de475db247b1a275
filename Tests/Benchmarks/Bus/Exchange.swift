// SPDX-License-Identifier: Apache-2.0

import Glibc
import MartletBus
import MartletWire
import NIOCore

/// Requests of one size, so many at once, for so long after a warm-up of 0.3 s.
struct Exchange: Sendable {
    private static let warmUp: Int64 = 300_000_000

    let bytes: Int
    let inFlight: Int
    let nanoseconds: Int64

    /// Runs it and returns its figures as JSON. The callers run on the bus thread, as the services' do (D41).
    func run(_ bus: Bus) async throws -> String {
        let start = Self.now()
        let measureFrom = start + Self.warmUp
        let end = measureFrom + nanoseconds
        let exchange = self
        let latencies = try await withThrowingTaskGroup(of: [UInt32].self) { group in
            for caller in 0..<inFlight {
                group.addTask(executorPreference: bus.executor) {
                    try await exchange.caller(bus, caller, measureFrom: measureFrom, end: end)
                }
            }
            var all: [UInt32] = []
            for try await some in group { all += some }
            return all
        }
        let sorted = latencies.sorted()
        func percentile(_ part: Double) -> Double {
            sorted.isEmpty ? 0 : Double(sorted[Int(Double(sorted.count - 1) * part)]) / 1_000
        }
        let rate = Double(sorted.count) / (Double(nanoseconds) / 1e9)
        return "{\"requests\":\(sorted.count),\"per_s\":\(rate),\"p50_us\":\(percentile(0.5)),"
            + "\"p99_us\":\(percentile(0.99))}"
    }

    private func caller(_ bus: Bus, _ number: Int, measureFrom: Int64, end: Int64) async throws -> [UInt32] {
        // What the edge sends with a request of a signed-in user.
        let header = RequestHeader(
            requestID: "0190b6a0-7c1e-7000-8000-00000000\(1_000 + number)",
            principal: Principal(
                tokenStatus: .valid, role: "authenticated", subject: "8c7e2b1a-0000-4000-8000-000000000001"))
        let payload = ByteBuffer(repeating: 7, count: bytes)
        var latencies: [UInt32] = []
        latencies.reserveCapacity(1 << 18)
        var isMeasuring = false
        while true {
            let sent = Self.now()
            if sent >= end { return latencies }
            if !isMeasuring, sent >= measureFrom {
                isMeasuring = true
                if number == 0 { BusBenchmark.say("measuring") }
            }
            _ = try await bus.request(MethodRegistry.httpWrite, to: .data, header: header, payload: payload)
            if isMeasuring { latencies.append(UInt32(clamping: Self.now() - sent)) }
        }
    }

    private static func now() -> Int64 {
        var time = timespec()
        clock_gettime(CLOCK_MONOTONIC, &time)
        return Int64(time.tv_sec) * 1_000_000_000 + Int64(time.tv_nsec)
    }
}

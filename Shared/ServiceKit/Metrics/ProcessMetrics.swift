// SPDX-License-Identifier: Apache-2.0

internal import Glibc

/// What the kernel says about this process, under the names that Prometheus' own clients use.
enum ProcessMetrics {
    private static let startSeconds = WallTime.now.seconds

    /// Adds them to a registry.
    static func register(in registry: MetricsRegistry) {
        _ = startSeconds
        registry.collect { text in
            text.metric(
                "process_start_time_seconds", kind: "gauge", help: "Start of the process, in seconds since 1970.",
                [([:], Double(startSeconds))])
            text.metric(
                "process_cpu_seconds_total", kind: "counter", help: "Processor time used.", [([:], cpuSeconds)])
            if let resident = residentBytes {
                text.metric(
                    "process_resident_memory_bytes", kind: "gauge", help: "Resident memory.", [([:], resident)])
            }
        }
    }

    private static var cpuSeconds: Double {
        var time = timespec()
        clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &time)
        return Double(time.tv_sec) + Double(time.tv_nsec) * 1e-9
    }

    /// The second number of `/proc/self/statm`, in pages (proc(5)).
    private static var residentBytes: Double? {
        guard let text = try? PosixFile.read("/proc/self/statm", bytesMax: 4_096) else { return nil }
        let words = text.split(separator: " ")
        guard words.count > 1, let pages = Int(words[1]) else { return nil }
        return Double(pages * sysconf(Int32(_SC_PAGESIZE)))
    }
}

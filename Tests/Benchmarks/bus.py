# SPDX-License-Identifier: Apache-2.0
"""The bus against the same exchange in C, interleaved in one run. Called by `run bus`.

Figures are medians over rounds of the ratio bus/C of that round, so that a slow moment of the machine meets both.
Context switches and allocations are those of both processes, per request, read while both are alive.
"""

import argparse
import json
import os
import shutil
import socket
import statistics
import struct
import subprocess
import sys
import tempfile

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(os.path.dirname(HERE))
CASES = [(t, size, n) for t in ("tcp", "ipc") for size in (128, 16384) for n in (1, 64)]
# Bars of the design: p50 and p99 at most, throughput at 64 in flight at least, each as a ratio to C.
P50_MAX, P99_MAX, RATE_MIN = 1.25, 1.5, 0.75


def build(directory, bus):
    exchange = os.path.join(directory, "exchange")
    counter = os.path.join(directory, "malloc_count.so")
    subprocess.check_call(["cc", "-O2", "-Wall", "-Werror", "-o", exchange, f"{HERE}/C/exchange.c", "-lzmq"])
    subprocess.check_call(
        ["cc", "-O2", "-Wall", "-Werror", "-shared", "-fPIC", "-o", counter, f"{HERE}/C/malloc_count.c"])
    if bus is None:
        environment = dict(os.environ, MARTLET_BENCHMARKS="1")
        command = ["swift", "build", "-c", "release", "--product", "bus-bench"]
        subprocess.check_call(command, cwd=ROOT, env=environment, stdout=sys.stderr)
        path = subprocess.check_output([*command[:4], "--show-bin-path"], cwd=ROOT, env=environment, text=True)
        bus = os.path.join(path.strip(), "bus-bench")
    return exchange, bus, counter


def endpoint(transport, directory, number):
    if transport == "ipc":
        return f"ipc://{directory}/{number}.socket"
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return f"tcp://127.0.0.1:{probe.getsockname()[1]}"


def context_switches(pid):
    total = 0
    for task in os.listdir(f"/proc/{pid}/task"):
        try:
            with open(f"/proc/{pid}/task/{task}/status") as status:
                total += sum(int(line.split()[1]) for line in status if "ctxt_switches" in line)
        except FileNotFoundError:
            pass
    return total


def cpu_nanoseconds(pid):
    total = 0
    for task in os.listdir(f"/proc/{pid}/task"):
        try:
            with open(f"/proc/{pid}/task/{task}/schedstat") as file:
                total += int(file.read().split()[0])
        except FileNotFoundError:
            pass
    return total


def allocations(path):
    with open(path, "rb") as file:
        return struct.unpack("<Q", file.read(8))[0]


def exchange_once(program, keys, address, size, in_flight, seconds, counter=None, directory=None):
    """Runs one server and one client; returns the client's figures with the counters of both per request."""
    (server_public, server_secret), (client_public, client_secret) = keys
    files = []

    def start(role, *arguments):
        environment = dict(os.environ)
        if counter:
            files.append(f"{directory}/mallocs.{role}")
            environment.update(LD_PRELOAD=counter, MALLOC_COUNT_FILE=files[-1])
        return subprocess.Popen(
            [program, role, address, *arguments], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
            env=environment)

    def totals():
        return (sum(context_switches(p.pid) for p in running), sum(allocations(f) for f in files),
                sum(cpu_nanoseconds(p.pid) for p in running))

    server = start("server", server_public, server_secret, client_public)
    running = [server]
    try:
        expect(server, "serving")
        client = start("client", client_public, client_secret, server_public, str(size), str(in_flight), str(seconds))
        running.append(client)
        expect(client, "measuring")
        switches, mallocs, cpu = totals()
        result = json.loads(client.stdout.readline())
        switches_after, mallocs_after, cpu_after = totals()
        requests = max(1, result["requests"])
        result["switches"] = (switches_after - switches) / requests
        result["mallocs"] = (mallocs_after - mallocs) / requests
        result["cpu_us"] = (cpu_after - cpu) / requests / 1000
        return result
    finally:
        for process in reversed(running):
            process.stdin.close()
            try:
                process.wait(timeout=10)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


def expect(process, line):
    got = process.stdout.readline().strip()
    if got != line:
        raise SystemExit(f"bench: expected {line!r} from {process.args[:2]}, got {got!r}")


def rod(path, transport, size, in_flight, seconds):
    """The same exchange by another program of the kind, for the check that ours is no slower."""
    mode = "rtt" if in_flight == 1 else "pipe"
    command = [path, mode, "-t", transport, "-s", str(size), "-n", str(in_flight), "-d", str(seconds), "-c"]
    return json.loads(subprocess.check_output(command, text=True))


def main():
    parser = argparse.ArgumentParser(prog="run bus", description=__doc__)
    parser.add_argument("--seconds", type=float, default=2)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--rod", help="path of zmq_limit; runs it in each round as well")
    parser.add_argument("--binary", help="a bus-bench that is built already")
    parser.add_argument("--only", help="a case such as tcp,128,64")
    options = parser.parse_args()
    directory = tempfile.mkdtemp(prefix="martlet-bench-")
    try:
        failed = measure(options, directory)
    finally:
        shutil.rmtree(directory, ignore_errors=True)
    sys.exit(1 if failed else 0)


def measure(options, directory):
    exchange, bus, counter = build(directory, options.binary)
    lines = subprocess.check_output([exchange, "keys"], text=True).splitlines()
    keys = [tuple(line.split()) for line in lines]
    print("load before:", " ".join(f"{value:.2f}" for value in os.getloadavg()))
    print(f"{'case':16} {'p50':>6} {'p99':>6} {'rate':>6}   {'C p50 µs':>9} {'C p99 µs':>9} {'C /s':>8}"
          f"   {'switches':>8} {'(C)':>6} {'mallocs':>8} {'(C)':>6} {'CPU µs':>7} {'(C)':>6}  bars")
    failed = 0
    number = 0
    for case in CASES:
        transport, size, in_flight = case
        if options.only and options.only != ",".join(map(str, case)):
            continue
        ours, theirs, rods = [], [], []
        for index in range(options.rounds):
            programs = [(bus, ours), (exchange, theirs)]
            for program, results in programs if index % 2 == 0 else reversed(programs):
                number += 1
                address = endpoint(transport, directory, number)
                results.append(exchange_once(program, keys, address, size, in_flight, options.seconds))
            if options.rod:
                rods.append(rod(options.rod, transport, size, in_flight, options.seconds))
        counted = [
            exchange_once(program, keys, endpoint(transport, directory, f"{number}m{index}"), size, in_flight, 1,
                          counter, directory)
            for index, program in enumerate((bus, exchange))
        ]

        def ratio(key):
            return statistics.median(a[key] / b[key] for a, b in zip(ours, theirs))

        def median(results, key):
            return statistics.median(result[key] for result in results)

        p50, p99, rate = ratio("p50_us"), ratio("p99_us"), ratio("per_s")
        passed = (p50 <= P50_MAX and p99 <= P99_MAX) if in_flight == 1 else rate >= RATE_MIN
        failed += not passed
        print(f"{transport} {size:>6} x{in_flight:<5} {p50:6.2f} {p99:6.2f} {rate:6.2f}   "
              f"{median(theirs, 'p50_us'):9.1f} {median(theirs, 'p99_us'):9.1f} {median(theirs, 'per_s'):8.0f}   "
              f"{median(ours, 'switches'):8.2f} {median(theirs, 'switches'):6.2f} "
              f"{counted[0]['mallocs']:8.1f} {counted[1]['mallocs']:6.1f} "
              f"{median(ours, 'cpu_us'):7.1f} {median(theirs, 'cpu_us'):6.1f}  {'ok' if passed else 'MISSED'}", flush=True)
        if rods:
            against = statistics.median(b["per_s"] / r["per_s"] for b, r in zip(theirs, rods))
            print(f"{'':16} C against the rod: rate {against:.2f}")
    print("load after:", " ".join(f"{value:.2f}" for value in os.getloadavg()))
    print(f"{'case':16} ratios are bus/C. Bars: 1 in flight p50 ≤ {P50_MAX}, p99 ≤ {P99_MAX}; "
          f"64 in flight rate ≥ {RATE_MIN}")
    return failed


if __name__ == "__main__":
    main()

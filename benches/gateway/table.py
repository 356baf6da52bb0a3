"""The table of `benches/gateway/run`: reads one line a round on standard input, prints the median of each point.

A line: target, workload, calls, microseconds, p50, p99, p99.9 (in microseconds), errors, CPU seconds, peak memory in MB.
"""

import statistics
import sys
from collections import defaultdict

HEAD = f"{'workload':<12}{'target':<16}{'calls/s':>9}{'p50 ms':>8}{'p99 ms':>8}{'p99.9':>8}" \
       f"{'CPU ms/1k':>11}{'core':>6}{'MB':>6}{'errors':>8}   x nginx: calls/s, CPU"


def point(line):
    target, workload, *numbers = line.split()
    calls, micros, p50, p99, p999, errors, cpu, memory = map(float, numbers)
    calls = max(calls, 1.0)
    return workload, target, {
        "rate": calls / micros * 1e6, "p50": p50 / 1e3, "p99": p99 / 1e3, "p999": p999 / 1e3,
        "cpu": cpu * 1e6 / calls, "core": cpu / micros * 1e8, "memory": memory, "errors": errors,
    }


def median(rounds):
    middle = {name: statistics.median(r[name] for r in rounds) for name in rounds[0]}
    # Errors of any round count, and memory only grows.
    return middle | {name: max(r[name] for r in rounds) for name in ("errors", "memory")}


def row(workload, target, m, nginx):
    through = target != "direct"
    cpu = f"{m['cpu']:>11.1f}{m['core']:>5.0f}%{m['memory']:>6.0f}" if through else f"{'-':>11}{'-':>6}{'-':>6}"
    ratio = f"{m['rate'] / nginx['rate']:>11.2f}" if nginx else ""
    ratio += f"{m['cpu'] / nginx['cpu']:>11.2f}" if nginx and through and nginx["cpu"] else ""
    return f"{workload:<12}{target:<16}{m['rate']:>9.0f}{m['p50']:>8.2f}{m['p99']:>8.2f}{m['p999']:>8.2f}" \
           f"{cpu}{m['errors']:>8.0f}{ratio}"


def main():
    table = defaultdict(lambda: defaultdict(list))
    for line in sys.stdin:
        workload, target, numbers = point(line)
        table[workload][target].append(numbers)
    print(HEAD)
    for workload, targets in table.items():
        medians = {target: median(rounds) for target, rounds in targets.items()}
        for target, m in medians.items():
            print(row(workload, target, m, medians.get("nginx")))


main()

"""Reports as tandem-bench and bench/compare write them, for the test of their page: made-up figures
in the sizes and shapes of real ones, from fixed seeds."""

import random

STARTED_AT = "2026-01-31T12:00:00Z"
MACHINE = {"kernel": "6.1.0-18-amd64", "cpu": "AMD EPYC 7B13", "cores": 2}
PERCENTILES = {"p50_us": 0.5, "p90_us": 0.9, "p95_us": 0.95, "p99_us": 0.99, "p999_us": 0.999,
               "p9999_us": 0.9999}
# What would become an element, or end the script that holds it, were it read as HTML.
HOSTILE = "</script><b class=\"escaped\">the generator's core was 97 % busy & the limit</b><!--"


def _latency(name, median_us, count, randomness):
    """Log-normal with a tail of rare stalls, in the buckets of a histogram of three digits."""
    samples = []
    for _ in range(count):
        stall = randomness.expovariate(1 / (20 * median_us)) if randomness.random() < 0.004 else 0
        samples.append(median_us * randomness.lognormvariate(0, 0.25) + stall)
    samples.sort()
    buckets = {}
    for sample in samples:
        upper = float(f"{sample:.2e}")
        buckets[upper] = buckets.get(upper, 0) + 1
    return {"name": name, "count": count,
            **{key: samples[int(q * count)] for key, q in PERCENTILES.items()},
            "max_us": samples[-1], "mean_us": sum(samples) / count, "jitter_us": median_us / 5,
            "buckets": [[upper, buckets[upper]] for upper in sorted(buckets)]}


def _interval(second, kpps, lost, randomness):
    packets = round(1000 * kpps * randomness.uniform(0.93, 1.05))
    return {"from_s": second, "to_s": second + 1,
            "bytes": 200 * packets, "packets": packets, "lost": lost,
            "gbit_s": 200 * packets * 8e-9, "kpps": packets / 1000,
            "relay_cpu_s": randomness.uniform(0.95, 1.0),
            "generator_cpu_s": randomness.uniform(0.7, 0.8),
            "machine_cpu_s": randomness.uniform(1.75, 1.9)}


def _limit(size, kpps, randomness):
    def rate(kind, middle):
        return {f"{kind}_kpps": middle, f"{kind}_low": middle * randomness.uniform(0.93, 0.98),
                f"{kind}_high": middle * randomness.uniform(1.01, 1.05)}

    def trial(share):
        return {"offered_kpps": kpps * share, "delivered_kpps": kpps * min(share, 1),
                "lost_fraction": max(0, 1 - 1 / share)}

    return {"size": size, **rate("ndr", 0.9 * kpps), **rate("pdr", kpps),
            "trials": [trial(share) for share in (2.0, 1.25, 1.0, 0.9)]}


def bare_run():
    """What no run is without, and was stopped early."""
    return {
        "tool": "tandem-bench", "version": "0.1.0", "mode": "sessions", "started_at": STARTED_AT,
        "interrupted": True, "machine": MACHINE, "options": {},
        "summary": {"pairs_per_s": 4128.7, "resident_bytes_per_pair": 419.2, "intact": 0},
        "warnings": []}


def run():
    """A run that has every part a report can have, which no single mode has."""
    randomness = random.Random(1)
    losses = [0, 0, 0, 412, 0, 0, 1280, 37, 0, 0]
    direct = _latency("direct", 24, 20_000, randomness)
    relay = _latency("relay", 61, 20_000, randomness)
    sizes = {"64": 592, "200": 571, "512": 533, "1200": 471, "imix": 540}
    return {
        "tool": "tandem-bench", "version": "0.1.0", "mode": "udp", "started_at": STARTED_AT,
        "interrupted": False, "machine": MACHINE,
        "options": {"route": "relay 127.0.0.1:7777", "pairs": 1000, "length_bytes": 200,
                    "seconds": 10, "rate_bit_s": 2_500_000, "warm_up_s": 1, "verify": "sampled"},
        "summary": {
            "throughput_gbit_s": 0.914, "delivered_kpps": 571.3, "delivered_bytes": 1_142_600_000,
            "lost": sum(losses), "lost_fraction": sum(losses) / 5_713_000, "duplicated": 0,
            "reordered": 0, "damaged": 0, "packets_per_relay_cpu_s": 578_412.7,
            "relay_cpu_s_per_million": 1.7289, "latency_p50_us": relay["p50_us"],
            "latency_p99_us": relay["p99_us"], "wall_s": 10.002, "relay_cpu_s": 9.88,
            "generator_cpu_s": 7.51, "machine_cpu_s": 18.2, "foreign_cpu_s": 0.31,
            "stolen_cpu_s": None, "relay_switches": 10_512, "intact": 1},
        "intervals": [_interval(at, 571, lost, randomness) for at, lost in enumerate(losses)],
        "latency": [direct, relay],
        "limits": [_limit(size, kpps, randomness) for size, kpps in sizes.items()],
        "steps": [{"clients": clients, "rooms": clients // 8, "resident_bytes": 20e6 + 6000 * clients,
                   "cpu_percent": None if clients == 1000 else clients / 60,
                   "sent_per_s": float(clients), "delivered_per_s": 8.0 * clients,
                   "p50_us": 90.0, "p95_us": 210.0 + clients, "p99_us": 800.0,
                   "errors": clients // 5000} for clients in (1000, 3000, 5000)],
        "errors": {"timeout": 12, HOSTILE: 3},
        "relay": {
            "batch_sizes": [["1", 1204], ["2", 2310], ["4", 5105], ["8", 14_220], ["16", 33_902],
                            ["32", 61_330], ["64", 40_118], ["128", 8190], ["256", 310],
                            ["+Inf", 0]],
            "zero_copy_share": 0.9731,
            "dropped": {"over_rate": 1290, "not_bound": 402, "bad_mac": 37}},
        "warnings": [HOSTILE, "others used 0.31 CPU-s of the machine meanwhile"],
    }


FAILED = f"not listening on 18301: {HOSTILE}"

# Gbit/s, CPU-s per GB of relay and of machine; UDP packets per relay-CPU-second, kpps, p99 in us.
SUBJECTS = {
    "direct": (20.6, None, 0.38, None, 981, 61),
    "tandem": (18.7, 0.43, 0.79, 578_000, 571, 143),
    "tandem-sqpoll": (17.1, 0.52, 0.91, 402_000, 560, 171),
    "haproxy-splice": (12.3, 0.66, 0.87, None, None, 410),
    "haproxy-copy": (11.8, 0.74, 1.01, None, None, 436),
    "nginx": (12.9, 0.69, 1.08, 331_000, 338, 388),
    "coturn": (4.1, 2.21, 3.02, 48_300, 50.4, 2140),
    "syncthing-relaysrv": (9.4, 0.97, 1.31, None, None, None),
    "magic-wormhole-transit-relay": (1.7, 5.31, 6.4, None, None, None),
    "envoy": None,
}
BULK = [("throughput_gbit_s", "Gbit/s delivered", "more"),
        ("relay_cpu_s_per_gb", "Relay's CPU per GB", "less"),
        ("machine_cpu_s_per_gb", "Machine's CPU per GB", "less")]
DATAGRAMS = [("packets_per_relay_cpu_s", "Packets per relay-CPU-second", "more"),
             ("delivered_kpps", "Thousand packets a second", "more"),
             ("latency_p99_us", "Latency, 99th percentile", "less")]


def _figure(middle, randomness):
    values = sorted(middle * randomness.lognormvariate(0, 0.04) for _ in range(5))
    return {"median": values[2], "low": values[0], "high": values[4]}


def _subject(name, middles, figures, randomness):
    if middles is None:
        return {"name": name, "failed": FAILED, "runs": [], "figures": {}}
    measured = {key: _figure(middle, randomness)
                for (key, _, _), middle in zip(figures, middles) if middle is not None}
    return {"name": name, "failed": None, "runs": [], "figures": measured}


def _experiment(name, arguments, columns, figures, randomness):
    """Of the subjects that have any of these columns, or failed."""
    rows = {subject: row and row[columns] for subject, row in SUBJECTS.items()}
    return {"name": name, "arguments": arguments,
            "figures": [dict(zip(("key", "label", "better"), figure)) for figure in figures],
            "subjects": [_subject(subject, row, figures, randomness)
                         for subject, row in rows.items() if row is None or any(row)]}


def _target(name, what, better, must, aim, median, verdict):
    values = [median * share for share in (0.96, 0.99, 1.0, 1.02, 1.05)] if median else []
    return {"target": name, "what": what, "median": median, "values": values,
            "low": values[0] if values else None, "high": values[-1] if values else None,
            "must": must, "aim": aim, "better": better, "verdict": verdict}


def comparison():
    randomness = random.Random(2)
    return {
        "tool": "bench/compare", "started_at": STARTED_AT, "machine": MACHINE,
        "versions": {"tandem": "0.1.0", "haproxy": "2.6.12-1+deb12u4", "nginx": "1.22.1-9+deb12u3",
                     "coturn": "4.6.1-1", "syncthing-relaysrv": "1.19.2~ds1-1+b4"},
        "rounds": 5, "seconds": 5,
        "experiments": [
            _experiment("bulk TCP, 8 pairs", ["tcp", "-P", "8", "-l", "64K"], slice(0, 3), BULK,
                        randomness),
            _experiment("UDP, 1,000 pairs, 200 bytes", ["udp", "-P", "1000", "-l", "200"],
                        slice(3, 6), DATAGRAMS, randomness),
        ],
        "targets": [
            _target("T1", "bulk TCP throughput, ours / HAProxy splice", "more", 1.3, 1.6, 1.52,
                    "must"),
            _target("T3", "bulk TCP throughput, ours / direct", "more", 0.8, 0.95, 0.96, "aim"),
            _target("T5", "added p99 latency, ours / HAProxy", "less", 0.5, 0.3, 0.235, "aim"),
            _target("T6", "UDP packets per relay-CPU-second, ours / nginx", "more", 1.6, 4, 1.41,
                    "BELOW"),
            _target("T8", "UDP trains, ours / nginx", "more", 4, 8, 4.4, "DAMAGED"),
            _target("T7", "UDP packets per relay-CPU-second, ours / coturn", "more", 2.5, 10, None,
                    "not measured"),
        ],
    }

#!/usr/bin/env python3
"""The live view of a study of 10,000 trials: first view, update, memory of the server, and what it costs the coordinator.

    python3 bench/live_view.py METAQNN [--trials 10000] [--rounds 6] [--lot 300]

The study is made by the project's own ask, tell and storage, without trainings (the ignored test `coordinator_of_a_large_study` of
metaqnn-report, built here if need be). Then the coordinator goes on in lots, by turns with nobody watching and with four views open, each of
which does what a browser does: it listens to the events and fetches every part that has changed. Standard library only; Linux.
"""

import argparse
import http.client
import json
import os
import re
import statistics
import subprocess
import tempfile
import threading
import time

PARTS = ["status", "best", "trials", "figures", "about"]
STAMPS = {"status": "status-1", "best": "trials-1", "trials": "trials-1", "figures": "figures-1", "about": "trials-1"}
# As the pages have them, in seconds.
EVERY = {"status": 0, "best": 1, "trials": 0.5, "figures": 3, "about": 5}


def fetch(port, path):
    """Seconds until the answer is there, and the answer."""
    begin = time.perf_counter()
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
    connection.request("GET", path)
    response = connection.getresponse()
    text = response.read()
    connection.close()
    assert response.status == 200, (path, response.status)
    return time.perf_counter() - begin, text.decode()


class View(threading.Thread):
    """A page that is open: an event names what has changed, and that is fetched."""

    def __init__(self, port):
        super().__init__(daemon=True)
        self.port, self.seconds, self.is_open = port, {part: [] for part in PARTS}, True

    def run(self):
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)
        connection.request("GET", "/events")
        response = connection.getresponse()
        seen, fetched = {}, {part: 0 for part in PARTS}
        while self.is_open:
            line = response.readline().decode()
            if not line.startswith("data: "):
                continue
            stamps = json.loads(line[6:])
            for part in PARTS:
                stamp = stamps[STAMPS[part]]
                if stamp != seen.get(part) and time.monotonic() - fetched[part] >= EVERY[part]:
                    self.seconds[part].append(fetch(self.port, f"/study/1/part/{part}")[0])
                    seen[part], fetched[part] = stamp, time.monotonic()
        connection.close()


def cpu_seconds(pid):
    fields = open(f"/proc/{pid}/stat").read().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def memory(pid):
    """MB now and at most until now."""
    status = open(f"/proc/{pid}/status").read()
    return [int(re.search(rf"{name}:\s+(\d+) kB", status).group(1)) / 1000 for name in ("VmRSS", "VmHWM")]


def main():
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("metaqnn")
    arguments.add_argument("--trials", type=int, default=10_000)
    arguments.add_argument("--rounds", type=int, default=6)
    arguments.add_argument("--lot", type=int, default=300)
    given = arguments.parse_args()
    study = os.path.join(tempfile.mkdtemp(), "large.study")
    test = ["cargo", "test", "--quiet", "--release", "-p", "metaqnn-report", "--test", "it", "--"]
    test += ["--ignored", "--nocapture", "coordinator_of_a_large_study"]
    environment = {**os.environ, "METAQNN_LIVE_STUDY": study}
    coordinator = subprocess.Popen(test, env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    def lot(models):
        coordinator.stdin.write(f"{models}\n")
        coordinator.stdin.flush()
        for line in coordinator.stdout:
            if line.startswith("lot "):
                return json.loads(line[4:])
        raise SystemExit("the coordinator ended")

    begin = time.perf_counter()
    made = lot(given.trials)
    print(f"study of {given.trials} trials made in {time.perf_counter() - begin:.1f} s: {made}", flush=True)

    begin = time.perf_counter()
    server = subprocess.Popen([given.metaqnn, "serve", study, "--port", "0", "--json"], stdout=subprocess.PIPE, text=True)
    port = json.loads(server.stdout.readline())["port"]
    started = time.perf_counter() - begin
    first, page = fetch(port, "/")
    print(f"started in {started:.3f} s, first view after {first:.3f} s more, {len(page) / 1e3:.0f} kB", flush=True)
    begin = time.perf_counter()
    while "figure-q-by-layer" not in (figures := fetch(port, "/study/1/part/figures")[1]):
        time.sleep(0.1)
    print(f"all figures and the Q-table {time.perf_counter() - begin:.1f} s later, {len(figures) / 1e3:.0f} kB; "
          f"CPU of the server until then {cpu_seconds(server.pid):.1f} s", flush=True)
    for path in ["/", "/study/1/part/status", "/study/1/part/trials?sort=valid&order=down&search=FC", "/study/1/part/figures",
                 "/study/1/trial/5000", "/study/1/q-table"]:
        times = sorted(fetch(port, path)[0] for _ in range(9))
        print(f"{path}: {1e3 * statistics.median(times):.1f} ms (median of 9; longest {1e3 * times[-1]:.1f})", flush=True)

    lots = {0: [], 4: []}
    seconds = {part: [] for part in PARTS}
    server_cpu = {0: [], 4: []}
    for turn in range(2 * given.rounds):
        views = 4 if turn % 2 else 0
        opened = [View(port) for _ in range(views)]
        for view in opened:
            view.start()
        time.sleep(3)
        before, begin = cpu_seconds(server.pid), time.perf_counter()
        lots[views].append(lot(given.lot))
        time.sleep(2)
        server_cpu[views].append((cpu_seconds(server.pid) - before) / (time.perf_counter() - begin))
        for view in opened:
            view.is_open = False
        lot(1)  # An event ends the views.
        for view in opened:
            view.join(10)
            for part in PARTS:
                seconds[part] += view.seconds[part]
    for views in (0, 4):
        cpu = statistics.median(found["cpu_us"] for found in lots[views])
        wall = statistics.median(found["wall_us"] for found in lots[views])
        print(f"{views} views open: ask + tell + store {cpu:.0f} µs of CPU, {wall:.0f} µs in all (medians of {given.rounds} lots of "
              f"{given.lot}); server {100 * statistics.median(server_cpu[views]):.1f} % of a core")
    for key in ("cpu_us", "wall_us"):
        ratios = [after[key] / before[key] for before, after in zip(lots[0], lots[4])]
        print(f"{key} with four views over without: median {statistics.median(ratios):.3f}, each {[round(ratio, 3) for ratio in ratios]}")
    for part in PARTS:
        found = sorted(seconds[part])
        if found:
            print(f"update of {part}: {1e3 * statistics.median(found):.1f} ms (median of {len(found)}; longest {1e3 * found[-1]:.1f})")
    now, most = memory(server.pid)
    print(f"memory of the server: {now:.0f} MB, at most {most:.0f} MB")
    server.terminate()
    coordinator.stdin.close()
    coordinator.wait()


main()

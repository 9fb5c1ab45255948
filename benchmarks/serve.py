"""Searches by vector over HTTP, as `lookalike serve` answers them, and what HTTP adds.

    python -m benchmarks.serve [--n 100000] [--clients 32] [--seconds 60]

The server, the clients and MySQL share the machine. Processor time is that of the server's process;
it is compared with a process that calls `collection.search` for the same queries, with the same
index in memory.
"""

import argparse
import json
import os
import secrets
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import psutil

import lookalike
from benchmarks.data import load
from benchmarks.dataset import K
from benchmarks.http_clients import Answers, request_of
from benchmarks.http_clients import load as send
from benchmarks.server import STOCK_POOL, database, fill, url
from lookalike.core.vectors import FloatArray

COLLECTION = "synthetic"
TOKEN = secrets.token_urlsafe(32)
WARM = 2000


@contextmanager
def started(collection: str, *options: str) -> Iterator[tuple[int, psutil.Process]]:
    """A server of a collection; its port and process."""
    command = [sys.executable, "-m", "lookalike", "serve", "--port", "0", "--json"]
    command += ["--database", url(), "--collection", collection, *options]
    environment = {**os.environ, "LOOKALIKE_TOKEN": TOKEN}
    with subprocess.Popen(
        command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
    ) as process:
        try:
            assert process.stdout is not None
            lines = [process.stdout.readline() for _ in range(3)]
            page = json.loads(b"".join(lines))["Page"]
            port = int(page.split(":")[2].split("/")[0])
            yield port, psutil.Process(process.pid)
        finally:
            process.terminate()


@contextmanager
def served() -> Iterator[tuple[int, psutil.Process]]:
    """A server of the collection, with its index in memory; its port and process."""
    with started(COLLECTION) as (port, process):
        wait_until_held(port)
        yield port, process


def wait_until_held(port: int) -> None:
    """Wait until the index is in memory."""
    headers = {"Authorization": f"Bearer {TOKEN}"}
    asked = urllib.request.Request(f"http://127.0.0.1:{port}/metrics", headers=headers)
    while True:
        with urllib.request.urlopen(asked) as answer:
            lines = answer.read().decode().splitlines()
        held = [line for line in lines if line.startswith("lookalike_held_index_bytes{")]
        if held and float(held[0].split()[-1]) > 0:
            return
        time.sleep(0.2)


def processor_seconds(process: psutil.Process) -> float:
    """Processor time of a process until now."""
    times = process.cpu_times()
    return float(times.user + times.system)


def by_http(queries: FloatArray, clients: int, seconds: float) -> tuple[Answers, float, float, int]:
    """Return the answers, their seconds, processor seconds a request, and memory in bytes."""
    path = "/api/v1/search"
    bodies = [json.dumps({"query": {"vector": query.tolist()}, "k": K}) for query in queries]
    requests = [request_of(path, TOKEN, body.encode(), "application/json") for body in bodies]
    with served() as (port, process):
        send(port, requests, clients=clients, seconds=3)
        before, began = processor_seconds(process), time.perf_counter()
        answers = send(port, requests, clients=clients, seconds=seconds)
        took = time.perf_counter() - began
        spent = (processor_seconds(process) - before) / len(answers.seconds)
        return answers, took, spent, process.memory_info().rss


def by_library(queries: FloatArray) -> tuple[float, float]:
    """Return the seconds and processor seconds of one search in Python, with the index held."""
    with lookalike.connect(url()) as db:
        collection = db.collection(COLLECTION)
        with collection.hold_index() as held:
            assert held.wait(120)
            for query in queries[:200]:
                collection.search(query, k=K)
            before, began = time.process_time(), time.perf_counter()
            for number in range(WARM):
                collection.search(queries[number % len(queries)], k=K)
            took = (time.perf_counter() - began) / WARM
            return took, (time.process_time() - before) / WARM


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--n", type=int, default=100_000)
    parser.add_argument("--clients", type=int, nargs="+", default=[1, 32])
    parser.add_argument("--seconds", type=float, default=60)
    arguments = parser.parse_args()
    dataset = load("synthetic", arguments.n)
    queries = dataset.queries[:500]
    with database(STOCK_POOL) as db:
        fill(COLLECTION, dataset.base)
        db.collection(COLLECTION).index.build()
        seconds, spent = by_library(queries)
        print("| | clients | requests/s | p50 ms | p99 ms | processor ms | MB | errors |")
        print("|---|---:|---:|---:|---:|---:|---:|---:|")
        one = 1000 * seconds
        print(f"| in Python | 1 | {1 / seconds:,.0f} | {one:.2f} | | {1000 * spent:.2f} | | |")
        for clients in arguments.clients:
            answers, took, each, memory = by_http(queries, clients, arguments.seconds)
            p50, p99 = 1000 * np.percentile(answers.seconds, [50, 99])
            errors = sum(count for status, count in answers.statuses.items() if status != 200)
            print(
                f"| over HTTP | {clients} | {len(answers.seconds) / took:,.0f} | {p50:.2f} "
                f"| {p99:.2f} | {1000 * each:.2f} | {memory / 2**20:,.0f} | {errors} |",
                flush=True,
            )


if __name__ == "__main__":
    main()

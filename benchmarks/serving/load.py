"""Load on a running server, beside the bare engine: ``python -m benchmarks.serving``.

The server runs in a process of its own, as users run it, and answers signed TC3 requests with a
real face in them. The bare engine decodes and analyses the same picture in as many threads, in
another process, before and after. Processor seconds tell the protocol's price also on a machine
that has other things to do. Linux only: memory and processor time are read from /proc.
"""

import argparse
import base64
import http.client
import io
import json
import multiprocessing
import os
import re
import statistics
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import NamedTuple

import cv2
from PIL import Image

from faceshape import FaceShapeEngine
from faceshape.processors import usable_processors
from faceshape.tencent.server.signature import tc3_signature

_PATIENCE = 600  # seconds; a busy machine makes requests slow, not wrong
SECRET_ID, SECRET_KEY = "AKIDEXAMPLEFAKEFAKEFAKEFAKEFAKE00", "FAKEsecretKEYforTESTSonly0000000"


class Load(NamedTuple):
    """What a run took: wall and processor seconds, and each request's own wall seconds."""

    wall: float
    processor: float
    latencies: list[float]

    def line(self, name: str) -> str:
        """Return a row of the table."""
        count = len(self.latencies)
        cuts = statistics.quantiles(self.latencies, n=100)
        return (
            f"{name:<22}{count / self.wall:8.1f} requests/s   p50 {1000 * cuts[49]:7.1f} ms   "
            f"p99 {1000 * cuts[98]:7.1f} ms   {1000 * self.processor / count:6.2f} CPU ms/request"
        )


def processor_seconds(pid: int) -> float:
    """Return what a process has used so far, its threads included."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def memory_mib(pid: int) -> float:
    """Return the resident memory of a process."""
    [line] = re.findall(r"VmRSS:\s+(\d+) kB", Path(f"/proc/{pid}/status").read_text())
    return int(line) / 1024


def face() -> bytes:
    """Return a JPEG of scikit-image's astronaut, 512×512."""
    from skimage import data

    buffer = io.BytesIO()
    Image.fromarray(data.astronaut()).save(buffer, "JPEG", quality=90)
    return buffer.getvalue()


def bare(picture: bytes, threads: int, count: int, results) -> None:
    """Run the engine without a protocol and put the Load into a queue."""
    cv2.setNumThreads(1)  # as the server has it
    engine = FaceShapeEngine(threads=1)

    def one(_: int) -> float:
        started = time.perf_counter()
        if not engine.analyze(picture):
            raise RuntimeError("no face")
        return time.perf_counter() - started

    with ThreadPoolExecutor(threads) as executor:
        list(executor.map(one, range(4 * threads)))
        started, processor = time.perf_counter(), processor_seconds(os.getpid())
        latencies = list(executor.map(one, range(count)))
    wall = time.perf_counter() - started
    results.put(Load(wall, processor_seconds(os.getpid()) - processor, latencies))


def run_bare(picture: bytes, threads: int, count: int) -> Load:
    """Run the bare engine in a process of its own."""
    context = multiprocessing.get_context("spawn")
    results = context.Queue()
    process = context.Process(target=bare, args=(picture, threads, count, results))
    process.start()
    load = results.get(timeout=600)
    process.join(timeout=10)
    return load


def signed_headers(host: str, body: bytes) -> dict[str, str]:
    """Return the headers of a TC3 request as of now."""
    timestamp = int(time.time())
    headers = {"content-type": "application/json", "host": host}
    signature = tc3_signature(
        SECRET_KEY,
        method="POST",
        query="",
        headers=list(headers.items()),
        payload=body,
        timestamp=timestamp,
        service="iai",
    )
    date = time.strftime("%Y-%m-%d", time.gmtime(timestamp))
    return {
        **headers,
        "X-TC-Action": "AnalyzeFace",
        "X-TC-Version": "2020-03-03",
        "X-TC-Timestamp": str(timestamp),
        "Authorization": f"TC3-HMAC-SHA256 Credential={SECRET_ID}/{date}/iai/tc3_request, "
        f"SignedHeaders=content-type;host, Signature={signature}",
    }


def load_server(port: int, pid: int, body: bytes, connections: int, count: int) -> Load:
    """Send requests over so many connections at a time; exit if one is answered with an error."""
    failed: list[str] = []

    def client(share: int) -> list[float]:
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=_PATIENCE)
        latencies = []
        for _ in range(share):
            headers = signed_headers(f"127.0.0.1:{port}", body)
            started = time.perf_counter()
            connection.request("POST", "/", body, headers)
            with connection.getresponse() as response:
                answer = json.loads(response.read())["Response"]
            latencies.append(time.perf_counter() - started)
            failed.extend([answer["Error"]["Code"]] if "Error" in answer else [])
        connection.close()
        return latencies

    shares = [len(range(i, count, connections)) for i in range(connections)]
    with ThreadPoolExecutor(connections) as executor:
        started, processor = time.perf_counter(), processor_seconds(pid)
        latencies = [value for some in executor.map(client, shares) for value in some]
        wall = time.perf_counter() - started
    if failed:
        raise SystemExit(f"{len(failed)} of {count} answers are errors: {sorted(set(failed))}")
    return Load(wall, processor_seconds(pid) - processor, latencies)


def start_server(threads: int) -> tuple[subprocess.Popen[str], int]:
    """Return the process of a server and its port."""
    code = "from faceshape.cli.serve import serve; serve()"
    options = ["--port", "0", "--threads", str(threads), "--request-timeout", str(_PATIENCE)]
    process = subprocess.Popen(
        [sys.executable, "-c", code, *options],
        env={**os.environ, "FACESHAPE_SECRETS": f"{SECRET_ID}:{SECRET_KEY}"},
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stderr is not None
    for line in process.stderr:
        if match := re.search(r"http://127\.0\.0\.1:(\d+)", line):
            return process, int(match[1])
    raise RuntimeError("the server did not start")


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--requests", type=int, default=2000)
    parser.add_argument("--connections", type=int, default=16)
    parser.add_argument(
        "--threads",
        type=int,
        default=max(1, usable_processors() - 1),
        help="of the engine; one processor is left to those who send (default: %(default)s)",
    )
    arguments = parser.parse_args()

    picture = face()
    body = json.dumps({"Image": base64.b64encode(picture).decode()}).encode()
    half = arguments.requests // 2
    print(f"{arguments.threads} threads, {len(picture)} bytes of JPEG, 512×512")
    first = run_bare(picture, arguments.threads, half)
    process, port = start_server(arguments.threads)
    assert process.stderr is not None
    with ThreadPoolExecutor(1) as drain:  # a full pipe would stop the server
        drain.submit(process.stderr.read)
        try:
            memory = [memory_mib(process.pid)]
            warm_up = 10 * arguments.connections
            load_server(port, process.pid, body, arguments.connections, warm_up)
            memory.append(memory_mib(process.pid))
            served = load_server(port, process.pid, body, arguments.connections, arguments.requests)
            memory.append(memory_mib(process.pid))
        finally:
            process.terminate()
            process.wait(timeout=_PATIENCE)
    second = run_bare(picture, arguments.threads, half)
    engine = Load(*(a + b for a, b in zip(first, second, strict=True)))
    print(engine.line("bare engine"))
    print(served.line(f"server, {arguments.connections} connections"))
    print(
        f"overhead: {100 * (served.wall / engine.wall - 1):+.1f} % wall, "
        f"{100 * (served.processor / engine.processor - 1):+.1f} % processor time; no errors"
    )
    print("memory, MiB: {:.1f} started, {:.1f} warm, {:.1f} at the end".format(*memory))

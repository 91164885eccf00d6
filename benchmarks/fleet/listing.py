"""What it costs to list a folder: memory and time a path."""

import json
import subprocess
import sys
from pathlib import Path

__all__ = ["listing_cost"]

_WALK = """
import json, re, sys, time
from pathlib import Path
from faceshape.fleet.store import Place

def peak():
    return int(re.search(r"VmHWM:\\s+(\\d+)", Path("/proc/self/status").read_text())[1]) * 1024

place = Place(sys.argv[1])
before, started = peak(), time.process_time()
paths = sum(1 for _ in place.walk())
print(json.dumps([(peak() - before) / paths, (time.process_time() - started) / paths]))
"""


def listing_cost(folder: Path, paths: int) -> tuple[float, float]:
    """Return the bytes of memory and the processor seconds a path of one flat local folder.

    Args:
        folder: empty; files are made there.
        paths: how many.
    """
    for number in range(paths):
        (folder / f"{number:012}.jpg").touch()
    command = [sys.executable, "-c", _WALK, str(folder)]
    run = subprocess.run(command, check=True, capture_output=True, text=True)
    memory, seconds = json.loads(run.stdout)
    return memory, seconds

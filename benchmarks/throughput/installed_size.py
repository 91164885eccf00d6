"""What an installation takes: ``python installed_size.py DISTRIBUTION`` prints JSON, name → bytes.

Counts the files of a distribution and of all that it needs, extras left out. Nothing but the
standard library, so that it runs in any interpreter.
"""

import importlib.util
import json
import re
import sys
from importlib.metadata import Distribution, PackageNotFoundError, distribution
from pathlib import Path


def closure_sizes(name: str) -> dict[str, int]:
    """Return the bytes of each installed distribution that one needs, itself included.

    Raises:
        PackageNotFoundError: the first one is not installed.
    """
    sizes = {_plain(name): _size(distribution(name))}
    waiting = _needed(distribution(name))
    while waiting:
        needed = waiting.pop()
        if needed not in sizes:
            try:
                found = distribution(needed)
            except PackageNotFoundError:  # for another platform or Python
                continue
            sizes[needed] = _size(found)
            waiting |= _needed(found)
    return sizes


def _needed(found: Distribution) -> set[str]:
    wanted = [each for each in found.requires or [] if "extra ==" not in each]
    return {_plain(re.split(r"[\s<>=!~;(\[]", each, maxsplit=1)[0]) for each in wanted}


def _plain(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def _size(found: Distribution) -> int:
    files = [Path(str(file.locate())) for file in found.files or []]
    if not any(file.suffix == ".py" for file in files):  # an editable install: it lies elsewhere
        spec = importlib.util.find_spec(found.metadata["Name"].replace("-", "_"))
        package = Path(spec.origin).parent if spec and spec.origin else Path("nowhere")
        files += [*package.rglob("*"), *(package.parent / "models").rglob("*")]
    kept = {file for file in files if "__pycache__" not in file.parts and file.is_file()}
    return sum(file.stat().st_size for file in kept)


if __name__ == "__main__":
    print(json.dumps(closure_sizes(sys.argv[1])))

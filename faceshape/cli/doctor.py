"""``faceshape doctor``: what it runs on here, and what is wrong with that."""

import os
import platform
import re
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from importlib import import_module
from importlib.metadata import Distribution, PackageNotFoundError, distribution, distributions
from importlib.util import find_spec
from itertools import zip_longest
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING

import click

from faceshape.cli.console import put, say

if TYPE_CHECKING:
    from faceshape.vision.networks import ModelEntry

__all__ = ["doctor"]

# What is imported, where it is called otherwise than what is installed.
_MODULES = {
    "dlib-bin": "dlib",
    "opencv-python-headless": "cv2",
    "pillow": "PIL",
    "tencentcloud-sdk-python-iai": "tencentcloud",
}
_REQUIREMENT = re.compile(r"(?P<name>[\w.-]+)>=(?P<least>[\d.]+)(.*extra == .(?P<extra>\w+))?")
_DEVELOPERS_EXTRAS = ("bench", "freeze", "test", "train")
_RIVALLED = ("cv2", "dlib", "onnxruntime")  # several distributions have a module of this name
_THREAD_VARIABLES = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")


@dataclass(frozen=True, slots=True)
class Finding:
    """A line of the report.

    Attributes:
        subject: what it is about.
        says: what there is to say.
        problem: whether that is wrong.
    """

    subject: str
    says: str
    problem: bool = False


@click.command()
def doctor() -> None:
    """Print what faceshape runs on here, and what is wrong: for you, and for reports of bugs.

    Versions, execution providers, which OpenCV, threads and quotas, the models' hashes, and
    distributions that overwrite each other's files. Exits with 1 if something is wrong.
    """
    problems = []
    for finding in _examine():
        put(f"{finding.subject:20}  {'PROBLEM: ' if finding.problem else ''}{finding.says}")
        problems += [finding] if finding.problem else []
    if problems:
        say(f"{len(problems)} problem{'s' if len(problems) > 1 else ''} found")
        sys.exit(1)


def _examine() -> Iterator[Finding]:
    yield from _machine()
    yield from _packages()
    yield from _models()


def _machine() -> Iterator[Finding]:
    import faceshape
    from faceshape.processors import affinity, quota, usable_processors

    yield Finding("faceshape", f"{faceshape.__version__}, {Path(faceshape.__file__).parent}")
    python = f"{platform.python_implementation()} {platform.python_version()}, {sys.executable}"
    yield Finding("Python", python)
    yield Finding("system", platform.platform())
    granted = quota()
    yield Finding(
        "processors",
        f"{usable_processors()} may be used: {os.cpu_count()} in the machine, {affinity()} by the "
        f"affinity, {'all' if granted is None else f'{granted:g}'} by the control groups' quotas",
    )
    for name in _THREAD_VARIABLES:
        if name in os.environ:
            yield Finding(name, os.environ[name])


def _packages() -> Iterator[Finding]:
    """Compare what is required with what is there, the extras' packages included."""
    try:
        requirements = distribution("faceshape").requires or []
    except PackageNotFoundError:
        yield Finding("requirements", "unknown: faceshape runs without being installed")
        return
    everything = list(distributions())
    for match in filter(None, map(_REQUIREMENT.match, sorted(requirements))):
        name, least, _, extra = match.groups()
        if extra not in _DEVELOPERS_EXTRAS:
            module = _MODULES.get(name, name.replace("-", "_"))
            holders = _holders(module, everything)
            yield from _package(module, f"{name}>={least}", holders, extra)


def _package(
    module: str, requirement: str, holders: list[Distribution], extra: str | None
) -> Iterator[Finding]:
    if not holders and find_spec(module) is None:
        wanted = f", for faceshape[{extra}]" if extra else ""
        yield Finding(module, f"not installed ({requirement}{wanted})", problem=not extra)
        return
    held = ", ".join(f"{each.name} {each.version}" for each in holders) or "of no distribution"
    try:
        loaded = import_module(module)
        says = ", ".join([held, *_place(loaded), *_details(loaded)])
    except Exception as error:  # noqa: BLE001  # a broken installation may raise anything
        yield Finding(module, f"{held}, cannot be used: {error!r}", problem=True)
        return
    yield Finding(module, says)
    for fault in _faults(loaded, requirement, holders):
        yield Finding(module, fault, problem=True)


def _holders(module: str, everything: list[Distribution]) -> list[Distribution]:
    """Return the distributions that have installed files into a module, by name."""
    found = {
        _normal(each.name): each
        for each in everything
        if any(file.parts[0] in (module, f"{module}.py") for file in each.files or ())
    }
    return [found[name] for name in sorted(found)]


def _normal(name: str) -> str:
    return re.sub("[-_.]+", "-", name).lower()


def _faults(module: ModuleType, requirement: str, holders: list[Distribution]) -> Iterator[str]:
    """Give what is wrong with a module that can be imported."""
    name, least = requirement.split(">=")
    rivals = module.__name__ in _RIVALLED
    for holder in holders:
        if (rivals or _normal(holder.name) == _normal(name)) and _is_below(holder.version, least):
            yield f"{holder.name} {holder.version} is older than {least}, the oldest that is tested"
    if rivals and len(holders) > 1:
        names = " and ".join(holder.name for holder in holders)
        yield f"{names} overwrite each other's files: uninstall all of them, then install one"
    elif rivals and holders and not holders[0].version.startswith(module.__version__):
        yield (
            f"the files are of version {module.__version__}: those of {holders[0].name} "
            f"{holders[0].version} were overwritten, install it again"
        )


def _is_below(version: str, least: str) -> bool:
    pairs = zip_longest(*(map(int, re.findall(r"\d+", each)) for each in (version, least)))
    there, wanted = next((pair for pair in pairs if pair[0] != pair[1]), (0, 0))
    return (there or 0) < (wanted or 0)


def _place(module: ModuleType) -> Iterator[str]:
    if module.__file__:  # a namespace has none
        yield str(Path(module.__file__).parent)


def _details(module: ModuleType) -> Iterator[str]:
    match module.__name__:
        case "cv2":
            way = re.search(r"Parallel framework:\s*(\S+)", module.getBuildInformation())
            yield f"cv2 {module.__version__}"
            yield f"{way[1] if way else 'no'} threads: {module.getNumThreads()}"
        case "onnxruntime":
            yield f"onnxruntime {module.__version__}"
            yield f"providers {' '.join(module.get_available_providers())}"
            off = os.environ.get("ORT_DISABLE_TELEMETRY") == "1"
            yield f"telemetry {'off' if off else 'may be on'}"


def _models() -> Iterator[Finding]:
    from faceshape.errors import FaceShapeError

    try:
        from faceshape.vision.networks import manifest

        entries = manifest()
    except (FaceShapeError, ImportError) as error:
        yield Finding("models", str(error), problem=True)
        return
    yield from (_model(name, entry) for name, entry in entries.items())


def _model(name: str, entry: "ModelEntry") -> Finding:
    from faceshape.errors import ModelError
    from faceshape.vision.networks import verified_bytes

    try:
        verified_bytes(entry)
    except ModelError as error:
        return Finding(f"model {name}", str(error), problem=True)
    return Finding(f"model {name}", f"SHA-256 {entry.sha256}, as the manifest says")

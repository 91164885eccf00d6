"""Millions of pictures: chunks of paths, each a task that writes one Parquet file.

Needs the extra ``arrow``; ``ray`` for clusters. Nothing else in the package knows either.
"""

from faceshape.fleet.chunks import ChunkReport, pending, plan, read_run, run_chunk, status
from faceshape.fleet.engines import on_local, on_ray
from faceshape.fleet.predictor import FaceShapePredictor
from faceshape.fleet.settings import FleetSettings

__all__ = [
    "ChunkReport",
    "FaceShapePredictor",
    "FleetSettings",
    "on_local",
    "on_ray",
    "pending",
    "plan",
    "read_run",
    "run_chunk",
    "status",
]

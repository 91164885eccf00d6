"""The answers as Arrow tables, and how they are written as Parquet.

The schema is explicit: without one a file in which no face was found would have lists of nothing,
and could not be read together with the others.
"""

import json
from collections.abc import Sequence
from functools import cache
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

import faceshape
from faceshape.fleet.sandbox import PictureAnswer
from faceshape.fleet.settings import FleetSettings
from faceshape.vision.networks import manifest

__all__ = ["SPARK_SCHEMA", "answer_schema", "for_spark", "to_table", "write_parquet"]

# Coordinates are rounded to this, which compresses to a third and is far below their error.
_STEPS_PER_PIXEL = 32

_FACE = pa.struct(
    [
        pa.field("points", pa.list_(pa.float32(), 180)),
        pa.field("box", pa.list_(pa.float32(), 4)),
        pa.field("score", pa.float32()),
        pa.field("presence", pa.float32()),
        pa.field("roll", pa.float32()),
        pa.field("pose", pa.list_(pa.float32(), 3)),
    ]
)
_COLUMNS = [
    pa.field("path", pa.string()),
    pa.field("image_width", pa.int32()),
    pa.field("image_height", pa.int32()),
    pa.field("error_code", pa.string()),
    pa.field("error_message", pa.string()),
    pa.field("faces", pa.list_(_FACE)),
]
_RESPONSE = pa.field("response", pa.string())
_FLOATS = [
    f"faces.list.element.{name}"
    for name in (
        "points.list.element",
        "box.list.element",
        "score",
        "presence",
        "roll",
        "pose.list.element",
    )
]

SPARK_SCHEMA = (
    "path string, image_width int, image_height int, error_code string, error_message string, "
    "faces array<struct<points: array<float>, box: array<float>, score: float, presence: float, "
    "roll: float, pose: array<float>>>"
)
"""The columns in Spark's words; with `cloud_json` add ``, response string``."""


def answer_schema(settings: FleetSettings) -> pa.Schema:
    """Return the columns of the answers; their metadata tell what they were made with.

    ``path``; ``image_width`` and ``image_height`` of the upright picture, null if it could not be
    read; ``error_code``, the cloud's, and ``error_message``, null if all was well; ``faces``, the
    largest first, each with ``points`` (x, y of the 90 points, pixels), ``box`` (x0 y0 x1 y1),
    ``score``, ``presence``, ``roll`` and ``pose`` (yaw, pitch, roll in degrees).
    """
    columns = [*_COLUMNS, _RESPONSE] if settings.cloud_json else _COLUMNS
    return pa.schema(columns, metadata=_metadata(settings))


@cache
def _metadata(settings: FleetSettings) -> dict[str, str]:
    models = {name: entry.sha256 for name, entry in manifest().items()}
    return {
        "faceshape.version": faceshape.__version__,
        "faceshape.settings": settings.to_json(),
        "faceshape.models": json.dumps(models, sort_keys=True),
    }


def to_table(
    paths: Sequence[str | None], answers: Sequence[PictureAnswer], settings: FleetSettings
) -> pa.Table:
    """Return the answers as a table with a row for each, in their order."""
    counts = [len(answer.scores) for answer in answers]
    faces = pa.StructArray.from_arrays(
        [
            _lists([_rounded(answer.points) for answer in answers], 180),
            _lists([_rounded(answer.boxes) for answer in answers], 4),
            _numbers([answer.scores for answer in answers]),
            _numbers([answer.presence for answer in answers]),
            _numbers([answer.roll for answer in answers]),
            _lists([answer.pose for answer in answers], 3),
        ],
        fields=list(_FACE),
    )
    offsets = pa.array(np.concatenate([[0], np.cumsum(counts, dtype=np.int32)]), pa.int32())
    columns: list[Any] = [
        pa.array(paths, pa.string()),
        pa.array([answer.size and answer.size[0] for answer in answers], pa.int32()),
        pa.array([answer.size and answer.size[1] for answer in answers], pa.int32()),
        pa.array([answer.error and answer.error[0] for answer in answers], pa.string()),
        pa.array([answer.error and answer.error[1] for answer in answers], pa.string()),
        pa.ListArray.from_arrays(offsets, faces),
    ]
    if settings.cloud_json:
        columns.append(pa.array([answer.response for answer in answers], pa.string()))
    return pa.Table.from_arrays(columns, schema=answer_schema(settings))


def write_parquet(table: pa.Table, sink: Any) -> None:
    """Write answers: zstd, floats split into their bytes, which they compress by."""
    pq.write_table(
        table,
        sink,
        compression="zstd",
        use_dictionary=["error_code", "error_message"],
        use_byte_stream_split=_FLOATS,
    )


def for_spark(table: pa.Table) -> pa.Table:
    """Return answers with lists of any length: Spark refuses those of a fixed one."""
    loose = pa.struct([pa.field(f.name, _loose(f.type)) for f in _FACE])
    place = table.schema.get_field_index("faces")
    faces = table.column(place).cast(pa.list_(loose))
    return table.set_column(place, pa.field("faces", pa.list_(loose)), faces)


def _loose(kind: pa.DataType) -> pa.DataType:
    return pa.list_(kind.value_type) if pa.types.is_fixed_size_list(kind) else kind


def _rounded(values: NDArray[np.float32]) -> NDArray[np.float32]:
    rounded: NDArray[np.float32] = np.round(values * _STEPS_PER_PIXEL) / np.float32(
        _STEPS_PER_PIXEL
    )
    return rounded


def _numbers(parts: Sequence[NDArray[np.float32]]) -> pa.Array:
    empty = np.empty(0, np.float32)
    return pa.array(np.concatenate([empty, *(part.ravel() for part in parts)]), pa.float32())


def _lists(parts: Sequence[NDArray[np.float32]], length: int) -> pa.Array:
    return pa.FixedSizeListArray.from_arrays(_numbers(parts), length)

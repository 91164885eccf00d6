"""A callable for pipelines of others: Ray Data, Spark, Dask, or a loop over Arrow batches."""

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Any, cast

import pyarrow as pa

from faceshape.errors import ParameterError
from faceshape.fleet.sandbox import Picture, Sandbox
from faceshape.fleet.schema import for_spark, to_table
from faceshape.fleet.settings import FleetSettings

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["FaceShapePredictor"]


class FaceShapePredictor:
    """Batches with a column ``path`` or ``bytes`` in, answers out, a row for each.

    The pictures are decoded and analysed in a child process on one thread. A picture that cannot be
    read, crashes the child, takes too long or needs too much memory is a row with an error. A
    predictor may be pickled; the child is not. Close it, or use it in a ``with``.
    """

    def __init__(self, settings: FleetSettings | None = None) -> None:
        """Take how pictures are analysed; None is the default."""
        self._settings = settings or FleetSettings()
        self._sandbox = Sandbox(self._settings)

    def __call__(self, batch: pa.Table | pa.RecordBatch) -> pa.Table:
        """Answer a batch.

        Args:
            batch: with a column ``path`` of local paths, or ``bytes`` of picture files; with both
                the bytes are read, and the path is repeated in the answer. Others are ignored.

        Returns:
            The columns of `faceshape.fleet.schema.answer_schema`, rows in the order of the batch.

        Raises:
            ParameterError: neither column is there, or one has a null.
            FaceShapeError: the child cannot start.
        """
        names = batch.schema.names
        if "path" not in names and "bytes" not in names:
            raise ParameterError(f"a batch needs a column path or bytes; it has {names}")
        paths = batch.column("path").to_pylist() if "path" in names else [None] * len(batch)
        pictures = batch.column("bytes").to_pylist() if "bytes" in names else paths
        if any(picture is None for picture in pictures):
            raise ParameterError("a picture is null")
        answers = [self._sandbox.analyze(cast("Picture", picture)) for picture in pictures]
        return to_table(paths, answers, self._settings)

    def map_in_arrow(self, batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        """Answer batches for Spark's ``mapInArrow`` (`faceshape.fleet.schema.SPARK_SCHEMA`)."""
        for batch in batches:
            yield from for_spark(self(batch)).combine_chunks().to_batches()

    def map_frame(self, frame: "pd.DataFrame") -> "pd.DataFrame":
        """Answer a pandas frame, for Dask's ``map_partitions``; the index stays."""
        answers = self(pa.Table.from_pandas(frame, preserve_index=False)).to_pandas()
        answers.index = frame.index
        return answers

    def close(self) -> None:
        """End the child process."""
        self._sandbox.close()

    def __enter__(self) -> "FaceShapePredictor":
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()

    def __getstate__(self) -> FleetSettings:
        return self._settings

    def __setstate__(self, state: Any) -> None:
        self.__init__(state)  # type: ignore[misc]  # the child is not carried over: a new one

"""What became of one picture of a batch.

A response goes from the worker to the file as JSON, which is read only where somebody looks into
it.
"""

import json
import uuid
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from faceshape.tencent.api import Response

__all__ = ["BatchResult"]


@dataclass(frozen=True)
class BatchResult:
    """What became of one picture.

    Attributes:
        path: as it was given.
        json: AnalyzeFace's response as JSON, ASCII. Its RequestId depends on the path alone: the
            UUID of version 5 in the namespace of URLs, so that equal runs answer equally.
        detail: what exactly was wrong, in English; empty if nothing was.
        face_count: how many faces the response has.
        error: the cloud's error code, or None.
    """

    path: str
    json: str
    detail: str
    face_count: int
    error: str | None

    @classmethod
    def of(cls, path: str, response: "Response", detail: str = "") -> "BatchResult":
        """Return the result for a path, which alone gives the response its RequestId."""
        # File names may contain bytes that are no text; these have no UTF-8.
        name = path.encode("utf-8", "backslashreplace").decode("utf-8")
        body = {**response["Response"], "RequestId": str(uuid.uuid5(uuid.NAMESPACE_URL, name))}
        faces, error = body.get("FaceShapeSet", ()), body.get("Error", {}).get("Code")
        return cls(path, json.dumps({"Response": body}), detail, len(faces), error)

    @cached_property
    def response(self) -> "Response":
        """AnalyzeFace's response, ``{"Response": {...}}``."""
        response: Response = json.loads(self.json)
        return response

    @property
    def faces(self) -> list[dict[str, list[dict[str, int]]]]:
        """The response's FaceShapeSet, the largest face first; empty if there is an error."""
        shapes: list[dict[str, list[dict[str, int]]]]
        shapes = self.response["Response"].get("FaceShapeSet", [])
        return shapes

"""A stand-in for the SDK's ``IaiClient`` that answers on the device."""

from collections.abc import Callable
from typing import Any

from faceshape.tencent.api import Engine, Response, analyze_face, detect_face
from faceshape.tencent.fetch import FetchPolicy
from faceshape.tencent.models import (
    AnalyzeFaceResponse,
    DetectFaceResponse,
    TencentCloudSDKException,
)

__all__ = ["IaiClient"]


class IaiClient:
    """Like ``tencentcloud.iai.v20200303.iai_client.IaiClient``, for AnalyzeFace and DetectFace.

    Takes and returns the SDK's models where the SDK is installed, and those of
    `faceshape.tencent.models` in any case. Safe to share between threads.
    """

    def __init__(
        self,
        credential: object = None,
        region: object = None,
        profile: object = None,
        *,
        engine: Engine | None = None,
        urls: FetchPolicy | None = None,
    ) -> None:
        """Take what the SDK's client takes, and what is asked of the device.

        Args:
            credential: kept, not used: nothing leaves the machine.
            region: kept, not used.
            profile: its language is that of the error messages; nothing else of it is used.
            engine: as for `faceshape.tencent.analyze_face`.
            urls: as for `faceshape.tencent.analyze_face`.
        """
        self.credential = credential
        self.region = region
        self.profile = profile
        self._engine = engine
        self._urls = urls

    def AnalyzeFace(self, request: Any) -> Any:
        """Find the faces of a picture and their 90 points.

        Args:
            request: an ``AnalyzeFaceRequest``.

        Returns:
            An ``AnalyzeFaceResponse``.

        Raises:
            TencentCloudSDKException: with the cloud's code, message and a request id.
        """
        return self._call(analyze_face, request, AnalyzeFaceResponse())

    def DetectFace(self, request: Any) -> Any:
        """Find the faces of a picture and their rectangles; see `faceshape.tencent.detect_face`.

        Args:
            request: a ``DetectFaceRequest``.

        Returns:
            A ``DetectFaceResponse``.

        Raises:
            TencentCloudSDKException: with the cloud's code, message and a request id.
        """
        return self._call(detect_face, request, DetectFaceResponse())

    def _call(self, action: Callable[..., Response], request: Any, response: Any) -> Any:
        """Return the response with what an action answers to a request in it."""
        try:
            params = request._serialize()
        except AttributeError as error:  # what the SDK makes of it
            raise TencentCloudSDKException("AttributeError", str(error)) from error
        params["Language"] = getattr(self.profile, "language", None)
        answer = action(params, self._engine, self._urls)["Response"]
        if "Error" in answer:
            failure = answer["Error"]
            raise TencentCloudSDKException(failure["Code"], failure["Message"], answer["RequestId"])
        response._deserialize(answer)
        return response

"""Every error that faceshape raises on purpose: one tree, each class with the cloud's code.

What the cloud says of a code, in its two languages, is in `faceshape.tencent.error_codes`.
"""

import os
from typing import ClassVar

__all__ = [
    "DownloadError",
    "EmptyImageError",
    "FaceModelVersionError",
    "FaceShapeError",
    "ImageDecodeError",
    "ImageError",
    "ImageFileError",
    "ImageFileIsFolderError",
    "ImageFileMissingError",
    "ImageFilePermissionError",
    "ImageResolutionError",
    "ImageSizeError",
    "ImageTooSmallError",
    "MissingModelsError",
    "MissingParameterError",
    "ModelError",
    "NoFaceError",
    "ParameterError",
    "ShapeError",
    "TopologyError",
    "UrlError",
]


class FaceShapeError(Exception):
    """The base of all errors of this package.

    Attributes:
        code: the code that AnalyzeFace answers with in this case (API document, section 6).
        detail: what exactly was wrong, in English; may be empty.
    """

    code: ClassVar[str] = "FailedOperation.ServerError"

    def __init__(self, detail: str = "") -> None:
        super().__init__(detail)
        self.detail = detail

    def __str__(self) -> str:
        return self.detail or self.code


class ParameterError(FaceShapeError, ValueError):
    """An argument has a value or a type that is not allowed."""

    code = "InvalidParameter.InvalidParameter"


class ShapeError(ParameterError):
    """An array does not have the shape or the type that was asked for."""


class MissingParameterError(ParameterError):
    """A required parameter is absent."""

    code = "MissingParameter.ErrorParameterEmpty"


class FaceModelVersionError(ParameterError):
    """The face model version is neither "2.0" nor "3.0"."""

    code = "InvalidParameterValue.FaceModelVersionIllegal"


class TopologyError(ParameterError):
    """A topology is unknown, malformed, or cannot do what was asked of it."""


class ModelError(FaceShapeError):
    """A model is missing, is not the one the manifest names, or failed to run."""


class MissingModelsError(ModelError, FileNotFoundError):
    """The folder of the models is not there: the installation is incomplete."""


class ImageError(FaceShapeError):
    """The base of everything that can be wrong with a picture."""

    code = "FailedOperation.ImageDecodeFailed"


class ImageDecodeError(ImageError):
    """The picture is of a format that is not taken here, truncated or corrupt."""


class ImageFileError(ImageError, OSError):
    """The file of a picture cannot be read from the disk.

    Attributes:
        errno, filename: as of every OSError; None if not known.
    """

    def __init__(
        self, detail: str = "", errno: int | None = None, filename: str | None = None
    ) -> None:
        super().__init__(detail)
        self.errno, self.filename = errno, filename
        self.strerror = None if errno is None else os.strerror(errno)

    def __reduce__(self) -> tuple[type, tuple[str, int | None, str | None]]:
        return type(self), (self.detail, self.errno, self.filename)


class ImageFileMissingError(ImageFileError, FileNotFoundError):
    """There is no file of that name."""


class ImageFileIsFolderError(ImageFileError, IsADirectoryError):
    """A folder, where the file of a picture was asked for."""


class ImageFilePermissionError(ImageFileError, PermissionError):
    """The file of a picture may not be read."""


class EmptyImageError(ImageError):
    """There is not a single byte or pixel of a picture."""

    code = "InvalidParameterValue.ImageEmpty"


class ImageSizeError(ImageError):
    """The picture has more bytes than allowed."""

    code = "FailedOperation.ImageSizeExceed"


class ImageResolutionError(ImageError):
    """The picture has more pixels than allowed."""

    code = "FailedOperation.ImageResolutionExceed"


class ImageTooSmallError(ImageError):
    """The picture's short side is below the limit."""

    code = "FailedOperation.ImageResolutionTooSmall"


class UrlError(ImageError, ValueError):
    """The address of a picture is not an acceptable http or https URL."""

    code = "InvalidParameterValue.UrlIllegal"


class DownloadError(ImageError):
    """A picture could not be downloaded."""

    code = "FailedOperation.ImageDownloadError"


class NoFaceError(FaceShapeError):
    """There is no face in the picture."""

    code = "InvalidParameterValue.NoFaceInPhoto"

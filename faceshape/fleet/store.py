"""Where pictures and answers lie: a local folder, or anything that pyarrow or fsspec opens.

A place is a path or a URI: ``photos/``, ``s3://bucket/photos``, ``gs://bucket/photos``.
"""

import io
import os
import time
import uuid
from collections.abc import Iterator
from functools import cache
from pathlib import PurePosixPath
from typing import Any

import pyarrow as pa
import pyarrow.fs as pafs
import pyarrow.parquet as pq

from faceshape.errors import DownloadError, FaceShapeError

__all__ = ["Place", "StoreError", "download", "is_local", "read_picture_names"]

_ATTEMPTS = 3
_BACK_OFF_SECONDS = 0.5


class StoreError(FaceShapeError):
    """A place cannot be read or written."""


def is_local(place: str) -> bool:
    """Return whether a place is a path of this machine."""
    return "://" not in place


class Place:
    """A folder or a file, wherever it lies."""

    def __init__(self, where: str) -> None:
        """Open the file system; one for each bucket is kept.

        Raises:
            StoreError: there is no such kind of place, or it cannot be reached.
        """
        self.where = where
        self._files, self._path = _file_system(where)

    def child(self, name: str) -> "Place":
        """Return what lies below."""
        return Place(f"{self.where.rstrip('/')}/{name}")

    def exists(self) -> bool:
        """Return whether there is a file or a folder."""
        return bool(self._info().type != pafs.FileType.NotFound)

    def is_folder(self) -> bool:
        """Return whether it is a folder."""
        return bool(self._info().type == pafs.FileType.Directory)

    def files(self) -> dict[str, float | None]:
        """Return what lies directly in a folder, if it is there: name → when it was written.

        The time is in seconds since 1970; None if the store does not tell.

        Raises:
            StoreError: the folder cannot be listed.
        """
        found = self._listed(pafs.FileSelector(self._path, allow_not_found=True))
        return {
            PurePosixPath(info.path).name: info.mtime and info.mtime.timestamp() for info in found
        }

    def read(self) -> bytes:
        """Return a file's bytes.

        Raises:
            OSError: it is not there, or cannot be read.
        """
        with self._files.open_input_stream(self._path) as stream:
            return bytes(stream.read())

    def open_input(self) -> Any:
        """Return a file to read from anywhere in it.

        Raises:
            OSError: it is not there, or cannot be read.
        """
        return self._files.open_input_file(self._path)

    def write(self, content: bytes) -> None:
        """Write a file so that it is there as a whole or not at all.

        Raises:
            StoreError: it cannot be written; nothing is left behind.
        """
        local = isinstance(self._files, pafs.LocalFileSystem)
        # Object stores show an object when it is complete; a local file is given its name then.
        # The name on the way is nobody else's: two may write the same file at a time. It begins
        # with a dot: who reads the folder passes over what a killed writer leaves.
        folder, name = PurePosixPath(self._path).parent, PurePosixPath(self._path).name
        path = str(folder / f".{name}.{uuid.uuid4().hex}") if local else self._path
        try:
            self._files.create_dir(str(folder), recursive=True)
            with self._files.open_output_stream(path) as stream:
                stream.write(content)
            if local:
                self._files.move(path, self._path)
        except OSError as error:
            if local and self._files.get_file_info(path).type == pafs.FileType.File:
                self._files.delete_file(path)
            raise StoreError(f"cannot write {self.where}: {error}") from error

    def walk(self) -> Iterator[str]:
        """Give the places of all files below a folder, folder by folder, each sorted by name.

        Raises:
            StoreError: a folder cannot be listed.
        """
        folders = [self._path]
        prefix = "" if is_local(self.where) else self.where.partition("://")[0] + "://"
        while folders:
            found = sorted(
                self._listed(pafs.FileSelector(folders.pop())), key=lambda info: str(info.path)
            )
            yield from (prefix + f.path for f in found if f.type == pafs.FileType.File)
            folders += [f.path for f in reversed(found) if f.type == pafs.FileType.Directory]

    def _info(self) -> pafs.FileInfo:
        try:
            return self._files.get_file_info(self._path)
        except OSError as error:
            raise StoreError(f"cannot look at {self.where}: {error}") from error

    def _listed(self, selector: pafs.FileSelector) -> list[pafs.FileInfo]:
        try:
            return list(self._files.get_file_info(selector))
        except OSError as error:
            raise StoreError(f"cannot list {selector.base_dir}: {error}") from error


def download(where: str) -> bytes:
    """Return the bytes of a remote picture; what may come back is asked for again, later each time.

    Raises:
        DownloadError: it is not there, or could not be had.
    """
    for attempt in range(_ATTEMPTS):
        try:
            return Place(where).read()
        except FileNotFoundError as error:
            raise DownloadError(f"{where} is not there") from error
        except (OSError, StoreError) as error:
            why = error
        if attempt + 1 < _ATTEMPTS:
            time.sleep(_BACK_OFF_SECONDS * 2**attempt)
    raise DownloadError(f"{where} could not be downloaded: {why}") from why


def read_picture_names(inventory: Place) -> Iterator[str]:
    """Give the places that an inventory names: Parquet's column ``path``, or text, one on a line.

    Raises:
        StoreError: the file cannot be read.
    """
    try:
        if inventory.where.endswith(".parquet"):
            for batch in pq.ParquetFile(inventory.open_input()).iter_batches(columns=["path"]):
                yield from batch.column("path").to_pylist()
        else:
            for line in io.BufferedReader(inventory.open_input()):
                if name := line.decode("utf-8-sig").strip("\r\n"):
                    yield name
    except (OSError, UnicodeError, pa.ArrowException) as error:
        raise StoreError(f"cannot read {inventory.where}: {error}") from error


def _file_system(where: str) -> tuple[pafs.FileSystem, str]:
    if is_local(where):
        return pafs.LocalFileSystem(), os.path.abspath(where)  # noqa: PTH100  # of links, too
    scheme, _, rest = where.partition("://")
    if scheme == "file":
        return pafs.LocalFileSystem(), rest
    bucket, _, inside = rest.partition("/")
    files, root = _bucket(scheme, bucket)
    return files, f"{root}/{inside}".rstrip("/")


@cache
def _bucket(scheme: str, bucket: str) -> tuple[pafs.FileSystem, str]:
    where = f"{scheme}://{bucket}"
    try:
        return pafs.FileSystem.from_uri(where)  # type: ignore[no-any-return]
    except pa.ArrowInvalid:
        pass  # not one of pyarrow's own
    except OSError as error:
        raise StoreError(f"cannot open {where}: {error}") from error
    try:
        import fsspec

        return pafs.PyFileSystem(pafs.FSSpecHandler(fsspec.filesystem(scheme))), bucket
    except (ImportError, ValueError) as error:
        raise StoreError(f"cannot open {where}: {error}") from error

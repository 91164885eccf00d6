"""Which pictures a batch is about: those of folders, patterns and lists."""

import codecs
import locale
import os
import re
import stat
import sys
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from importlib.util import find_spec
from pathlib import Path

__all__ = ["PICTURE_SUFFIXES", "Pictures", "find_pictures", "parse_list"]

_ALWAYS_READ = (
    ".avif",
    ".bmp",
    ".gif",
    ".jfif",
    ".jpe",
    ".jpeg",
    ".jpg",
    ".png",
    ".tif",
    ".tiff",
    ".webp",
)
_PHONES = (".heic", ".heif")  # need the extra `heif`
PICTURE_SUFFIXES = _ALWAYS_READ + (_PHONES if find_spec("pillow_heif") else ())
"""What is taken for a picture in a folder, in upper or lower case."""

_WILDCARDS = re.compile(r"[*?\[]")
# The longer ones first: that of UTF-32 begins with that of UTF-16.
_BYTE_ORDER_MARKS = (
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF32_LE, "utf-32-le"),
    (codecs.BOM_UTF32_BE, "utf-32-be"),
    (codecs.BOM_UTF16_LE, "utf-16-le"),
    (codecs.BOM_UTF16_BE, "utf-16-be"),
)


@dataclass(slots=True)
class Pictures:
    """What was found.

    Attributes:
        paths: the pictures.
        skipped: how many files of folders were left out, by extension, ".txt" for example; and
            "without extension", "link to a folder", "neither file nor folder".
        unreadable: folders that could not be read, each with the reason.
    """

    paths: list[str] = field(default_factory=list)
    skipped: Counter[str] = field(default_factory=Counter)
    unreadable: list[str] = field(default_factory=list)


def find_pictures(sources: Iterable[str]) -> Pictures:
    """Return the files that sources stand for, in the order of the sources, each path once.

    Args:
        sources: files; folders, which stand for all the pictures in them and in the folders below,
            sorted, links to folders left out; or patterns with ``*``, ``?``, ``[…]`` or ``**``.
            Brackets in names that are there are just brackets.

    Raises:
        FileNotFoundError: there is no such file, and no file that fits the pattern.
        OSError: a file or folder can not be reached.
    """
    found = Pictures()
    for source in sources:
        if source and stat.S_ISDIR(_mode(Path(source))):
            found.paths += map(str, sorted(_walk(Path(source), found)))
        elif source and _is_there(source):
            found.paths.append(source)
        else:
            found.paths += _fitting(source)
    found.paths = list(dict.fromkeys(found.paths))
    return found


def parse_list(content: bytes) -> list[str]:
    """Return the paths of a list: one on a line, or ended by NUL as by ``find -print0``.

    Text is UTF-8, or UTF-16 or UTF-32 with or without a byte order mark, as PowerShell writes it.
    Bytes that are none of these stand for themselves, as they do in names of files.

    Raises:
        UnicodeError: UTF-16 or UTF-32 is announced but not what follows.
    """
    text = _decode(content)
    lines = re.split(r"\0" if "\0" in text else r"[\r\n]", text)
    # Lists that were put together have their byte order marks in between.
    return [name for line in lines if (name := line.removeprefix("\ufeff"))]


def _is_there(path: str) -> bool:
    try:
        Path(path).stat()
    except (FileNotFoundError, NotADirectoryError, ValueError):
        return False
    except OSError:
        if _WILDCARDS.search(path):  # a pattern may be longer than a name
            return False
        raise
    return True


def _mode(path: Path) -> int:
    """Return what kind of file is there, as in `stat`; 0 if there is none."""
    try:
        return path.stat().st_mode
    except (OSError, ValueError):
        return 0


def _walk(top: Path, found: Pictures) -> Iterator[Path]:
    """Return the pictures below a folder; note what is left out."""
    folders = [top]
    while folders:
        folder = folders.pop()
        try:
            with os.scandir(folder) as entries:
                for entry in entries:
                    if entry.is_dir(follow_symlinks=False):
                        folders.append(folder / entry.name)
                    elif reason := _reason_to_skip(entry):
                        found.skipped[reason] += 1
                    else:
                        yield folder / entry.name
        except OSError as error:
            found.unreadable.append(f"{folder}: {error.strerror}")


def _reason_to_skip(entry: "os.DirEntry[str]") -> str:
    try:
        mode = entry.stat().st_mode
    except OSError:  # a link to nowhere, for example: its answer will say so
        mode = stat.S_IFREG
    if stat.S_ISDIR(mode):
        return "link to a folder"
    if not entry.name.lower().endswith(PICTURE_SUFFIXES):
        return Path(entry.name).suffix.lower() or "without extension"
    # Who reads a pipe waits for somebody to write into it.
    return "" if stat.S_ISREG(mode) else "neither file nor folder"


def _fitting(pattern: str) -> list[str]:
    """Return the files that fit a pattern, sorted."""
    there, rest = _split_pattern(Path(pattern))
    literal = rest.replace("[", "[[]")  # also behind a wildcard, brackets may be just brackets
    for attempt in (rest, literal):
        if not attempt:
            continue
        # pathlib's does not follow links in **, where two that lead upwards would never end.
        matches = sorted(
            str(match)
            for match in there.glob(f"{attempt}/*" if attempt.endswith("**") else attempt)
            if stat.S_ISREG(_mode(match)) and _is_shown(match.relative_to(there), attempt)
        )
        if matches:
            return matches
    raise FileNotFoundError(f"{pattern!r} does not exist, and no file fits it as a pattern")


def _split_pattern(pattern: Path) -> tuple[Path, str]:
    """Return the folder that a pattern begins with, brackets and all, and what follows."""
    there, parts = Path(pattern.anchor), list(pattern.parts[bool(pattern.anchor) :])
    while parts and ("[" in parts[0] or not _WILDCARDS.search(parts[0])):
        if not stat.S_ISDIR(_mode(there / parts[0])):
            break
        there /= parts.pop(0)
    # pathlib refuses ** beside other characters, where it means no more than *.
    return there, "/".join(part if part == "**" else re.sub(r"\*+", "*", part) for part in parts)


def _is_shown(match: Path, pattern: str) -> bool:
    """Say whether no part is hidden, unless the pattern names hidden ones, as shells do."""
    return "." in {part[0] for part in pattern.split("/") if part} or not any(
        part.startswith(".") for part in match.parts
    )


def _decode(content: bytes) -> str:
    for mark, encoding in _BYTE_ORDER_MARKS:
        if content.startswith(mark):
            return content[len(mark) :].decode(encoding, _error_handler(encoding))
    # No name has NULs, but letters such as those of ".jpg" have them in UTF-16: every second byte.
    if re.search(rb"\0[^\0]\0[^\0]\0", content):
        little_endian = content[1::2].count(0) > content[::2].count(0)
        encoding = "utf-16-le" if little_endian else "utf-16-be"
        return content.decode(encoding, _error_handler(encoding))
    try:
        return content.decode("utf-8")
    except UnicodeDecodeError:
        if os.name == "nt":  # names of files are text there: that of the system's own code page
            return content.decode(locale.getpreferredencoding(False), "replace")
        return content.decode("utf-8", "surrogateescape")


def _error_handler(encoding: str) -> str:
    if encoding == "utf-8":
        return sys.getfilesystemencodeerrors()
    return "surrogatepass"  # names on Windows may have halves of characters

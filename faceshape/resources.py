"""Where the package's own data files are: the weights and the topologies."""

from functools import cache
from pathlib import Path

from faceshape.errors import MissingModelsError

__all__ = ["models_directory"]


@cache
def models_directory() -> Path:
    """Return the folder that holds ``manifest.json``, the weights and ``topologies/``.

    A wheel carries the folder inside the package; a source tree and an editable install have
    it at the top of the repository.

    Raises:
        MissingModelsError: the installation is incomplete.
    """
    package = Path(__file__).resolve().parent
    for candidate in (package / "_models", package.parent / "models"):
        if (candidate / "topologies").is_dir():
            return candidate
    raise MissingModelsError(f"faceshape's model folder is missing beside {package}")

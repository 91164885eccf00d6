"""What PyInstaller asks for when a program that imports faceshape is frozen (``pyinstaller40``)."""

from pathlib import Path

__all__ = ["hook_directories"]


def hook_directories() -> list[str]:
    """Return where the hook is."""
    return [str(Path(__file__).parent)]

"""What the cloud limits (API documents, section 2); the engine itself takes more."""

from faceshape.vision.limits import ImageLimits

__all__ = ["DOCUMENT_LIMITS", "MOST_DETECTED_FACES", "MOST_FACES"]

DOCUMENT_LIMITS = ImageLimits(
    base64_characters=5 * 1024 * 1024,
    long_side_jpeg=4000,
    long_side_other=2000,
    short_side=64,
    pixels=4000 * 4000,
    formats=("JPEG", "PNG", "BMP"),
)
"""Of a picture."""

MOST_FACES = 10
"""How many faces AnalyzeFace answers at most."""

MOST_DETECTED_FACES = 120
"""How many faces DetectFace answers at most."""

"""The README's script for the official SDK, beside a server with a real engine."""

import re
import subprocess
import sys
from pathlib import Path

from PIL import Image

README = Path(__file__).parents[3] / "faceshape" / "tencent" / "README.md"
COUNTS = (
    "{'FaceProfile': 21, 'LeftEye': 8, 'RightEye': 8, 'LeftEyeBrow': 8, 'RightEyeBrow': 8, "
    "'Mouth': 22, 'Nose': 13, 'LeftPupil': 1, 'RightPupil': 1}"
)


def test_the_sdks_script_prints_what_the_readme_says(serving, settings, engine, portrait, tmp_path):
    [script] = re.findall(r"```python\n(import asyncio\n.*?)```", README.read_text("utf-8"), re.S)
    Image.fromarray(portrait).save(tmp_path / "photo.jpg")
    with serving(settings, engine) as port:
        run = subprocess.run(
            [sys.executable, "-c", script.replace("8360", str(port)), "photo.jpg"],
            cwd=tmp_path,
            capture_output=True,
            text=True,
            timeout=120,
        )
    assert run.stderr == ""
    names = ("TC3-HMAC-SHA256", "HmacSHA256", "async")
    assert run.stdout.splitlines() == [f"{name} {COUNTS}" for name in names]

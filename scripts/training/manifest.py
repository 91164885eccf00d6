"""Where the models are, and how what is known of one gets into their manifest."""

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

MODELS = Path(__file__).resolve().parents[2] / "models"


def record(name: str, path: Path, facts: Mapping[str, Any]) -> None:
    """Enter a model's file and what is known of it into the manifest."""
    manifest_path = MODELS / "manifest.json"
    manifest = json.loads(manifest_path.read_text(encoding="utf-8"))
    content = path.read_bytes()
    file_facts = {
        "file": path.name,
        "sha256": hashlib.sha256(content).hexdigest(),
        "bytes": len(content),
    }
    manifest["models"][name] = manifest["models"].get(name, {}) | file_facts | facts
    text = json.dumps(manifest, indent=2, ensure_ascii=False) + "\n"
    manifest_path.write_text(text, encoding="utf-8")

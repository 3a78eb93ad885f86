"""The sample library with the sidecars and databases of other tools, and what its truth says of it."""

import json
import os
import shutil
from pathlib import Path
from typing import Any

SIDECAR_SAMPLE = Path(__file__).parent / "samples" / "sidecars"
TRUTH: dict[str, Any] = json.loads((SIDECAR_SAMPLE / "truth.json").read_bytes())


def copied_sidecar_sample(to: Path) -> Path:
    """Copy `models/` and `tools/` of the sample into a folder, with the times that the models had; return it."""
    for name in ("models", "tools"):
        shutil.copytree(SIDECAR_SAMPLE / name, to / name)
    for model in TRUTH["models"]:
        os.utime(to / "models" / model["path"], ns=(model["mtime_ns"], model["mtime_ns"]))
    return to

"""What the README tells whoever writes a client is what a shell and curl get."""

import os
import re
import subprocess
from pathlib import Path

from tests.daemon_process import DaemonProcess
from tests.image_files import png
from tests.libraries import put, safetensors
from tests.programs import needs

README = Path(__file__).parents[2] / "README.md"


def commands() -> list[str]:
    """Return the command lines of the section for clients."""
    section = README.read_text().partition("## For those who write a client\n")[2].partition("\n## ")[0]
    blocks = re.findall(r"```console\n(.*?)```", section, re.DOTALL)
    return [line.removeprefix("$ ") for block in blocks for line in block.splitlines()]


@needs("curl")
def test_every_example_for_clients_does_what_is_said_of_it(
    tmp_path: Path, models: Path, daemon: DaemonProcess
) -> None:
    file = put(models / "loras" / "hero.safetensors", safetensors("hero"))
    put(tmp_path / "image.png", png(1, (24, 16)))
    sha256 = daemon.wait_model(file)
    form = {"data": {"sha256": sha256}, "files": {"image": ("x.png", png(2, (24, 16)))}}
    assert daemon.request("POST", "/api/images/upload", **form).is_success
    known = {"API": daemon.url, "SHA": sha256, "FILE": str(file), "SOCKET": str(daemon.socket)}
    lines = commands()
    assert len([line for line in lines if line.startswith("curl")]) >= 9
    last = 'curl -fsS --unix-socket "$SOCKET" http://localhost/api/status'
    script = "set -eu\n" + "\necho; echo -----\n".join([*lines, last])
    done = subprocess.run(
        ["bash", "-c", script], cwd=tmp_path, env={**os.environ, **known}, capture_output=True, text=True, timeout=60
    )
    assert (done.returncode, done.stderr) == (0, "")
    answers = dict(zip(lines, done.stdout.split("\n-----\n"), strict=False))
    assert all(answer.strip() or line.startswith("ETAG=") or "-o " in line for line, answer in answers.items())
    (edit,) = (answer for line, answer in answers.items() if "PATCH" in line)
    assert '"description":"a hero"' in edit
    (events,) = (answer for line, answer in answers.items() if "events" in line)
    assert "retry: 2000" in events
    after = daemon.get(f"/api/models/{sha256}")
    assert (after["name"], after["tags"][0]["name"], after["meta_json"]["images_count"]) == ("Hero", "favourite", 2)
    assert (tmp_path / "preview.webp").read_bytes()[:4] == b"RIFF"

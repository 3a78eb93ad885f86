"""Model files for the demo library: small, always the same, and whole by their own formats.

Formats: safetensors (https://github.com/huggingface/safetensors), PyTorch's zip archive (torch.save since 1.6),
GGUF 3 (https://github.com/ggml-org/ggml/blob/master/docs/gguf.md).
"""

import hashlib
import io
import json
import pickle
import struct
import zipfile
from pathlib import PurePosixPath

_TENSOR_NAME = "lora_unet_down_blocks_0.weight"
_ZIP_TIME = (2024, 1, 1, 0, 0, 0)
_GGUF_STRING, _GGUF_UINT32, _GGUF_F16 = 8, 4, 1
_GGUF_ALIGNMENT = 32


def model_bytes(name: str, content: str, size_kb: int) -> bytes:
    """Return a model file of about `size_kb` kilobytes.

    Args:
        name: the file's name; its ending tells the format.
        content: names the content: the same name always gives the same bytes.
        size_kb: size of the weights.
    """
    weights = hashlib.shake_256(content.encode()).digest(size_kb * 1024)
    match PurePosixPath(name).suffix:
        case ".safetensors":
            return safetensors(content, weights)
        case ".gguf":
            return gguf(content, weights)
        case _:
            return torch_archive(weights)


def safetensors(title: str, weights: bytes) -> bytes:
    """Return a safetensors file of one half-precision tensor."""
    header = {
        "__metadata__": {"format": "pt", "ss_output_name": title, "ss_network_dim": "16"},
        _TENSOR_NAME: {"dtype": "F16", "shape": [len(weights) // 2], "data_offsets": [0, len(weights)]},
    }
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    return struct.pack("<Q", len(text)) + text + weights


def torch_archive(weights: bytes) -> bytes:
    """Return a checkpoint as `torch.save` lays it out: a zip of a pickle and the weights."""
    # The pickle is of plain values only; nothing in this project ever reads one.
    entries = {
        "archive/data.pkl": pickle.dumps({"epoch": 1, "state_dict": {_TENSOR_NAME: len(weights)}}, protocol=2),
        "archive/version": b"3\n",
        "archive/data/0": weights,
    }
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_STORED) as archive:
        for name, data in entries.items():
            archive.writestr(zipfile.ZipInfo(name, _ZIP_TIME), data)
    return buffer.getvalue()


def gguf(title: str, weights: bytes) -> bytes:
    """Return a GGUF file of one half-precision tensor."""
    keys = _gguf_key("general.architecture", "flux") + _gguf_key("general.name", title)
    keys += _gguf_text("general.alignment") + struct.pack("<II", _GGUF_UINT32, _GGUF_ALIGNMENT)
    tensor = _gguf_text("double_blocks.0.weight") + struct.pack("<IQIQ", 1, len(weights) // 2, _GGUF_F16, 0)
    start = b"GGUF" + struct.pack("<IQQ", 3, 1, 3) + keys + tensor
    return start + b"\x00" * (-len(start) % _GGUF_ALIGNMENT) + weights


def _gguf_text(text: str) -> bytes:
    return struct.pack("<Q", len(text.encode())) + text.encode()


def _gguf_key(key: str, value: str) -> bytes:
    return _gguf_text(key) + struct.pack("<I", _GGUF_STRING) + _gguf_text(value)

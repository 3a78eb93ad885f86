"""Objects as JSON text that SQLite can hold."""

import json

from modelkeep.domain.values import JsonObject


def stored_json(value: JsonObject) -> str:
    """Return an object as readable JSON text; with escapes where it has characters that UTF-8 cannot hold."""
    text = json.dumps(value, ensure_ascii=False)
    try:
        text.encode()
    except UnicodeEncodeError:
        return json.dumps(value)
    return text

"""`python -m protocol.schema` prints the JSON Schema of all messages: docs/protocol.schema.json holds it."""

import json
import sys

from protocol.codec import json_schema


def schema_text() -> str:
    """The schema as it is kept: indented, in one order, ending in a newline."""
    return json.dumps(json_schema(), indent=2, sort_keys=True) + "\n"


if __name__ == "__main__":
    sys.stdout.write(schema_text())

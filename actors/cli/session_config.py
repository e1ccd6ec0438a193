"""A session's configuration from flags."""

from typing import Any

import orjson
from pydantic import TypeAdapter, ValidationError

from protocol.conversation import SessionConfig
from protocol.errors import SettingsInvalid


def make_config(**chosen: Any) -> SessionConfig:
    """What was given (not None), checked as the gateway will check it.

    Raises:
        SettingsInvalid: names the flag.
    """
    given = {name: value for name, value in chosen.items() if value is not None}
    try:
        return TypeAdapter(SessionConfig).validate_json(orjson.dumps(given))
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        flag = str(first["loc"][0]).replace("_", "-") if first["loc"] else "configuration"
        raise SettingsInvalid(f"--{flag}: {first['msg'][:1].lower()}{first['msg'][1:]}") from error

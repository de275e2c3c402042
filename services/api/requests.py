"""A request's body, form or query as a Struct, and how one that is wrong is refused. Pure: every refusal names the field it is about."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, TypeVar

import msgspec

from libs.common.domain.failures import Code, Failure
from libs.common.domain.languages import Abilities
from services.api.bodies import NewUpload
from services.api.webhooks.callback_url import CallbackRules

MIB = 1024 * 1024


class Refused(Failure):
    """A request that names something wrong. `field` is the field's name on the wire, None for the body as a whole."""

    def __init__(self, field: str | None, message: str, code: Code = Code.VALIDATION_FAILED, *, hint: str | None = None) -> None:
        super().__init__(code, message, hint=hint)
        self.field = field


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """What this service takes; the settings of the same names. Seconds, MiB and hours."""

    max_clip_seconds: float
    min_duration_sec: float
    coerce_min_duration: bool
    max_input_mb: int
    retention_hours: float
    max_retention_hours: float
    max_segments: int
    recogniser: Abilities
    """Of the model that transcribes."""
    callbacks: CallbackRules | None = None
    """None where there is nothing to sign webhooks with."""

    @property
    def largest(self) -> int:
        """Bytes."""
        return self.max_input_mb * MIB


Body = TypeVar("Body", bound=msgspec.Struct)


def decoded(kind: type[Body], body: bytes) -> Body:
    """The JSON body as a Struct. Raises Refused: BAD_REQUEST for broken JSON, VALIDATION_FAILED naming the field."""
    try:
        return msgspec.json.decode(body, type=kind)
    except msgspec.ValidationError as error:
        raise _refusal(str(error)) from error
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise Refused(None, "the body is not valid JSON", Code.BAD_REQUEST) from error


def from_query(kind: type[Body], parameters: Mapping[str, str]) -> Body:
    """The query of a URL as a Struct. Raises Refused."""
    for name, value in parameters.items():
        if value.lower() == "null":  # to msgspec a None
            raise Refused(name, f"{name} must be left out or have a value")
    try:
        return msgspec.convert(dict(parameters), kind, strict=False)
    except msgspec.ValidationError as error:
        raise _refusal(str(error)) from error


JSON_FIELDS = {"metadata", "segments"}


def from_form(fields: Mapping[str, str]) -> NewUpload:
    """The text fields of a multipart request as a Struct. Raises Refused."""
    values: dict[str, Any] = dict(fields)
    for name in JSON_FIELDS & fields.keys():
        values[name] = _json_field(name, fields[name])
    if "presets" in fields:
        values["presets"] = [preset.strip() for preset in fields["presets"].split(",") if preset.strip()]
    try:
        return msgspec.convert(values, NewUpload, strict=False)
    except msgspec.ValidationError as error:
        raise _refusal(str(error)) from error


def _json_field(name: str, text: str) -> object:
    try:
        return msgspec.json.decode(text)
    except (msgspec.DecodeError, UnicodeEncodeError, RecursionError) as error:
        raise Refused(name, f"{name} must be JSON") from error


_PLACE = re.compile(r" - at .*?`\$\.((\w+)[^`]*)`$")
_NAMED = re.compile(r"(?:unknown|required) field `(.*?)`$")


def _refusal(complaint: str) -> Refused:
    """msgspec's complaint, which ends with the place it is about."""
    if place := _PLACE.search(complaint):
        return Refused(place[2], f"{place[1].replace('[...]', '')}: {complaint[: place.start()]}")
    named = _NAMED.search(complaint)
    return Refused(named[1], f"{named[1]}: {complaint}") if named else Refused(None, complaint)

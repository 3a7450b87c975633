"""The base of every request schema, and pydantic's complaints told as fields and rules."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, ClassVar, Final, TypeVar

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, ValidationError
from pydantic_core import ErrorDetails, PydanticCustomError

from telephony.errors import InvalidInput

_CONTROL: Final = {*map(chr, range(0x20)), *map(chr, range(0x7F, 0xA0)), "\u2028", "\u2029"}
_CODES: Final = {"missing": "MISSING_REQUIRED_FIELD"}
_SECRET_FIELDS: Final = frozenset({"secret", "pin"})
"""Never shown back, nor anything in them."""


class Strict(BaseModel):
    """A request: no unknown fields, no coercion, immutable once read."""

    model_config = ConfigDict(strict=True, extra="forbid", frozen=True, hide_input_in_errors=True)
    TAGGED: ClassVar[frozenset[str]] = frozenset()
    """Fields whose shape is chosen by a tag: pydantic's path to an error names the tag, ours does not."""


B = TypeVar("B", bound=Strict)


class Shown(BaseModel):
    """A part of an answer. It documents the shape; answers are built as plain dictionaries for speed."""

    model_config = ConfigDict(extra="forbid")


def _one_line(text: str) -> str:
    if not _CONTROL.isdisjoint(text):
        raise PydanticCustomError("control_characters", "text without control characters or line breaks")
    return text


OneLine = Annotated[str, AfterValidator(_one_line)]
"""Text without control characters: nothing that could break a line on any wire."""


def _ascii_int(value: object) -> object:
    if isinstance(value, str):
        if not (value.isascii() and value.isdigit() and len(value) <= 15):
            raise PydanticCustomError("int_parsing", "a whole number in digits 0-9")
        return int(value)
    return value


QueryInt = Annotated[int, BeforeValidator(_ascii_int)]


def _flag(value: object) -> object:
    if isinstance(value, str):
        if value not in ("true", "false"):
            raise PydanticCustomError("flag", "true or false")
        return value == "true"
    return value


QueryFlag = Annotated[bool, BeforeValidator(_flag)]


def parse(model: type[B], given: object) -> B:
    """The request as its schema reads it. Raises InvalidInput naming the first field and rule broken."""
    if not isinstance(given, dict):
        raise InvalidInput("the body must be a JSON object", field=None, expected="a JSON object")
    try:
        return model.model_validate(given)
    except ValidationError as error:
        raise _translated(error.errors(include_url=False)[0], model.TAGGED) from None


def parse_query(model: type[B], pairs: list[tuple[str, str]]) -> B:
    """The query string as its schema reads it. A parameter given twice is refused."""
    given: dict[str, str] = {}
    for name, value in pairs:
        if name in given:
            raise InvalidInput(
                f"the parameter {name[:60]!r} is given twice", field=name[:60], expected="once"
            )
        given[name] = value
    return parse(model, given)


def _translated(error: ErrorDetails, tagged: frozenset[str]) -> InvalidInput:
    path = [str(part)[:60] for part in error["loc"]]
    if len(path) > 1 and path[0] in tagged:
        del path[1]
    kind = error["type"]
    context = error.get("ctx") or {}
    field = ".".join([*path, *filter(None, [context.get("field")])]) or None
    expected = _expected(kind, context, error["msg"])
    code = context.get("code") or _CODES.get(kind)
    hidden = kind == "missing" or not _SECRET_FIELDS.isdisjoint(path)
    return InvalidInput(
        _message(kind, field, context),
        field=field,
        value=None if hidden else error["input"],
        expected=expected,
        code=code,
    )


def _message(kind: str, field: str | None, context: Mapping[str, Any]) -> str:
    name = field or "the body"
    match kind:
        case "missing":
            names = context.get("names") or name
            return f"{names} {'are' if ' and ' in names else 'is'} required"
        case "extra_forbidden":
            return f"{name} is not a field of this request"
        case _:
            return f"{name} breaks its rule"


_EXPECTED: Final[Mapping[str, str]] = {
    "missing": "a value",
    "extra_forbidden": "only documented fields",
    "string_type": "a string",
    "int_type": "a whole number",
    "bool_type": "true or false",
    "list_type": "a list",
    "dict_type": "an object",
    "model_type": "an object",
    "model_attributes_type": "an object",
    "int_parsing": "a whole number in digits 0-9",
    "int_from_float": "a whole number",
}
_BOUNDS: Final[Mapping[str, tuple[str, str]]] = {
    "string_too_long": ("at most {} characters", "max_length"),
    "string_too_short": ("at least {} characters", "min_length"),
    "greater_than_equal": ("at least {}", "ge"),
    "less_than_equal": ("at most {}", "le"),
    "too_long": ("at most {} entries", "max_length"),
    "too_short": ("at least {} entries", "min_length"),
    "string_pattern_mismatch": ("text matching {}", "pattern"),
    "literal_error": ("{}", "expected"),
}


def _expected(kind: str, context: Mapping[str, Any], message: str) -> str:
    if kind in _BOUNDS:
        text, key = _BOUNDS[kind]
        return text.format(context.get(key))
    return _EXPECTED.get(kind, message)

"""The kinds of values that settings have, and what they have in common."""

from __future__ import annotations

import ipaddress
import re
from typing import Annotated

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict


def no_bool(value: object) -> object:
    """Refuse true and false, which pydantic would take for 1 and 0."""
    if isinstance(value, bool):
        raise ValueError("should be a number, not true or false")
    return value


def matching(pattern: str, allowed: str) -> AfterValidator:
    """Return what checks a text against a pattern, and says in words what is allowed."""

    def check(text: str) -> str:
        if not re.fullmatch(pattern, text):
            raise ValueError(f"should be {allowed}")
        return text

    return AfterValidator(check)


def distinct(names: tuple[str, ...]) -> tuple[str, ...]:
    """Refuse names that are the same as MySQL compares column names: without regard to case."""
    if len({name.lower() for name in names}) < len(names):
        raise ValueError("should not have the same name twice")
    return names


def network(text: str) -> str:
    """Refuse what is neither an IP address nor a network of them."""
    try:
        ipaddress.ip_network(text)
    except ValueError:
        raise ValueError(
            "should be an IP address or a network, as 10.0.0.7 or 10.1.0.0/16"
        ) from None
    return text


Int = Annotated[int, BeforeValidator(no_bool)]
Float = Annotated[float, BeforeValidator(no_bool)]
SqlName = Annotated[
    str, matching(r"[A-Za-z_][A-Za-z0-9_]{0,63}", "an SQL name: 1 to 64 letters, digits and _")
]
Reference = Annotated[
    str,
    matching(
        r"[A-Za-z_]\w*|[A-Za-z_][\w.]*:[A-Za-z_]\w*",
        "a built-in's name, or module:attr for your own",
    ),
]
WindowName = Annotated[
    str, matching(r"[a-z][a-z0-9_]{0,40}", "1 to 41 lower-case letters, digits and _")
]


class Section(BaseModel):
    """One section: frozen, and without unknown keys."""

    model_config = ConfigDict(
        frozen=True, extra="forbid", hide_input_in_errors=True, allow_inf_nan=False
    )

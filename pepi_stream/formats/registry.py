"""Built-in formats by name, and a user's own by ``module:attr``."""

from __future__ import annotations

from typing import Final

from pepi_stream.errors import ConfigError
from pepi_stream.extension import load_attr, make
from pepi_stream.formats.auto import AutoFormat
from pepi_stream.formats.base import Format, FunctionFormat
from pepi_stream.formats.mailgun import MailgunFormat
from pepi_stream.formats.pepipost import PepipostFormat
from pepi_stream.formats.plain import PlainFormat
from pepi_stream.formats.postmark import PostmarkFormat
from pepi_stream.formats.sendgrid import SendgridFormat
from pepi_stream.formats.ses import SesFormat
from pepi_stream.formats.sparkpost import SparkpostFormat

FORMATS: Final[dict[str, type[Format]]] = {
    cls.name: cls
    for cls in (
        *(PepipostFormat, SendgridFormat, SesFormat, MailgunFormat, PostmarkFormat),
        *(SparkpostFormat, PlainFormat, AutoFormat),
    )
}


def load_format(name: str) -> Format:
    """Return the format called ``name``: a built-in, or ``module:attr`` of a user.

    The attribute is a Format (class or instance), or a function from one payload
    (bytes) to its events.

    Raises:
        ConfigError: there is no such format.
    """
    if ":" not in name:
        try:
            return FORMATS[name]()
        except KeyError:
            known = ", ".join(sorted(FORMATS))
            raise ConfigError(
                f"source.format: no format {name!r}; known: {known}, or module:attr"
            ) from None
    found = load_attr(name, "source.format")
    if isinstance(found, type) and issubclass(found, Format):
        found = make(found, name, "source.format")
    if isinstance(found, Format):
        return found
    if callable(found):
        return FunctionFormat(name, found)
    raise ConfigError(f"source.format: {name} is neither a Format nor a function")

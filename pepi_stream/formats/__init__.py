"""Formats: what turns payloads into events, one file a provider."""

from pepi_stream.formats.base import Decoded, Format, FormatError, FunctionFormat
from pepi_stream.formats.limits import LimitedFormat
from pepi_stream.formats.registry import FORMATS, load_format

__all__ = [
    "FORMATS",
    "Decoded",
    "Format",
    "FormatError",
    "FunctionFormat",
    "LimitedFormat",
    "load_format",
]

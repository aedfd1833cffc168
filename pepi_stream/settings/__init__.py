"""Settings: the packaged config/pepi.toml, then the file in PEPI_CONFIG, then the environment.

`load_settings` reads the three layers, later ones winning, and returns one frozen `Settings`.
Nothing is read or built at import. All defaults are in config/pepi.toml; the models hold bounds.
"""

from pepi_stream.settings.layers import load_settings
from pepi_stream.settings.listing import describe
from pepi_stream.settings.models import (
    DatabaseSettings,
    EnrichSettings,
    IngestSettings,
    RedisSettings,
    Settings,
    SourceSettings,
    WebSettings,
    WindowSettings,
    WorkerSettings,
)
from pepi_stream.settings.sink import ColumnSetting, SinkSettings
from pepi_stream.settings.tls import TlsFile, TlsSettings
from pepi_stream.settings.urls import redact_url

__all__ = [
    "ColumnSetting",
    "DatabaseSettings",
    "EnrichSettings",
    "IngestSettings",
    "RedisSettings",
    "Settings",
    "SinkSettings",
    "SourceSettings",
    "TlsFile",
    "TlsSettings",
    "WebSettings",
    "WindowSettings",
    "WorkerSettings",
    "describe",
    "load_settings",
    "redact_url",
]

"""Country and autonomous system of the reader's address, from files that a user supplies.

The files are MaxMind DBs: GeoLite2, GeoIP2, or another maker's with the same fields (DB-IP,
IPinfo). They are opened at start; nothing is fetched.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import maxminddb

from pepi_stream.errors import ConfigError, message_of
from pepi_stream.events import Batch, Column, Constant
from pepi_stream.memo import Memo
from pepi_stream.settings import EnrichSettings

_MEMO_SIZE = 50_000  # addresses


class Geo:
    """Adds ``country`` (ISO 3166-1, two letters) and ``asn``, each only if its file is given.

    None for an event without an address, with one that is none, or that the file does not know.
    The addresses of image proxies and privacy relays tell where these are, not the reader.

    Args:
        country: path of a country or city database; empty for none.
        asn: path of a database of autonomous systems; empty for none.

    Raises:
        ConfigError: no file is given, or one cannot be read or is no MaxMind DB.
    """

    def __init__(self, country: str = "", asn: str = "") -> None:
        self._memos: dict[str, Memo[str, Any]] = {}
        for name, setting, path, value in (
            ("country", "enrich.geo_country", country, _country),
            ("asn", "enrich.geo_asn", asn, _asn),
        ):
            if path:
                self._memos[name] = Memo(_lookup(_open(setting, path), value), _MEMO_SIZE)
        if not self._memos:
            raise ConfigError(
                "enrich.enrichers: geo has no file to look into; set enrich.geo_country or "
                "enrich.geo_asn to the path of an .mmdb file, or leave geo out"
            )

    @classmethod
    def from_settings(cls, settings: EnrichSettings) -> Geo:
        """Build it with the files that the settings name; raises ConfigError for a bad one."""
        return cls(settings.geo_country, settings.geo_asn)

    def __call__(self, batch: Batch) -> Mapping[str, Column]:
        """Return a column for each file."""
        addresses = batch.column("ip")
        if isinstance(addresses, Constant):
            if addresses.value is None:
                return {}
            addresses = list(addresses)
        return {
            name: [memo[ip] if ip and len(ip) < 46 else None for ip in addresses]
            for name, memo in self._memos.items()
        }


def _open(setting: str, path: str) -> maxminddb.Reader:
    try:
        with Path(path).open("rb"):  # says why it cannot be read, where maxminddb does not
            pass
        reader = maxminddb.open_database(path)
        reader.get("192.0.2.1")  # a file that was cut off shows when it is read
    except OSError as exc:
        what = f"cannot be read ({message_of(exc)})"
    except (maxminddb.InvalidDatabaseError, ValueError, KeyError, IndexError, TypeError) as exc:
        what = f"is no MaxMind DB, or not a whole one ({message_of(exc)})"
    else:
        return reader
    raise ConfigError(
        f"{setting}: {path} {what}; supply the .mmdb file again, or leave the setting empty"
    )


def _lookup(reader: maxminddb.Reader, value: Callable[[Any], Any]) -> Callable[[str], Any]:
    def look_up(address: str) -> Any:
        try:
            return value(reader.get(address))
        except ValueError:  # no address, or one of IPv6 where the file has none
            return None

    return look_up


def _country(record: Any) -> str | None:
    if not isinstance(record, dict):
        return None
    found = record.get("country") or record.get("registered_country") or record.get("country_code")
    if isinstance(found, dict):
        found = found.get("iso_code")
    return found if isinstance(found, str) and len(found) == 2 else None


def _asn(record: Any) -> int | None:
    if not isinstance(record, dict):
        return None
    found = record.get("autonomous_system_number") or record.get("asn")
    if isinstance(found, str):  # "AS15169"
        found = int(found[2:]) if found[:2].upper() == "AS" and found[2:].isdecimal() else None
    return found if isinstance(found, int) else None

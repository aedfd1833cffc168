"""Country and autonomous system, from databases that the test writes."""

from __future__ import annotations

from pathlib import Path

import pytest

from pepi_stream.enrich import geo, load_enrichers
from pepi_stream.enrich.geo import Geo
from pepi_stream.errors import ConfigError
from pepi_stream.events import Constant
from pepi_stream.settings import load_settings
from tests.enriching import batch_of, enrich
from tests.mmdb import mmdb

COUNTRIES = {
    "192.0.2.0/24": {"country": {"iso_code": "IN", "names": {"en": "India"}}},
    "198.51.100.0/25": {"registered_country": {"iso_code": "DE"}},
    "203.0.113.0/24": {"country": "FR"},  # IPinfo's
    "203.0.114.0/24": {"country": {"names": {"en": "Nowhere"}}},
    "2001:db8::/32": {"country": {"iso_code": "JP"}},
}
SYSTEMS = {
    "192.0.2.0/24": {"autonomous_system_number": 64496, "autonomous_system_organization": "X"},
    "203.0.113.0/24": {"asn": "AS4200000000"},
    "198.51.100.0/24": {"asn": "unknown"},
}


@pytest.fixture
def countries(tmp_path: Path) -> Path:
    path = tmp_path / "countries.mmdb"
    path.write_bytes(mmdb(COUNTRIES))
    return path


@pytest.fixture
def systems(tmp_path: Path) -> Path:
    path = tmp_path / "systems.mmdb"
    path.write_bytes(mmdb(SYSTEMS))
    return path


def test_addresses(countries: Path, systems: Path) -> None:
    found = {
        "192.0.2.1": ("IN", 64496),
        "192.0.3.1": (None, None),
        "198.51.100.7": ("DE", None),
        "198.51.100.200": (None, None),
        "203.0.113.1": ("FR", 4_200_000_000),
        "203.0.114.1": (None, None),
        "2001:db8::1": ("JP", None),
        "no address": (None, None),
        "": (None, None),
        "1" * 5000: (None, None),
        None: (None, None),
    }
    batch = enrich(Geo(str(countries), str(systems)), ip=list(found))
    assert list(zip(batch.column("country"), batch.column("asn"), strict=True)) == [*found.values()]
    one = enrich(Geo(country=str(countries)), ip=Constant("192.0.2.9", 2))
    assert one.column("country") == ["IN", "IN"]
    assert "asn" not in one.columns
    assert Geo(asn=str(systems))(batch_of(ip=Constant(None, 2))) == {}


def test_it_is_on_when_a_file_is_named(countries: Path) -> None:
    assert "geo" not in load_enrichers(load_settings({}).enrich)
    named = load_settings({"PEPI_ENRICH__GEO_COUNTRY": str(countries)}).enrich
    assert list(load_enrichers(named))[-1] == "geo"
    listed = {"PEPI_ENRICH__ENRICHERS": "geo,machine"}
    both = load_settings(listed | {"PEPI_ENRICH__GEO_COUNTRY": str(countries)}).enrich
    assert list(load_enrichers(both)) == ["geo", "machine"]
    with pytest.raises(ConfigError, match=r"geo has no file .* set enrich\.geo_country or"):
        load_enrichers(load_settings(listed).enrich)


@pytest.mark.parametrize("cut", [0, 1, 20, 100, -1, -40])
def test_a_file_that_is_none_is_named_at_start(countries: Path, cut: int) -> None:
    countries.write_bytes(countries.read_bytes()[:cut] if cut else b"not a database")
    with pytest.raises(ConfigError) as caught:
        Geo(country=str(countries))
    message = str(caught.value)
    assert message.startswith(f"enrich.geo_country: {countries} is no MaxMind DB, or not a whole")
    assert "supply the .mmdb file again" in message


def test_a_file_that_is_missing_is_named_at_start(tmp_path: Path) -> None:
    for path in (tmp_path / "missing.mmdb", tmp_path):
        with pytest.raises(ConfigError, match=rf"^enrich\.geo_asn: {path} cannot be read"):
            Geo(asn=str(path))


def test_made_up_addresses_do_not_grow_memory(
    countries: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(geo, "_MEMO_SIZE", 100)
    enricher = Geo(country=str(countries))
    batch = enrich(enricher, ip=[f"192.0.{n % 5}.{n % 250}" for n in range(1000)])
    assert batch.column("country").count("IN") == 200
    assert len(enricher._memos["country"]) <= 100

"""Acme's mail system in pepi_stream: a format, an enricher, a column (docs/extending.md)."""

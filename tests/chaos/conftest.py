"""The flows of the integration tests, for the tests of the verdict."""

from tests.integration.conftest import make_flow

__all__ = ["make_flow"]

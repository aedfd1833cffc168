"""All faults: importing a module of them registers its own."""

from tests.chaos import mysql_faults, redis_faults, worker_faults  # noqa: F401
from tests.chaos.registry import FAULTS

__all__ = ["FAULTS"]

"""Probes of both servers and what they find: for `check`, and for whatever else shows health."""

from pepi_stream.monitor.dead_letters import DeadLetterLog, shown_reason
from pepi_stream.monitor.finding import Finding
from pepi_stream.monitor.mysql_probe import mysql_findings
from pepi_stream.monitor.redis_probe import eviction_policy, redis_findings

__all__ = [
    "DeadLetterLog",
    "Finding",
    "eviction_policy",
    "mysql_findings",
    "redis_findings",
    "shown_reason",
]

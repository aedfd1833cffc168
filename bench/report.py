"""What a benchmark writes: results as JSON, and a chart."""

from __future__ import annotations

import json
import os
import platform
import time
from dataclasses import asdict
from importlib.metadata import version
from pathlib import Path
from statistics import median
from typing import Any
from xml.sax.saxutils import escape

from bench.arena import MARIADB_OPTIONS, Arena, Result
from bench.contest import Contest

_PACKAGES = (
    "aiomysql",
    "faust-streaming",
    "hiredis",
    "mode-streaming",
    "msgspec",
    "redis",
    "uvloop",
)
#: Stands in the README before and after what :func:`table` writes.
MARK = "<!-- bench -->"
_ROW, _BAR, _LEFT, _WIDTH = 34, 20, 150, 760
_COLOURS = {"ours": "#2563eb", "limit": "#cbd5e1", "go": "#94a3b8", "perl": "#94a3b8"}


def machine() -> dict[str, Any]:
    """Describe where this runs."""
    cpu = next(
        (
            line.partition(":")[2].strip()
            for line in Path("/proc/cpuinfo").read_text().splitlines()
            if line.startswith("model name")
        ),
        platform.processor(),
    )
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    return {
        "cpu": cpu,
        "cores": os.cpu_count(),
        "memory_gib": round(memory / 2**30, 1),
        "system": f"{platform.system()} {platform.release()}",
    }


def versions(arena: Arena) -> dict[str, str]:
    """Return the versions of servers, Python and packages."""
    conn = arena.mysql()
    try:
        with conn.cursor() as cursor:
            cursor.execute("SELECT VERSION()")
            [(mariadb,)] = cursor.fetchall()
    finally:
        conn.close()
    return {
        "python": platform.python_version(),
        "redis": str(arena.client.info("server")["redis_version"]),
        "mariadb": str(mariadb),
        "mariadb_options": " ".join(MARIADB_OPTIONS),
        **{name: version(name) for name in (*_PACKAGES, "pepi-stream")},
    }


def run_of(result: Result) -> dict[str, Any]:
    """Return a run as JSON keeps it, with CPU in microseconds a row."""
    cpu = {who: round(1e6 * used / result.rows, 2) for who, used in asdict(result.usage).items()}
    return {
        "events": result.rows,
        "seconds": round(result.seconds, 3),
        "events_per_second": round(result.rate),
        "cpu_us_per_row": cpu,
        "rss_mb": round(result.rss_mb, 1),
    }


def races(contest: Contest) -> dict[str, Any]:
    """Return the rounds as JSON keeps them."""
    return {
        contender.name: {
            "about": contender.about,
            "median_events_per_second": round(median(contest.rates(contender.name))),
            "runs": [run_of(result) for result in contest.results[contender.name]],
        }
        for contender in contest.contenders
    }


def write(directory: Path, report: dict[str, Any]) -> Path:
    """Write the report under the time of day; return its path."""
    directory.mkdir(parents=True, exist_ok=True)
    kind = "quick" if report["quick"] else "full"
    path = directory / f"{time.strftime('%Y-%m-%dT%H%M%S', time.gmtime())}-{kind}.json"
    path.write_text(json.dumps(report, indent=1) + "\n", encoding="utf-8")
    return path


def chart(report: dict[str, Any]) -> str:
    """Return an SVG: a bar for each contender's median, a line for the spread of its rounds."""
    bars = [
        (
            name,
            found["about"],
            found["median_events_per_second"],
            [run["events_per_second"] for run in found["runs"]],
        )
        for name, found in report["races"].items()
    ]
    most = max(max(rates) for _, _, _, rates in bars)
    scale = (_WIDTH - _LEFT - 90) / most
    height = 50 + _ROW * len(bars) + 30
    lines = [
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{_WIDTH}" height="{height}" '
        f'viewBox="0 0 {_WIDTH} {height}" font-family="system-ui, sans-serif" font-size="13">',
        '<rect width="100%" height="100%" fill="#ffffff"/>',
        f'<text x="16" y="28" font-size="16" fill="#0f172a">Events a second, '
        f"{report['events']:,} queued events to committed rows</text>",
    ]
    for number, (name, about, rate, rates) in enumerate(bars):
        y = 50 + number * _ROW
        colour = _COLOURS[name.partition("-")[0]]
        middle = y + _BAR / 2
        lines += [
            f'<text x="{_LEFT - 10}" y="{middle + 5}" text-anchor="end" fill="#0f172a">{name}'
            f"<title>{escape(about)}</title></text>",
            f'<rect x="{_LEFT}" y="{y}" width="{rate * scale:.1f}" height="{_BAR}" rx="2" '
            f'fill="{colour}"/>',
            f'<line x1="{_LEFT + min(rates) * scale:.1f}" x2="{_LEFT + max(rates) * scale:.1f}" '
            f'y1="{middle}" y2="{middle}" stroke="#0f172a"/>',
            f'<text x="{_LEFT + max(rates) * scale + 8:.1f}" y="{middle + 5}" fill="#334155">'
            f"{rate:,.0f}</text>",
        ]
    where = report["machine"]
    lines += [
        f'<text x="16" y="{height - 12}" font-size="11" fill="#64748b">Median of '
        f"{report['rounds']} rounds; the thin line is their spread. {where['cores']} cores, "
        f"{escape(where['cpu'])}, shared with Redis and MariaDB.</text>",
        "</svg>",
    ]
    return "\n".join(lines) + "\n"


def table(report: dict[str, Any]) -> str:
    """Return the README's table and what follows it, in Markdown."""
    races, where, ratios = report["races"], report["machine"], report["ratios"]
    lines = [
        "| | events/s | lowest to highest | what it does |",
        "| --- | ---: | --- | --- |",
    ]
    for name, found in races.items():
        rates = [run["events_per_second"] for run in found["runs"]]
        lines.append(
            f"| `{name}` | {found['median_events_per_second']:,} | "
            f"{min(rates):,} to {max(rates):,} | {found['about']} |"
        )
    latencies = "; ".join(
        f"{seen['p50_ms']:.0f} / {seen['p99_ms']:.0f} / {seen['max_ms']:.0f} ms at {int(rate):,}"
        for rate, seen in report["latency"].items()
    )
    scale = report["scale"]
    lines += [
        "",
        f"Median of {report['rounds']} rounds of {report['events']:,} events "
        f"({where['cpu']}, {where['cores']} cores and {where['memory_gib']} GiB, shared by all "
        f"that runs; {report['at'][:10]}). Within a round, `ours-article` does "
        f"{ratios['article_vs_go']:.2f} times `go`, {ratios['article_vs_go_tuned']:.2f} times "
        f"`go-tuned` and {ratios['article_vs_perl']:.0f} times `perl`; `ours-full`, which does far "
        f"more, {ratios['full_vs_go']:.2f} times `go` and {ratios['full_of_limit']:.2f} of what "
        "MariaDB does alone with the whole machine.",
        "",
        f"From push to visible row, p50 / p99 / max: {latencies} events/s. A backlog of "
        f"{scale['events']:,}: the last million at {ratios['flatness']:.2f} times the rate of the "
        f"first, worker memory {ratios['max_rss_mb']:.0f} MiB at most. Waiting, a worker uses "
        f"{report['idle_cpu_percent']} % of a core.",
    ]
    return "\n".join(lines) + "\n"


def put(text: str, into: str) -> str:
    """Return a document with what is between its two ``<!-- bench -->`` lines replaced."""
    before, _, rest = into.partition(MARK)
    _, _, after = rest.partition(MARK)
    return f"{before}{MARK}\n{text}{MARK}{after}"

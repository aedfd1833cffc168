"""`python -m pepi_stream.local`: what the Makefile's setup, run, demo and clean targets call."""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from pepi_stream.local.browser import ensure_browser
from pepi_stream.local.errors import LocalError
from pepi_stream.local.install import ensure_servers
from pepi_stream.local.lock import stop_holders
from pepi_stream.local.packages import install_packages

_STOP_SECONDS = 60.0


def main(argv: Sequence[str] | None = None) -> int:
    """Run one subcommand and return its exit status; 1, after one message, for a `LocalError`."""
    args = _parser().parse_args(argv)
    try:
        return _run(args)
    except LocalError as error:
        command = "setup" if args.command == "packages" else args.command
        print(f"{command}: {error}", file=sys.stderr)
        return 1


def _run(args: argparse.Namespace) -> int:
    match args.command:
        case "packages":
            install_packages(Path("requirements-dev.txt"), Path("."))
        case "setup":
            ensure_servers()
            if args.browser:
                ensure_browser()
        case "stop":
            # `.local/run` is locked by its starter; a server that has lost it, one level below.
            below = sorted(path for path in args.directory.glob("*") if path.is_dir())
            for root in (args.directory, *below):
                for directory in stop_holders(root, _STOP_SECONDS):
                    print(f"stop: stopped what was running in {directory}")
        case "run":
            from pepi_stream.local import run

            return run.main(args)
        case "demo":
            from pepi_stream.local import demo

            return demo.main(args)
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m pepi_stream.local", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    commands.add_parser("packages", help="install the pinned packages with pip")
    setup = commands.add_parser("setup", help="install Redis and MariaDB where they are missing")
    setup.add_argument("--browser", action="store_true", help="and Chromium, for the tests")
    commands.add_parser("run", help="private servers, a worker and a simulated stream")
    demo = commands.add_parser("demo", help="push N events, drain them, check that all are there")
    demo.add_argument(
        "--events", type=_count, default=100_000, metavar="N", help="events to push (%(default)s)"
    )
    stop = commands.add_parser("stop", help="stop private servers that still run")
    stop.add_argument(
        "--directory", type=Path, default=Path(".local"), help="where they live (%(default)s)"
    )
    return parser


def _count(text: str) -> int:
    count = int(text)
    if count < 1:
        raise argparse.ArgumentTypeError(f"must be 1 or more, not {count}")
    return count


if __name__ == "__main__":
    sys.exit(main())

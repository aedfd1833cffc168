"""`make fuzz SECONDS=n SEED=n`: every format in turn, until the time is up or a promise breaks."""

from __future__ import annotations

import sys
import time
import traceback

from pepi_stream.formats import FORMATS
from tests.fuzzing.campaign import Campaign

_TURN = 200  # claims


def main() -> int:
    """Fuzz for argv[1] seconds from the seed argv[2]; return 1 when a promise broke."""
    seconds = float(sys.argv[1])
    seed = int(sys.argv[2]) if len(sys.argv) > 2 and sys.argv[2] else time.time_ns() % 10**9
    print(f"fuzzing {', '.join(FORMATS)} for {seconds:g} s; SEED={seed}", flush=True)
    campaigns = {name: Campaign(name, seed) for name in FORMATS}
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        for name, campaign in campaigns.items():
            failure = campaign.run(_TURN)
            if failure:
                traceback.print_exception(failure.error)
                print(f"\n{name}, SEED={seed}, claim {campaign.claims}; the smallest that fails:")
                for payload in failure.payloads:
                    print(f"  {payload!r}")
                return 1
    print(f"no promise broke in {sum(c.claims for c in campaigns.values())} claims")
    return 0


if __name__ == "__main__":
    sys.exit(main())

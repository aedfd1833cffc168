"""Makes text fit for a terminal and a log: what it holds is shown, and does nothing.

Text from payloads and servers ends on terminals: in a dead letter's reason, a log line, a table.
There an escape sequence would be obeyed, a line feed would forge a line, and a direction override
or a zero-width character would make a name look like another. Called where a reason, a line or a
table is made; data in columns and window dimensions stay as they are.
"""

from __future__ import annotations

import re
from typing import Final

# Controls (C0, DEL, C1), line and paragraph separators, lone surrogates, and what Unicode's
# Default_Ignorable_Code_Point and General_Category Cf hold (15.0, DerivedCoreProperties.txt), but
# for variation selectors, which are part of emoji. A test compares it with unicodedata.
_UNPRINTABLE: Final = re.compile(
    "[\x00-\x1f\x7f-\x9f\xad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180e\u200b-\u200f"
    "\u2028-\u202e\u2060-\u206f\u3164\ud800-\udfff\ufeff\uffa0\ufff0-\ufffb"
    "\U00013430-\U0001343f\U0001bca0-\U0001bca3\U0001d173-\U0001d17a\U000e0000-\U000e00ff"
    "\U000e01f0-\U000e0fff]"
)


def printable(text: str) -> str:
    r"""Return text with escapes (``\x1b``, ``\n``, ``\u202e``) for what a terminal would obey."""
    return _UNPRINTABLE.sub(_escape, text)


def _escape(found: re.Match[str]) -> str:
    return found[0].encode("unicode_escape").decode("ascii")

#!/usr/bin/env python3
"""Writes page.html as a C++ source: its halves before and after the place of a report's JSON.

usage: embed.py PAGE OUTPUT
"""

import sys
from pathlib import Path

MARKER = "/*REPORT*/null"
HALF_MAX = 65_536  # bytes of a literal that every C++ compiler takes

SOURCE = """#include "bench/report/page.h"

namespace tandem::bench {{

std::string_view page_before_report() {{
  return {};
}}

std::string_view page_after_report() {{
  return {};
}}

}}  // namespace tandem::bench
"""


def literal(text):
    if ')PAGE"' in text or len(text.encode()) > HALF_MAX:
        sys.exit(f'half of the page is longer than {HALF_MAX} bytes or holds )PAGE"')
    return f'R"PAGE({text})PAGE"'


def main():
    page, output = map(Path, sys.argv[1:])
    halves = page.read_text(encoding="utf-8").split(MARKER)
    if len(halves) != 2:
        sys.exit(f"{page} has to hold {MARKER} once, not {len(halves) - 1} times")
    output.write_text(SOURCE.format(*map(literal, halves)), encoding="utf-8")


if __name__ == "__main__":
    main()

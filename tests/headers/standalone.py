#!/usr/bin/env python3
"""Checks that every header under common/, relay/ and room/ compiles alone, and twice in one unit.

usage: standalone.py ROOT COMPILER [FLAG]...
"""

import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path


def compile_alone(root, compiler, header):
    """The compiler's complaint about a unit of nothing but `header`, or ''."""
    unit = f'#include "{header}"\n#include "{header}"\n'
    done = subprocess.run(
        [*compiler, "-I", root, "-fsyntax-only", "-x", "c++", "-"],
        input=unit, capture_output=True, text=True, check=False)
    return "" if done.returncode == 0 else f"{header}:\n{done.stderr}"


def main():
    root, *compiler = sys.argv[1:]
    headers = [
        path.relative_to(root).as_posix()
        for folder in ("common", "relay", "room")
        for path in sorted(Path(root, folder).rglob("*.h"))
    ]
    if not headers:
        sys.exit(f"no headers under {root}")
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        complaints = list(filter(None, pool.map(
            lambda header: compile_alone(root, compiler, header), headers)))
    print("\n".join(complaints))
    print(f"{len(headers)} headers, {len(complaints)} do not stand alone")
    sys.exit(1 if complaints else 0)


if __name__ == "__main__":
    main()

#!/usr/bin/env python3
"""Checks that each setting of packaging/sysctl is one the kernel knows, also those in comments.

Sets nothing. A key that this kernel or this network namespace lacks is allowed only with the "-"
that makes sysctl pass over it.

usage: sysctl_keys.py FILE
"""

import re
import sys
from pathlib import Path

SETTING = re.compile(r"^#?(-?)([a-z0-9_]+(?:\.[a-z0-9_]+)+) = \S")
# Not in every network namespace; the host's own has them.
HOST_ONLY = re.compile(r"net\.core\.(rmem_max|wmem_max|netdev_max_backlog|default_qdisc)")


def main():
    settings = list(filter(None, map(SETTING.match, Path(sys.argv[1]).read_text().splitlines())))
    if not settings:
        sys.exit("no settings found")
    unknown = [
        key for optional, key in (setting.groups() for setting in settings)
        if not optional and not HOST_ONLY.match(key)
        and not Path("/proc/sys", key.replace(".", "/")).exists()
    ]
    print(f"{len(settings)} settings, unknown: {unknown}")
    sys.exit(1 if unknown else 0)


if __name__ == "__main__":
    main()

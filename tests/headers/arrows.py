#!/usr/bin/env python3
"""Checks that every #include keeps to the arrows of the house (ARCHITECTURE.md).

usage: arrows.py ROOT

The rules name direct includes only. They are closed under composition (whatever a file may
include may itself include no more than that file may), so no closure has to be computed.
"""

import re
import sys
from pathlib import Path

# (files, project files they may include), the first match wins. Patterns match from the start.
PROJECT_RULES = [
    (r"common/", r"common/"),
    (r"room/text/", r"(common|room/text)/"),
    (r"room/lobby/", r"(common|room/(text|lobby))/"),
    (r"room/storage/", r"(common|room/storage)/"),
    (r"room/web/", r"(common|room/web)/|room/metrics_page\.h$"),
    (r"room/socket_io/", r"(common|room/(text|web|socket_io))/|room/metrics_page\.h$"),
    (r"room/relays/", r"(common|room/(text|lobby|relays))/"),
    (r"room/admission/", r"(common|room/(text|lobby|admission))/"),
    (r"room/", r"(common|room)/"),
    (r"relay/main\.cc$", r"(common|room)/|relay/(?!dpdk/)"),
    (r"relay/core/", r"(common|relay/core)/"),
    (r"relay/uring/", r"(common|relay/uring)/|relay/(?!shard)\w+\.h$"),
    (r"relay/dpdk/", r"(common|relay/dpdk)/|relay/(?!shard)\w+\.h$"),
    (r"relay/(shard|relay_metrics)", r"(common|relay/core|relay/uring)/|relay/\w+\.h$"),
    (r"relay/", r"common/|relay/(?!shard)\w+\.h$"),
]

# (headers from outside, files that may include them): all that match apply.
OUTSIDE_RULES = [
    (r"toml\+\+/|toml\.hpp", r"common/config\w*\.cc$"),
    (r"rte_", r"relay/dpdk/"),
    (r"liburing", r"relay/uring/"),
    (r"sqlite3", r"room/storage/\w+\.cc$"),
    # Heavy to compile: each stays inside single .cc files.
    (r"(spdlog|boost|nlohmann|CLI)/", r".*\.cc$"),
    # The policy gets time and randomness as arguments and knows no descriptor and no thread.
    (r"(sys|net|netinet|arpa|linux|asm|openssl)/|(unistd|fcntl|poll|time|pthread)\.h$"
     r"|(chrono|ctime|random|thread|mutex|iostream|fstream)$", r"(?!relay/core/)"),
]

INCLUDE = re.compile(r'^\s*#\s*include\s*([<"])([^>"]+)[>"]')


def source_files(root):
    """Paths of the checked sources, relative to the root, in order."""
    for folder in ("common", "relay", "room"):
        for path in sorted((root / folder).rglob("*")):
            if path.suffix in (".h", ".cc"):
                yield path.relative_to(root).as_posix()


def complaint(root, source, quote, target):
    """Why `source` may not include `target`, or None where it may."""
    if quote == '"':
        if not (root / target).is_file():
            return "is not the path of a file from the root"
        allowed = next(allowed for files, allowed in PROJECT_RULES if re.match(files, source))
        return None if re.match(allowed, target) else f"may only include {allowed}"
    for header, files in OUTSIDE_RULES:
        if re.match(header, target) and not re.match(files, source):
            return f"only {files} may include it"
    return None


def violations(root):
    """One line of text for each #include that breaks a rule."""
    for source in source_files(root):
        for number, line in enumerate((root / source).read_text().splitlines(), 1):
            include = INCLUDE.match(line)
            if include and (why := complaint(root, source, *include.groups())):
                yield f"{source}:{number}: {include.group(2)}: {why}"


def main():
    root = Path(sys.argv[1])
    if not any(source_files(root)):
        sys.exit(f"no sources under {root}")
    found = list(violations(root))
    print("\n".join(found))
    sys.exit(1 if found else 0)


if __name__ == "__main__":
    main()

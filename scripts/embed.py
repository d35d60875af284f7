#!/usr/bin/env python3
"""Writes a page as a C++ source, so that no file has to lie beside the program that serves it.

usage: embed.py PAGE OUTPUT --header FILE --namespace NAME [--split MARKER] [--policy FUNCTION]
                FUNCTION...

Each FUNCTION gives a part of the page as std::string_view: the whole, or with --split what stands
before and after each MARKER. The one of --policy gives a Content-Security-Policy that lets exactly
this page's scripts and styles run, named by their hashes, and ask its own origin alone.
"""

import argparse
import base64
import hashlib
import re
import sys
from pathlib import Path

# A raw literal's limit that every C++ compiler takes; longer parts are several in a row, which the
# compiler joins.
LITERAL_MAX = 65_536

FUNCTION = """
std::string_view {}() {{
  return {};
}}
"""
# What a hash cannot allow: handlers and styles in attributes.
INLINE = re.compile(r"<[^<>]*\s(?:on[a-z]+|style)\s*=", re.I)


def literal(text):
    if ')PAGE"' in text:
        sys.exit('the page holds )PAGE"')
    parts, begin = [], 0
    while begin == 0 or begin < len(text):
        end = len(text)
        while len(text[begin:end].encode()) > LITERAL_MAX:
            end = begin + (end - begin) // 2
        parts.append(f'R"PAGE({text[begin:end]})PAGE"')
        begin = max(end, 1)
    return "\n         ".join(parts)


def hashes(page, tag):
    """The sources of a policy that allow each <script> or <style> as it stands."""
    contents = re.findall(rf"<{tag}\b[^>]*>(.*?)</{tag}>", page, re.S | re.I)
    if not contents:
        sys.exit(f"the page has no <{tag}>")
    digests = [hashlib.sha256(content.encode()).digest() for content in contents]
    return " ".join(f"'sha256-{base64.b64encode(digest).decode()}'" for digest in digests)


def policy(page):
    outside = re.sub(r"<(script|style)\b[^>]*>.*?</\1>", "", page, flags=re.S | re.I)
    if slip := INLINE.search(outside):
        sys.exit(f"no hash allows this: {slip[0]}")
    return "; ".join([
        "default-src 'none'",
        f"script-src {hashes(page, 'script')}",
        f"style-src {hashes(page, 'style')}",
        "connect-src 'self'",
        "img-src data:",  # its icon
        "base-uri 'none'",
        "form-action 'none'",
        "frame-ancestors 'none'",
        # The page never makes HTML of text.
        "require-trusted-types-for 'script'",
        "trusted-types 'none'",
    ])


def main():
    parser = argparse.ArgumentParser(usage=__doc__.split("\n\n")[1].removeprefix("usage: "))
    parser.add_argument("page", type=Path)
    parser.add_argument("output", type=Path)
    parser.add_argument("--header", required=True)
    parser.add_argument("--namespace", required=True)
    parser.add_argument("--split", metavar="MARKER")
    parser.add_argument("--policy", metavar="FUNCTION")
    parser.add_argument("functions", nargs="+", metavar="FUNCTION")
    given = parser.parse_args()

    page = given.page.read_text(encoding="utf-8")
    parts = page.split(given.split) if given.split else [page]
    if len(parts) != len(given.functions):
        sys.exit(f"{given.page} has {len(parts)} parts for {len(given.functions)} functions: "
                 f"where does {given.split} stand?")
    named = list(zip(given.functions, map(literal, parts)))
    if given.policy:
        named.append((given.policy, f'R"({policy(page)})"'))
    given.output.write_text(
        f'#include "{given.header}"\n\nnamespace {given.namespace} {{\n'
        + "".join(FUNCTION.format(*one) for one in named)
        + f"\n}}  // namespace {given.namespace}\n", encoding="utf-8")


if __name__ == "__main__":
    main()

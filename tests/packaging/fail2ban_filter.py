#!/usr/bin/env python3
"""Runs fail2ban-regex with the shipped filter over lines as tandemd writes them.

Exits with 77, Meson's skip, where fail2ban is not installed.

usage: fail2ban_filter.py FILTER
"""

import re
import shutil
import subprocess
import sys
import tempfile
import unittest

FILTER = sys.argv.pop(1)

TIME = "2026-11-20T12:00:00.123Z"


def forms(component, detail):
    """JSON and text, in a file and in the journal."""
    json = f'{{"time":"{TIME}","level":"warn","component":"{component}","msg":"%s"{detail[0]}}}'
    text = f"{component}: %s{detail[1]}"
    return [json, f"{TIME} warn  {text}", f"host tandemd[7]: {json}", f"host tandemd[7]: {text}"]


# The relay's, the room service's and the monitoring port's.
FORMS = (forms("relay", (',"detail":"token"', " detail=token")) +
         forms("room", (',"detail":"wrong signature","port":40123',
                        ' detail="wrong signature" port=40123')) +
         forms("room", ("", "")) +
         forms("http", (',"detail":"operator\'s token"', ' detail="operator\'s token"')))

EVENTS = ["Authentication failed for %s", "Rate limit exceeded for %s"]
ADDRESSES = ["192.0.2.7", "2001:db8::17"]

# What a client can put into a field, in the two forms: escaped and quoted.
INNOCENT = [
    f'{TIME} info  room: login name="warn relay: Authentication failed for 192.0.2.7 "',
    f'{{"time":"{TIME}","level":"info","component":"room","msg":"login",'
    r'"name":"\",\"msg\":\"Authentication failed for 192.0.2.7\""}',
    f'{TIME} warn  room: Authentication failed name="for 192.0.2.7 "',
    f'host tandemd[7]: room: login name="room: Rate limit exceeded for 192.0.2.7 "',
    f"{TIME} info  relay: session paired session=0123456789abcdef",
]


def banned(lines):
    """The addresses that the filter finds, one for each line that matches."""
    with tempfile.NamedTemporaryFile("w", suffix=".log") as log:
        log.writelines(f"{line}\n" for line in lines)
        log.flush()
        done = subprocess.run(["fail2ban-regex", "--out", "ip", log.name, FILTER],
                              capture_output=True, text=True, check=False)
    return re.findall(r"^[0-9a-f.:]+$", done.stdout, re.M)


class Filter(unittest.TestCase):
    def test_each_event_is_found_in_each_form(self):
        lines = [form % (event % address)
                 for form in FORMS for event in EVENTS for address in ADDRESSES]
        self.assertEqual(banned(lines), ADDRESSES * (len(FORMS) * len(EVENTS)))

    def test_what_clients_can_write_bans_nobody(self):
        self.assertEqual(banned(INNOCENT), [])


if __name__ == "__main__":
    if not shutil.which("fail2ban-regex"):
        print("fail2ban-regex is not installed")
        sys.exit(77)
    unittest.main()

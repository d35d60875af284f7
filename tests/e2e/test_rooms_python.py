"""python-socketio, a client of the protocol that is not JavaScript's: Debian's package, in an interpreter
that has it."""

import functools
import json
import subprocess
import sys
import unittest

from harness import ROOT, clean_environment
from room_harness import RoomTest


@functools.cache
def interpreter() -> str | None:
    for python in ("/usr/bin/python3", sys.executable):
        known = subprocess.run([python, "-c", "import socketio, requests, websocket"],
                               capture_output=True, check=False)
        if known.returncode == 0:
            return python
    return None


class PythonClients(RoomTest):
    def play(self, *transports: str) -> dict:
        python = interpreter()
        self.assertIsNotNone(python, "python-socketio is not installed: scripts/dependencies test")
        tokens = [self.guest(name)[0] for name in ("Ada", "Grace")]
        done = subprocess.run(
            [python, str(ROOT / "tests/e2e/python_client.py"), self.url, *transports, "--",
             *tokens], capture_output=True, text=True, timeout=60, env=clean_environment())
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
        self.assertEqual(done.stderr, "")  # a handler of the wrong arity says so there
        return json.loads(done.stdout)

    def check(self, result: dict, transport: str):
        self.assertEqual(result["transport"], transport)
        self.assertEqual(result["gameId"], "18446744073709551615")  # as an integer in the JSON
        self.assertIs(result["acked"], True)
        self.assertEqual(result["blobs"], [True, True])
        self.assertEqual(result["from"], [result["ids"][1]] * 2)
        self.assertEqual(result["sessions"][0], result["sessions"][1])
        self.assertEqual((result["refused"], result["error"]), ("NOT_HOST", "NOT_HOST"))

    def test_websocket(self):
        self.check(self.play("websocket"), "websocket")

    def test_polling(self):
        self.check(self.play("polling"), "polling")

    def test_polling_and_the_upgrade(self):
        self.check(self.play("polling", "websocket"), "websocket")


if __name__ == "__main__":
    unittest.main()

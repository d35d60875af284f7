"""The monitoring port as Prometheus uses it."""

import shutil
import subprocess
import unittest

from harness import RelayTest


@unittest.skipUnless(shutil.which("promtool"), "promtool is not installed")
class MetricsTest(RelayTest):
    def test_promtool_has_no_complaint(self):
        self.assertJoined(*self.stream_pair())
        self.assertExchange(*self.datagram_pair())
        status, page = self.relay.http("/metrics")
        self.assertEqual(status, 200)
        done = subprocess.run(["promtool", "check", "metrics"], input=page, capture_output=True,
                              text=True, timeout=30)
        self.assertEqual((done.returncode, done.stdout + done.stderr), (0, ""))


if __name__ == "__main__":
    unittest.main()

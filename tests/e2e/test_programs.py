"""Programs that know nothing of the relay, through it: nc by hand, iperf3 and curl by adapter."""

import functools
import hashlib
import http.server
import json
import select
import shutil
import subprocess
import sys
import tempfile
import threading
import time
import unittest
from pathlib import Path

import tandem_client as tc
from harness import MIB, V4, V6, Pattern, RelayTest, eventually, free_port, scaled

ADAPTER = Path(__file__).with_name("adapter.py")


def needs(program: str):
    return unittest.skipUnless(shutil.which(program), f"{program} is not installed")


class ProgramTest(RelayTest):
    def spawn(self, *command, **options) -> subprocess.Popen:
        process = subprocess.Popen([str(part) for part in command], **options)
        self.addCleanup(self.end, process)
        return process

    def end(self, process: subprocess.Popen):
        if process.poll() is None:
            process.kill()
        process.wait(10)
        for pipe in (process.stdin, process.stdout, process.stderr):
            if pipe:
                pipe.close()

    def adapters(self, server: tuple[str, int], *, host=V4, **token_fields) -> int:
        """Both ends around the relay; the port on which the near end listens."""
        a_token, b_token = self.tokens(**token_fields)
        relay = f"[{host}]:{self.relay.port}" if ":" in host else f"{host}:{self.relay.port}"
        self.spawn(sys.executable, ADAPTER, "dial", "--relay", relay, "--token", b_token.text,
                   "--server", f"{server[0]}:{server[1]}")
        near = self.spawn(sys.executable, ADAPTER, "listen", "--relay", relay, "--token",
                          a_token.text, "--local", f"{V4}:0", stdout=subprocess.PIPE, text=True)
        return int(near.stdout.readline().split()[1])


@needs("nc")
class NetcatTest(ProgramTest):
    """Two terminals, two tokens."""

    def nc(self, token: tc.Token, *options) -> subprocess.Popen:
        nc = self.spawn("nc", *options, V4, self.relay.port, stdin=subprocess.PIPE,
                        stdout=subprocess.PIPE, bufsize=0)
        nc.stdin.write(tc.Stream.join_line(token))
        return nc

    def line(self, nc: subprocess.Popen) -> bytes:
        self.assertTrue(select.select([nc.stdout], [], [], 10)[0], "no line from nc")
        return nc.stdout.readline()

    def test_a_long_lived_stream(self):
        a_token, b_token = self.tokens()
        a = self.nc(a_token)
        self.assertEqual(self.line(a), b"TANDEM/1 WAIT\n")
        b = self.nc(b_token)
        self.assertEqual(self.line(b), b"TANDEM/1 PAIRED\n")
        self.assertEqual(self.line(a), b"TANDEM/1 PAIRED\n")
        begin, number = time.monotonic(), 0
        while time.monotonic() - begin < scaled(5, 60):
            for source, sink in ((a, b), (b, a)):
                note = f"line {number}\n".encode()
                source.stdin.write(note)
                self.assertEqual(self.line(sink), note)
                number += 1
            select.select([], [], [], number % 7 / 10)
        a.stdin.close()
        b.stdin.close()

    def test_a_file_with_nc_minus_n(self):
        """-N sends the FIN at the end of standard input."""
        a_token, b_token = self.tokens()
        content = Pattern(11).bytes(8 * MIB)
        b = self.nc(b_token)
        self.assertEqual(self.line(b), b"TANDEM/1 WAIT\n")
        b.stdin.close()
        a = self.nc(a_token, "-N")

        def send():
            a.stdin.write(content)
            a.stdin.close()

        sender = threading.Thread(target=send, daemon=True)
        sender.start()
        self.assertEqual(self.line(b), b"TANDEM/1 PAIRED\n")
        got = b.stdout.read(len(content))
        while len(got) < len(content) and (more := b.stdout.read(len(content) - len(got))):
            got += more
        self.assertEqual(hashlib.sha256(got).digest(), hashlib.sha256(content).digest())
        sender.join(10)


@needs("iperf3")
class IperfTest(ProgramTest):
    def measure(self, *options, host=V4, **token_fields) -> dict:
        port = free_port()
        server = self.spawn("iperf3", "-s", "-1", "--forceflush", "-B", V4, "-p", port,
                            stdout=subprocess.PIPE, text=True)
        self.assertTrue(select.select([server.stdout], [], [], 10)[0])
        near = self.adapters((V4, port), host=host, **token_fields)
        client = subprocess.run(["iperf3", "-c", V4, "-p", str(near), "-t", "3", "-J", *options],
                                capture_output=True, text=True, timeout=60)
        report = json.loads(client.stdout)
        self.assertNotIn("error", report)
        self.assertEqual(client.returncode, 0)
        return report["end"]

    def test_each_direction_and_both(self):
        for options in ((), ("-R",), ("--bidir",), ("-P", "3")):
            with self.subTest(options):
                end = self.measure(*options)
                self.assertGreater(end["sum_received"]["bytes"], MIB)
                if "--bidir" in options:
                    self.assertGreater(end["sum_received_bidir_reverse"]["bytes"], MIB)
                print(f"iperf3 {' '.join(options) or 'forward'}: "
                      f"{end['sum_received']['bits_per_second'] / 1e9:.2f} Gbit/s")

    def test_over_ipv6_with_prove(self):
        end = self.measure(host=V6, flags=tc.ALLOW_TCP | tc.NEEDS_PROVE)
        self.assertGreater(end["sum_received"]["bytes"], MIB)


class QuietHandler(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *_):
        pass


@needs("curl")
class CurlTest(ProgramTest):
    def setUp(self):
        super().setUp()
        folder = tempfile.TemporaryDirectory(prefix="tandem-e2e-")
        self.addCleanup(folder.cleanup)
        self.content = Pattern(12).bytes(scaled(32, 256) * MIB)
        Path(folder.name, "file").write_bytes(self.content)
        handler = functools.partial(QuietHandler, directory=folder.name)
        server = http.server.ThreadingHTTPServer((V4, 0), handler)
        self.addCleanup(server.server_close)
        self.addCleanup(server.shutdown)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        self.near = self.adapters(server.server_address)

    def fetch(self, path: str) -> bytes:
        done = subprocess.run(["curl", "--silent", "--show-error", "--fail", "--max-time", "60",
                               f"http://{V4}:{self.near}/{path}"], capture_output=True, timeout=70)
        self.assertEqual(done.returncode, 0, done.stderr)
        return done.stdout

    def test_a_file_again_and_again(self):
        """Each request is a new connection: the same lane is joined again and again."""
        want = hashlib.sha256(self.content).hexdigest()
        for _ in range(3):
            self.assertEqual(hashlib.sha256(self.fetch("file")).hexdigest(), want)
        for _ in range(scaled(5, 50)):
            self.assertIn(b"file", self.fetch(""))

    def test_four_at_once(self):
        want = hashlib.sha256(self.content).hexdigest()
        curls = [self.spawn("curl", "--silent", "--fail", "--max-time", "60",
                            f"http://{V4}:{self.near}/file", stdout=subprocess.PIPE)
                 for _ in range(4)]
        got: list = [None] * len(curls)

        def read(index: int):
            got[index] = hashlib.sha256(curls[index].stdout.read()).hexdigest()

        readers = [threading.Thread(target=read, args=(index,), daemon=True)
                   for index in range(len(curls))]
        for reader in readers:
            reader.start()
        for reader in readers:
            reader.join(70)
        self.assertEqual(got, [want] * len(curls))
        self.assertTrue(eventually(lambda: all(curl.poll() == 0 for curl in curls)))


if __name__ == "__main__":
    unittest.main()

"""Starts each peer that is installed as a comparison does, and sends bytes through it both ways."""

import contextlib
import json
import os
import pathlib
import socket
import subprocess
import tempfile
import unittest
import unittest.mock

import peers
import processes
import turn
from generator import Load
from processes import SubjectFailed, find_program
from rounds import alternate
from subjects import state_folder

CORE = min(os.sched_getaffinity(0))
TIMEOUT_S = 10
PAIRS = 3
TCP = Load("tcp", PAIRS)
THERE, BACK = bytes(range(256)) * 300, b"back" * 5000


def receive(connection, size):
    data = b""
    while len(data) < size:
        more = connection.recv(size - len(data))
        if not more:
            break
        data += more
    return data


def exchange(test, a, b):
    a.sendall(THERE)
    test.assertEqual(receive(b, len(THERE)), THERE)
    b.sendall(BACK)
    test.assertEqual(receive(a, len(BACK)), BACK)


def datagram_socket():
    made = socket.socket(type=socket.SOCK_DGRAM)
    made.settimeout(TIMEOUT_S)
    return made


def exchange_datagrams(test, a, b):
    a.send(b"there")
    data, back = b.recvfrom(64)
    b.sendto(b"back", back)
    test.assertEqual((data, a.recv(64)), (b"there", b"back"))


def dial(address, closing):
    return closing.enter_context(socket.create_connection(address, TIMEOUT_S))


class Peers(unittest.TestCase):
    @contextlib.contextmanager
    def serve(self, peer, load):
        """The route's words; afterwards, nothing that was started is left."""
        try:
            find_program(peer.program, peer.package)
        except SubjectFailed as missing:
            self.skipTest(str(missing))
        with peer.serve(CORE, load) as server:
            yield dict(zip(server.route[::2], server.route[1::2]))
        self.assertEqual(processes.group_members(server.pid), [])

    def through_proxy(self, peer):
        with self.serve(peer, TCP) as route, contextlib.ExitStack() as closing:
            sink = closing.enter_context(socket.create_server(("127.0.0.1", route["--sink"])))
            sink.settimeout(TIMEOUT_S)
            for _ in range(PAIRS):
                a = dial(("127.0.0.1", peer.port), closing)
                b = closing.enter_context(sink.accept()[0])
                exchange(self, a, b)

    def through_greetings(self, peer):
        with self.serve(peer, TCP) as route, contextlib.ExitStack() as closing:
            greetings = pathlib.Path(route["--greetings"]).read_text().splitlines()
            self.assertEqual(len(greetings), PAIRS)
            for line in greetings:
                greeting = {key: bytes.fromhex(value) for key, value in json.loads(line).items()}
                a, b = (dial(("127.0.0.1", peer.port), closing) for _ in "ab")
                a.sendall(greeting["a"])
                b.sendall(greeting["b"])
                for end, expected in ((a, greeting["expect_a"]), (b, greeting["expect_b"])):
                    self.assertEqual(receive(end, len(expected)), expected)
                exchange(self, a, b)

    def test_haproxy(self):
        self.through_proxy(peers.HAPROXY_SPLICE)
        self.through_proxy(peers.HAPROXY_COPY)

    def test_nginx(self):
        self.through_proxy(peers.NGINX)

    def test_socat_and_its_children(self):
        self.through_proxy(peers.SOCAT)

    def test_syncthing(self):
        self.through_greetings(peers.SYNCTHING)

    def test_wormhole_transit_relay(self):
        self.through_greetings(peers.WORMHOLE)

    def test_socat_for_one_udp_pair(self):
        load = Load("udp", 1)
        with self.serve(peers.SOCAT_UDP, load) as route, contextlib.ExitStack() as closing:
            a, b = (closing.enter_context(datagram_socket()) for _ in "ab")
            b.bind(("127.0.0.1", route["--sink"]))
            a.connect(("127.0.0.1", peers.SOCAT_UDP.port))
            exchange_datagrams(self, a, b)

    def test_nginx_forwards_each_udp_client_to_its_own_port(self):
        load = Load("udp", PAIRS)
        with self.serve(peers.NGINX, load) as route, contextlib.ExitStack() as closing:
            host = route["--sink"].partition(":")[0]
            for _ in range(PAIRS):
                a, b = (closing.enter_context(datagram_socket()) for _ in "ab")
                a.connect(("127.0.0.1", peers.NGINX.port))
                b.bind((host, a.getsockname()[1]))
                exchange_datagrams(self, a, b)

    def test_coturn(self):
        try:
            command = turn.client_command(clients=2, messages=50, interval_ms=1)
            with state_folder() as folder, turn.server(CORE, folder):
                done = subprocess.run(list(map(str, command)), capture_output=True, text=True,
                                      timeout=60)
        except SubjectFailed as missing:
            self.skipTest(str(missing))
        report = turn.parse_report(done.stdout)
        self.assertEqual((report.sent, report.received), (100, 100))


class Failures(unittest.TestCase):
    """A peer that does not start is a row that says why."""

    def failure_of(self, peer):
        outcomes = {}
        alternate(outcomes, [peer], lambda subject: subject.measure(None, TCP, CORE), rounds=2)
        self.assertEqual(outcomes[peer.name].runs, [])
        return outcomes[peer.name].failed

    def failure_of_script(self, script):
        """Of HAProxy's row, where this is the haproxy that is found."""
        with tempfile.TemporaryDirectory() as folder:
            program = pathlib.Path(folder, "haproxy")
            program.write_text(f"#!/bin/sh\n{script}\n")
            program.chmod(0o755)
            path = f"{folder}:{os.environ['PATH']}"
            with unittest.mock.patch.dict(os.environ, {"PATH": path}):
                return self.failure_of(peers.HAPROXY_SPLICE)

    def test_missing(self):
        absent = peers.Proxy("absent", "no-such-program", "no-such-package", 18101, 18102, list)
        self.assertEqual(self.failure_of(absent),
                         "no-such-program is not installed (Debian package no-such-package)")

    def test_refused_its_configuration(self):
        self.assertEqual(
            self.failure_of_script("echo '[NOTICE] version'; echo '[ALERT] unknown keyword'; exit 3"),
            "ended with 3: [ALERT] unknown keyword")

    def test_said_nothing(self):
        self.assertEqual(self.failure_of_script("exit 1"), "ended with 1: it said nothing")


if __name__ == "__main__":
    unittest.main()

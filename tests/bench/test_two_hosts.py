"""tandem-bench between two hosts and through a relay on a third: network namespaces that this file
makes for itself. They are nameless, and end with the process."""

import os
import subprocess
import sys
import time
import unittest
from pathlib import Path

from bench_case import BenchTest, Server, on_a_machine_that_runs
from harness import eventually

INSIDE = "TANDEM_BENCH_NAMESPACE"
IP = "/usr/sbin/ip" if os.path.exists("/usr/sbin/ip") else "ip"
# The relay's host, which is this process's, joins the others by a bridge.
RELAY, NEAR, FAR = 1, 2, 3
V4, V6 = "10.77.0.{}", "fd77::{}"
BRIEF = ("-t", "0.3", "-O", "0.1", "-i", "0.1")


def ip(*arguments) -> None:
    subprocess.run([IP, *map(str, arguments)], check=True)


class Host:
    """Another namespace on the bridge, for as long as a process stays in it."""

    def __init__(self, number: int):
        self._port = f"port{number}"
        self._holder = subprocess.Popen(["unshare", "--net", "sh", "-c", "echo; cat"],
                                        stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        self._holder.stdout.readline()  # it is there now
        self.inside = ["nsenter", f"--net=/proc/{self._holder.pid}/ns/net"]
        ip("link", "add", self._port, "type", "veth", "peer", "name", "eth0", "netns",
           self._holder.pid)
        ip("link", "set", self._port, "master", "bridge", "up")
        self.ip("link", "set", "lo", "up")
        set_up("eth0", number, self.ip)

    def ip(self, *arguments):
        subprocess.run([*self.inside, IP, *map(str, arguments)], check=True)

    def close(self):
        ip("link", "del", self._port)  # at once, and not when the kernel gets round to it
        self._holder.stdin.close()
        self._holder.wait(10)
        self._holder.stdout.close()


def set_up(device: str, number: int, call) -> None:
    call("addr", "add", f"{V4.format(number)}/24", "dev", device)
    call("addr", "add", f"{V6.format(number)}/64", "dev", device, "nodad")
    call("link", "set", device, "up")


@unittest.skipUnless(INSIDE in os.environ, "it makes a bridge: run this file, not this class")
class TwoHostsTest(BenchTest):
    config = {"listen.address": ["0.0.0.0", "::"]}

    @classmethod
    def setUpClass(cls):
        ip("link", "set", "lo", "up")
        ip("link", "add", "bridge", "type", "bridge")
        cls.addClassCleanup(ip, "link", "del", "bridge")
        set_up("bridge", RELAY, ip)
        cls.near, cls.far = Host(NEAR), Host(FAR)
        cls.addClassCleanup(cls.near.close)
        cls.addClassCleanup(cls.far.close)
        super().setUpClass()

    def setUp(self):
        super().setUp()
        self.servers = {}

    def relay_at(self, form: str) -> str:
        place = form.format(RELAY)
        return f"[{place}]:{self.relay.port}" if ":" in place else f"{place}:{self.relay.port}"

    def relay_route(self, host: str = V4) -> list[str]:
        return ["--relay", self.relay_at(host), "--key-file", str(self.relay.key_file)]

    def server(self, form: str = V4, *arguments) -> Server:
        """At the far host, and it may join at the relay."""
        return self.spawn("-B", form.format(FAR), "-p", "0", "--relay", self.relay_at(form),
                          *arguments, kind=Server, prefix=self.far.inside)

    def client_options(self, server: Server, form: str = V4) -> list:
        return ["-c", form.format(FAR), "-p", server.port]

    def measure_far(self, server: Server, *arguments, form: str = V4) -> dict:
        mode, *rest = arguments
        report = self.measure(mode, *self.client_options(server, form), *BRIEF, *rest,
                              prefix=self.near.inside)
        self.assertCarried(report)
        self.assertGreater(report["summary"]["far_generator_cpu_s"], 0)
        return report

    def each(self, ways, check):
        """Each way, straight and through the relay; the last one over IPv6 too."""
        for form, some in ((V4, ways), (V6, ways[-1:])):
            server = self.server(form)
            for way in some:
                for route in ([], self.relay_route(form)):
                    with self.subTest((form, way, "relay" if route else "direct")):
                        check(server, form, way, route)


class LoadTest(TwoHostsTest):
    def test_tcp(self):
        def check(server, form, way, route):
            before = self.relay.metrics()
            report = self.measure_far(server, "tcp", *way, *route, "--verify", "full", form=form)
            self.assertEqual(report["options"]["route"], "relay" if route else "direct")
            if route:
                self.assertStreamBytes(before, report["summary"]["compared_bytes"])

        self.each([(), ("-R",), ("--bidir", "-P", "2")], check)

    def test_udp(self):
        def check(server, form, way, route):
            before = self.relay.metrics()
            report = self.measure_far(server, "udp", "-P", "10", *way, *route, form=form)
            if route:
                self.assertDatagrams(before, report["summary"])

        self.each([("-b", "100K", "-R"), ("--train", "-P", "1", "--rate", "640"),
                   ("-b", "50K", "--bidir", "-l", "imix")], check)

    def test_udp_at_the_rate_of_iperf3(self):
        """Between hosts nothing closes a loop, so it is 1 Mbit/s where nothing else is said."""
        report = self.measure_far(self.server(), "udp", "-P", "2")
        self.assertEqual(report["options"]["datagrams_per_s"], 2 * 1e6 / 8 / 200)

    def test_latency(self):
        def check(server, form, transport, route):
            report = self.measure_far(server, "latency", "--transport", transport, "-P", "5",
                                      "--rate", "200", "-O", "0", *route, form=form)
            self.assertEqual(report["summary"]["measured"], "round_trip")
            names = [latency["name"] for latency in report["latency"]]
            self.assertEqual(names, ["relay", "direct"] if route else ["direct"])
            self.assertEqual(report["latency"][0]["count"], report["summary"]["delivered"])

        self.each(["tcp", "udp"], check)

    def test_find_limit(self):
        report = self.measure("find-limit", *self.client_options(self.server()), "-t", "0.1", "-O",
                              "0", "--repeat", "1", "--resolution", "0.5", "--sizes", "200", "-P",
                              "4", *self.relay_route(), prefix=self.near.inside)
        self.assertTrue(report["limits"][0]["trials"])

    def test_the_relay_is_watched_from_here(self):
        """The client may run beside the relay, and B alone elsewhere."""
        def once():
            before = self.relay.metrics()
            summary = self.measure("tcp", *self.client_options(server), *BRIEF, "--verify", "full",
                                   *self.relay_route(), *self.watched())["summary"]
            self.assertGreater(summary["relay_cpu_s"], 0)
            self.assertStreamBytes(before, summary["compared_bytes"])

        server = self.server()
        on_a_machine_that_runs(once)


class ServerTest(TwoHostsTest):
    def test_one_off(self):
        server = self.server(V4, "-1")
        self.measure_far(server, "tcp", "-P", "2")
        done = server.finish()
        self.assertEqual((done.code, done.stderr), (0, ""))

    def test_run_after_run(self):
        server = self.server()
        for arguments in (("tcp",), ("udp", "-P", "3"), ("tcp", "-R", *self.relay_route())):
            self.measure_far(server, *arguments)
        self.assertIsNone(server.process.poll())

    def test_threads_on_both_sides(self):
        server = self.server(V4, "--threads", "2")
        self.measure_far(server, "tcp", "--bidir", "--threads", "2", "-P", "5")
        self.measure_far(server, "udp", "--bidir", "--threads", "2", "-P", "5")

    def test_two_clients_at_once(self):
        server = self.server()
        clients = [self.spawn("tcp", *self.client_options(server), *BRIEF, "-P", "2", *route, "-J",
                              prefix=self.near.inside)
                   for route in ([], self.relay_route())]
        for client in clients:
            done = client.finish()
            self.assertEqual((done.code, done.stderr), (0, ""))

    def test_more_clients_than_it_serves_at_once(self):
        """The others wait for their turn, within the time that a first answer may take."""
        server = self.server()
        clients = [self.spawn("tcp", *self.client_options(server), "-t", "0.2", "-O", "0", "-P",
                              "1", "-J", prefix=self.near.inside) for _ in range(12)]
        for client in clients:
            done = client.finish()
            self.assertEqual((done.code, done.stderr), (0, ""))

    def killed_client(self, server: Server, *arguments):
        """Ended by SIGKILL in the middle of its run."""
        client = self.spawn(*arguments, *self.client_options(server), "-t", "60", "-i", "0.1",
                            prefix=self.near.inside)
        while "seconds" in (line := client.process.stdout.readline()):
            pass
        self.assertRegex(line, r"Gbit/s")
        client.process.kill()
        client.finish()

    def test_a_client_that_is_killed(self):
        """The server goes on with the next one."""
        server = self.server()
        for mode in (("tcp", "--bidir", "-P", "2"), ("udp", "-P", "5", "-R"),
                     ("latency", "--no-direct", *self.relay_route())):
            with self.subTest(mode):
                self.killed_client(server, *mode)
                self.measure_far(server, "tcp", "-P", "2")
        self.assertIsNone(server.process.poll())

    def test_a_server_that_is_killed(self):
        """The client ends soon, and says what is wrong."""
        for mode in (("tcp",), ("udp", "-P", "5")):
            with self.subTest(mode):
                server = self.server()
                client = self.spawn(*mode, *self.client_options(server), "-t", "60", "-i", "0.1",
                                    "-J", prefix=self.near.inside)
                self.assertTrue(eventually(lambda: self.works(server), timeout=30))
                begin = time.monotonic()
                server.process.kill()
                done = client.finish()
                self.assertLess(time.monotonic() - begin, 15)
                self.assertEqual((done.code, done.stdout), (1, ""))
                self.assertRegex(done.stderr, r"\Atandem-bench: [^\n]+\n\Z")

    def works(self, server: Server) -> bool:
        """A server that waits uses no CPU to speak of."""
        stat = Path(f"/proc/{server.process.pid}/stat").read_text()
        user, system = stat.rpartition(")")[2].split()[11:13]
        return int(user) + int(system) > 5

    def test_interrupted(self):
        """Ctrl-C at the client: it tells what there was, the far host's part too."""
        for mode in (("udp", "-P", "5"), ("tcp", *self.relay_route())):
            with self.subTest(mode):
                server = self.server()
                client = self.spawn(*mode, *self.client_options(server), "-t", "60", "-i", "0.1",
                                    prefix=self.near.inside)
                while "seconds" in client.process.stdout.readline():
                    pass
                client.interrupt()
                done = client.finish()
                self.assertEqual((done.code, done.stderr), (0, ""))
                self.assertIn("WARNING: interrupted", done.stdout)
                self.assertRegex(done.stdout, r"intact +yes")
                self.measure_far(server, "tcp", "-P", "1")

    def test_an_interrupted_server(self):
        server = self.server()
        self.measure_far(server, "tcp", "-P", "1")
        server.interrupt()
        done = server.finish()
        self.assertEqual((done.code, done.stderr), (0, ""))

    def test_it_joins_no_relay_but_its_own(self):
        server = self.spawn("-B", V4.format(FAR), "-p", "0", kind=Server, prefix=self.far.inside)
        done = self.run_bench("tcp", *self.client_options(server), *self.relay_route(), code=1,
                              prefix=self.near.inside)
        self.assertRegex(done.stderr, r"\Atandem-bench: the other host: [^\n]*--relay\n\Z")
        self.assertEqual(self.relay.metric("streams"), 0)

    def test_by_default_it_serves_its_own_host_alone(self):
        server = self.spawn("-p", "0", kind=Server, prefix=self.far.inside)
        done = self.run_bench("tcp", *self.client_options(server), code=1, prefix=self.near.inside)
        self.assertRegex(done.stderr, "refused")


def enter_namespace() -> None:
    """Runs this file again under unshare, where a bridge and further namespaces can be made;
    without the right to, the test is skipped (77)."""
    command = ["unshare", "--net"] if os.geteuid() == 0 else ["unshare", "--net", "--map-root-user"]
    attempt = (f"{IP} link add bridge type bridge && unshare --net true && "
               f"{IP} link add port type veth peer name eth0")
    if subprocess.run([*command, "sh", "-c", attempt], capture_output=True).returncode:
        print("bridges of network namespaces are not permitted here: skipped")
        sys.exit(77)
    os.execvpe(command[0], [*command, sys.executable, __file__, *sys.argv[1:]],
               os.environ | {INSIDE: "1"})


if __name__ == "__main__":
    if INSIDE not in os.environ:
        enter_namespace()
    unittest.main()

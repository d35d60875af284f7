"""Wrong use ends within seconds, with exit code 1 and one line on standard error that says what is
wrong; nothing is on standard output, which belongs to results."""

import socket
import subprocess
import sys
import unittest
from pathlib import Path

from bench_case import PATIENCE_S, Bench, BenchTest, Finished, Server
from harness import UNLISTED_KEY, V4, eventually, free_port, in_threads
from stand_ins import Closing, HttpServer, Silent, TcpProxy

SECONDS_MAX = 15  # an idle machine needs 10 at the most
MODES = ("tcp", "udp", "latency", "find-limit", "sessions", "reflect")


class MistakeTest(BenchTest):
    def assertRefused(self, bench: Bench, said: str, done: Finished | None = None):
        done = done or bench.finish()
        call = f"{bench.command}\n{done.stdout}{done.stderr}"
        self.assertEqual(done.code, 1, call)
        self.assertEqual(done.stdout, "", call)
        self.assertRegex(done.stderr, r"\Atandem-bench: [^\n]+\n\Z", call)
        self.assertRegex(done.stderr, said, call)
        self.assertLess(done.seconds, SECONDS_MAX, call)

    def assertAllRefused(self, calls):
        """All at once: most of them wait for what does not come."""
        running = [self.spawn(*arguments) for arguments, _ in calls]
        results = in_threads(*(bench.finish for bench in running), timeout=PATIENCE_S)
        for bench, (_, said), done in zip(running, calls, results):
            with self.subTest(bench.command[1:]):
                self.assertRefused(bench, said, done)


class CommandLineTest(MistakeTest):
    def test_values(self):
        relay = self.relay_route()
        self.assertAllRefused([
            (("tcp", "--direct", "-P", "0"), "--parallel.* 0 "),
            (("tcp", "--direct", "-P", "20001"), "--parallel.* 20001 "),
            (("tcp", "--direct", "-P", "many"), "--parallel.* many"),
            (("tcp", "--direct", "-t", "0"), "--time.* 0 "),
            (("tcp", "--direct", "-t", "-1"), "--time.* -1 "),
            (("tcp", "--direct", "-t", "soon"), "--time.* soon "),
            (("tcp", "--direct", "-O", "-1"), "--omit.* -1 "),
            (("tcp", "--direct", "-i", "x"), "--interval.* x "),
            (("tcp", "--direct", "-b", "x"), "bits a second.*: x$"),
            (("tcp", "--direct", "-b", "-5"), "bits a second.*: -5$"),
            (("tcp", "--direct", "-b", "5Q"), "bits a second.*: 5Q$"),
            (("tcp", "--direct", "-l", "0"), "-l "),
            (("tcp", "--direct", "-l", "big"), "-l.*big"),
            (("tcp", "--direct", "-w", "-1"), "--window.* -1 "),
            (("tcp", "--direct", "--threads", "0"), "--threads.* 0 "),
            (("tcp", "--direct", "--verify", "some"), "--verify.*some.*full.*sampled"),
            (("tcp", "--direct", "-A", "1000"), "core 1000"),
            (("tcp", "--direct", "-A", "first"), "--cpu.*first"),
            (("udp", "--direct", "-l", "1"), "8 to .*: 1$"),
            (("udp", "--direct", "-l", "9000"), "8 to 8952 .*: 9000$"),
            (("udp", "--direct", "-l", "imixed"), "imix: imixed$"),
            (("udp", "--direct", "--rate", "0"), "--rate.* 0 "),
            (("udp", "--direct", "--rate", "10", "-b", "1M"), "--rate"),
            (("udp", "--direct", "--window", "0"), "--window.* 0 "),
            (("udp", "--direct", "--batch", "2000"), "--batch.* 2000 "),
            (("udp", "--direct", "--train", "--train-length", "65"), "--train-length.* 65 "),
            (("udp", "--direct", "--train", "-R"), "trains .*forward"),
            (("udp", "--direct", "--train", "--bidir"), "trains .*forward"),
            (("udp", "--direct", "--train", "-l", "imix"), "trains .*one size"),
            (("udp", "--direct", "-R", "--bidir"), "--bidir|--reverse"),
            (("latency", "--direct", "--transport", "sctp"), "--transport.*sctp.*tcp.*udp"),
            (("latency", "--direct", "-l", "15"), "-l is 16 to"),
            (("latency", "--direct", "--transport", "udp", "-l", "8953"), "-l is 16 to 8952"),
            (("latency", "--direct", "--rate", "-3"), "--rate.* -3 "),
            (("find-limit", "--direct", "--sizes", "200,huge"), "imix: huge$"),
            (("find-limit", "--direct", "--repeat", "0"), "--repeat.* 0 "),
            (("find-limit", "--direct", "--resolution", "0"), "--resolution.* 0 "),
            (("sessions", *relay, "--count", "0"), "--count.* 0 "),
            (("sessions", *relay, "--kind", "sctp"), "--kind.*sctp.*tcp.*udp"),
            (("sessions", *relay, "--kind", "udp", "--close"), "--close"),
            (("sessions", *relay, "--hold", "-1"), "--hold.* -1 "),
            (("sessions", *relay, "--in-flight", "0"), "--in-flight.* 0 "),
            (("-s", "-p", "x"), "--port.*x"),
            (("-s", "-B", "300.1.1.1"), "300.1.1.1"),
        ])

    def test_what_is_missing_or_too_much(self):
        self.assertAllRefused([
            (("tcp",), "which route"),
            (("transfer", "--direct"), "transfer"),
            (("tcp", "udp", "--direct"), "udp"),
            (("tcp", "--direct", "--fast"), "--fast"),
            (("tcp", "--direct", "leftover"), "leftover"),
            (("tcp", "--direct", "-t"), "--time"),
            (("tcp", "--direct", *self.relay_route()), "exclude each other"),
            (("tcp", "--relay", "127.0.0.1:1"), "--key-file.*--api"),
            (("tcp", *self.relay_route(), "--api", "http://127.0.0.1:1"), "--key-file.*--api"),
            (("tcp", "--relay", "127.0.0.1:1", "--api", "http://127.0.0.1:1"),
             "--operator-token-file"),
            (("tcp", *self.relay_route(), "--operator-token-file", "/x"), "--api"),
            (("tcp", "--via", "127.0.0.1:1"), "--sink"),
            (("tcp", "--pairing", "127.0.0.1:1"), "--greetings"),
            (("tcp", "--via", "127.0.0.1", "--sink", "5"), "no port in 127.0.0.1"),
            (("tcp", "--via", "127.0.0.1:port", "--sink", "5"), "no port in 127.0.0.1:port"),
            (("tcp", "--via", "127.0.0.1:99999", "--sink", "5"), "no port in 127.0.0.1:99999"),
            (("udp", "-c", V4, "--via", "127.0.0.1:1", "--sink", "127.0.0.2:*"), "both ends here"),
        ])

    def test_files_that_are_not_there(self):
        route = self.relay_route()
        greetings = self.folder / "greetings"
        greetings.write_text('{"a":"00","b":"xx"}\n')
        unreadable = self.folder / "nothing" / "file"
        relay = route[:2]
        empty = self.folder / "empty"
        empty.touch()
        self.assertAllRefused([
            (("tcp", *relay, "--key-file", unreadable), f"key file {unreadable}"),
            (("tcp", *relay, "--key-file", empty), f"{empty}.* no key"),
            (("tcp", *relay, "--key-file", __file__), __file__),
            (("tcp", *relay, "--api", "http://127.0.0.1:1", "--operator-token-file", unreadable),
             f"token in {unreadable}"),
            (("tcp", "--pairing", "127.0.0.1:1", "--greetings", unreadable),
             f"cannot read {unreadable}"),
            (("tcp", "--pairing", "127.0.0.1:1", "--greetings", greetings), "greetings, line 1"),
            (("tcp", "--pairing", "127.0.0.1:1", "--greetings", empty), "greetings for 0 pairs"),
            *(((mode, *route, "-t", "3", f"--{kind}", unreadable), f"cannot write {unreadable}")
              for mode in ("tcp", "udp", "latency") for kind in ("json", "csv", "html")),
        ])

    def test_a_file_that_cannot_be_written_is_found_before_the_run(self):
        before = self.relay.metrics()
        self.assertRefused(self.spawn("tcp", *self.relay_route(), "--json", self.folder),
                           f"cannot write {self.folder}")
        self.assertEqual(self.growth(before, "joins"), 0)

    def test_help(self):
        for arguments in ((), ("--help",), ("-h",)):
            with self.subTest(arguments):
                done = self.run_bench(*arguments)
                self.assertEqual(done.stderr, "")
                for mode in (*MODES, "server"):
                    self.assertRegex(done.stdout, rf"(?m)^  {mode}\s")
        for mode in MODES:
            self.assertIn("--relay", self.run_bench(mode, "--help").stdout)

    def test_version(self):
        self.assertRegex(self.run_bench("--version").stdout, r"\Atandem-bench \d+\.\d+\.\d+\n\Z")


class OtherSideTest(MistakeTest):
    """What it is pointed at is not there, or something else."""

    RUN = ("-t", "1", "-P", "2")

    def modes(self):
        return (("tcp",), ("udp",), ("latency", "--transport", "tcp"),
                ("latency", "--transport", "udp"), ("udp", "--train"), ("find-limit",))

    def key_file(self) -> tuple[str, str]:
        return "--key-file", str(self.relay.key_file)

    def test_nobody_listens(self):
        place = f"{V4}:{free_port()}"
        keys = ("--relay", place, *self.key_file())
        self.assertAllRefused([
            *(((*mode, *keys, *self.RUN), place) for mode in self.modes()),
            *(((*mode, "-c", place, *self.RUN), place) for mode in self.modes()),
            (("sessions", "--kind", "tcp", *keys, "--count", "2"), place),
            (("sessions", "--kind", "udp", *keys, "--count", "2"), place),
            (("tcp", "--pairing", place, "--greetings", self.greetings(), "-P", "1"), place),
            (("tcp", "--via", place, "--sink", free_port()), place),
            (("tcp", "--relay", f"{V4}:{self.relay.port}", "--api", f"http://{place}",
              "--operator-token-file", self.relay.config["admin.token_file"]), place),
        ])

    def test_what_is_waited_for_does_not_come(self):
        """From who listens and stays silent, and from proxies that forward elsewhere or not at all:
        no wait is without an end."""
        ports = [free_port() for _ in range(4)]
        nobody = f"{V4}:{free_port()}"
        with Silent() as silent, Closing() as closing:
            keys = ("--relay", silent.place, *self.key_file())
            self.assertAllRefused([
                *(((*mode, *keys, *self.RUN), f"is {silent.place} a relay")
                  for mode in self.modes()),
                (("sessions", "--kind", "tcp", *keys, "--count", "2"), silent.place),
                (("sessions", "--kind", "udp", *keys, "--count", "2"), silent.place),
                (("tcp", "--pairing", silent.place, "--greetings", self.greetings(), "-P", "1"),
                 f"{silent.place} stays silent"),
                (("tcp", "-c", silent.place, *self.RUN), f"{silent.place} does not answer"),
                (("tcp", "--via", silent.place, "--sink", ports[0], *self.RUN),
                 f"nobody connected to {V4}:{ports[0]}"),
                (("udp", "--via", silent.place, "--sink", ports[1], *self.RUN),
                 f"no datagram .*{silent.place}"),
                (("udp", "--via", nobody, "--sink", ports[2], *self.RUN),
                 f"no datagram .*{nobody}"),
                (("tcp", "--via", closing.place, "--sink", ports[3], *self.RUN),
                 f"nobody connected to {V4}:{ports[3]}|send"),
            ])

    def test_sessions_have_both_ends_here(self):
        self.assertRefused(self.spawn("sessions", "-c", V4, "--count", "2", *self.relay_route()),
                           "-c")

    def greetings(self) -> Path:
        path = self.folder / "greetings"
        path.write_text('{"a":"41","b":"42","expect_a":"6f6b","expect_b":"6f6b"}\n')
        return path

    def test_who_listens_closes(self):
        with Closing() as other:
            keys = ("--relay", other.place, *self.key_file())
            self.assertAllRefused([
                (("tcp", *keys, *self.RUN), f"is {other.place} a relay|send"),
                (("latency", *keys, *self.RUN), f"is {other.place} a relay|send"),
                (("sessions", "--kind", "tcp", *keys, "--count", "2"), "."),
                (("tcp", "--pairing", other.place, "--greetings", self.greetings(), "-P", "1"),
                 other.place),
                (("tcp", "-c", other.place, *self.RUN), other.place),
            ])

    def test_who_listens_is_an_http_server(self):
        with HttpServer() as other:
            url = f"http://{other.place}"
            self.assertAllRefused([
                (("tcp", "--relay", other.place, *self.key_file(), *self.RUN),
                 f"is {other.place} a relay"),
                (("tcp", "-c", other.place, *self.RUN), f"is {other.place} a tandem-bench -s"),
                (("tcp", *self.relay_route(), "--metrics", f"{url}/metrics", *self.RUN),
                 f"{url}/metrics answers 404"),
                (("tcp", "--relay", f"{V4}:{self.relay.port}", "--api", url,
                  "--operator-token-file", self.relay.config["admin.token_file"], *self.RUN),
                 f"{url}.* answers 404"),
            ])

    def test_answers_that_make_no_sense(self):
        with HttpServer(200, "42\nfish") as other:
            url = f"http://{other.place}"
            self.assertAllRefused([
                (("tcp", *self.relay_route(), "--metrics", f"{url}/metrics", *self.RUN),
                 f"{url}/metrics: line 1 is no sample"),
                (("tcp", "--relay", f"{V4}:{self.relay.port}", "--api", url,
                  "--operator-token-file", self.relay.config["admin.token_file"], *self.RUN),
                 "no token for slot a"),
            ])

    def test_another_key(self):
        keys = self.folder / "keys"
        keys.write_text(f"1 {UNLISTED_KEY.hex()}\n")
        route = ("--relay", f"{V4}:{self.relay.port}", "--key-file", keys)
        self.assertAllRefused([
            *(((*mode, *route, *self.RUN), "BAD_TOKEN") for mode in self.modes()),
            (("sessions", "--kind", "tcp", *route, "--count", "2"), "BAD_TOKEN"),
            (("sessions", "--kind", "udp", *route, "--count", "2"), "BAD_TOKEN"),
        ])

    def test_another_operators_token(self):
        token = self.folder / "token"
        token.write_text("somebody-elses\n")
        api = f"http://{V4}:{self.relay.monitoring_port}"
        self.assertRefused(self.spawn("tcp", "--relay", f"{V4}:{self.relay.port}", "--api", api,
                                      "--operator-token-file", token), f"{api}.* answers 401")

    def test_no_such_host(self):
        """RFC 6761, 6.4: a name under .invalid never resolves, and nobody is asked for it."""
        name = "relay.invalid"
        self.assertAllRefused([
            (("tcp", "--relay", f"{name}:1", *self.key_file()), name),
            (("tcp", "--via", f"{name}:1", "--sink", "5"), name),
            (("tcp", "-c", name), name),
            (("tcp", *self.relay_route(), "--metrics", f"http://{name}/"), name),
            (("tcp", *self.relay_route(), "--metrics", "ftp://x/"), "http://"),
            (("-s", "-B", name), name),
        ])

    def test_a_proxy_that_closes(self):
        def hang_up(_number, offset, chunk):
            if offset > 1 << 20:
                raise OSError
            return chunk

        for mode in (("tcp",), ("latency", "--rate", "1000", "-l", "8000", "--no-direct")):
            with self.subTest(mode), TcpProxy(alter=hang_up) as proxy:
                self.assertRefused(self.spawn(*mode, "-P", "2", "-t", "60", "-J", "--via",
                                              proxy.place, "--sink", proxy.sink_port),
                                   "a pair was (closed|reset) under load")

    def test_a_relay_that_stops(self):
        with TcpProxy(relay=self.relay.port) as proxy:
            bench = self.spawn("tcp", "--relay", proxy.place, *self.key_file(), "-t", "60", "-P",
                               "2", "-J")
            self.assertTrue(eventually(lambda: proxy.carried > 1 << 20, timeout=30))
        self.assertRefused(bench, "a pair was (closed|reset) under load")

    def test_a_port_that_is_taken(self):
        with Silent() as other:
            taken = f"{V4}:{other.port}"
            self.assertAllRefused([
                (("tcp", "--via", "127.0.0.1:1", "--sink", other.port), f"{taken}.* in use"),
                (("udp", "--via", "127.0.0.1:1", "--sink", other.port), f"{taken}.* in use"),
                (("-s", "-p", other.port), f"{taken}.* in use"),
            ])

    def test_a_process_that_is_gone(self):
        ended = subprocess.Popen([sys.executable, "-c", ""])
        ended.wait(20)
        before = self.relay.metrics()
        for mode in (("tcp",), ("udp", "-P", "2"), ("latency",),
                     ("sessions", "--kind", "udp", "--count", "2")):
            with self.subTest(mode):
                self.assertRefused(self.spawn(*mode, *self.relay_route(), "--pid", ended.pid),
                                   f"/{ended.pid}/")
        self.assertEqual(self.growth(before, "joins", "binds"), 0)

    def test_metrics_of_nobody(self):
        place = f"{V4}:{free_port()}"
        self.assertRefused(self.spawn("tcp", *self.relay_route(), "--metrics",
                                      f"http://{place}/metrics"), place)

    def test_a_server_that_was_not_told_where_to_join(self):
        """It dials nobody that its own command line does not name."""
        server = self.spawn(kind=Server)
        client = ("-c", V4, "-p", server.port, *self.RUN)
        with Silent() as other:
            self.assertAllRefused([
                *(((*mode, *client, *self.relay_route()), "the other host.*--relay")
                  for mode in self.modes()),
                (("tcp", *client[:4], "-P", "1", "--pairing", other.place, "--greetings",
                  self.greetings()), "the other host.*--pairing"),
                (("tcp", *client, "--via", other.place, "--sink", "5"), "the other host.*--sink"),
            ])
        self.assertIsNone(server.process.poll())

    def test_a_stranger_at_the_server(self):
        """Noise is answered, or the connection closed; the next client is served."""
        server = self.spawn(kind=Server)
        for noise in (b"GET / HTTP/1.1\r\n\r\n", b"\n", b"{}\n", b'{"protocol":1}\n', b"\xff" * 99,
                      b"[" * 100_000 + b"\n", b""):
            with socket.create_connection((V4, server.port), timeout=10) as stranger:
                stranger.sendall(noise)
                stranger.shutdown(socket.SHUT_WR)
                stranger.settimeout(30)
                try:
                    while stranger.recv(65536):
                        pass
                except ConnectionResetError:
                    pass
        self.measure("tcp", "-c", V4, "-p", server.port, "-t", "0.2", "-O", "0", "-P", "1")


if __name__ == "__main__":
    unittest.main()

"""tandem-bench rooms and matches: against the daemon's room service, against npm's socket.io server
where it can be installed, and against a stand-in that does wrong."""

import contextlib
import json
import os
import secrets
import sys
import unittest

import test_mistakes
from bench_case import BenchTest
from harness import BUILD, ROOT, V4, free_port
from rooms_stand_in import RoomService
from stand_ins import Closing, HttpServer, Silent

SMALL = ("--clients", "12", "--rooms-of", "4", "--connect-rate", "200", "--rate", "200",
         "-t", "0.6", "-O", "0.1", "-i", "0.2")
EVENTS = ("connect", "create", "join", "message", "leave")


class RoomsCase(BenchTest):
    def secret_file(self) -> str:
        file = self.folder / "jwt_secret"
        if not file.exists():
            file.write_text(secrets.token_hex(32) + "\n")
        return str(file)

    def rooms(self, url: str, *arguments, code: int = 0) -> dict:
        report = self.measure("rooms", url, *SMALL, *arguments, code=code)
        self.assertEqual(report["mode"], "rooms")
        self.check_events(report)
        return report

    def check_events(self, report: dict):
        """The summary has what the distributions say, and errors are as many as their codes tell."""
        summary = report["summary"]
        for latency in report["latency"]:
            for quantile in ("p50", "p95", "p99", "p999", "max"):
                self.assertEqual(summary[f"{latency['name']}_{quantile}_us"],
                                 latency[f"{quantile}_us"])
        self.assertEqual(summary["errors"], sum(report.get("errors", {}).values()))

    def counts(self, report: dict) -> dict[str, int]:
        return {latency["name"]: latency["count"] for latency in report["latency"]}

    def assertClean(self, report: dict):
        summary = report["summary"]
        self.assertNotIn("errors", report)
        self.assertEqual(summary["errors"], 0)
        self.assertEqual(summary["sent"], summary["delivered"])
        self.assertGreater(summary["delivered"], 0)


class DaemonTest(RoomsCase):
    """The daemon's own room service."""

    room_port = free_port()
    config = {
        "room.enabled": True,
        "room.bind": V4,
        "room.port": room_port,
        "room.guest_login": True,
        "room.connections_per_address": 0,
        "room.rate_limit.max": 0,
        "room.address_rate_limit.max": 0,
        "room.message_rate_limit.max": 0,
    }

    @property
    def url(self) -> str:
        return f"http://{V4}:{self.room_port}"

    def secret_file(self) -> str:
        return str(self.relay.folder / "state" / "jwt_secret")

    def test_rooms(self):
        report = self.rooms(self.url, "--jwt-secret", self.secret_file(), *self.watched())
        self.assertClean(report)
        counts, summary = self.counts(report), report["summary"]
        self.assertEqual(counts["connect"], 12)
        self.assertGreaterEqual(counts["create"], 3)
        # Everybody is in a room at the end, or their room had just ended.
        self.assertGreaterEqual(counts["join"], 9)
        self.assertLessEqual(counts["leave"], counts["create"] + counts["join"])
        self.assertEqual((summary["clients"], summary["clients_asked_for"]), (12, 12))
        self.assertGreater(summary["events_per_server_cpu_s"], 0)
        self.assertGreater(summary["resident_bytes_after"], 0)

    def test_guests(self):
        report = self.rooms(self.url)
        self.assertClean(report)
        self.assertEqual(self.counts(report)["login"], 12)
        self.assertEqual(report["options"]["tokens"], "guest login")

    def test_a_ramp_by_the_servers_own_metrics(self):
        report = self.rooms(self.url, "--jwt-secret", self.secret_file(), "--ramp", "8",
                            "--metrics", self.metrics_url())
        self.assertClean(report)
        steps = report["steps"]
        self.assertEqual([step["clients"] for step in steps], [8, 12])
        self.assertEqual([step["rooms"] for step in steps], [2, 3])
        for step in steps:
            self.assertGreater(step["resident_bytes"], 0)
            self.assertGreater(step["cpu_percent"], 0)
            self.assertGreater(step["p95_us"], 0)
            self.assertEqual(step["errors"], 0)

    def test_idle_clients(self):
        report = self.rooms(self.url, "--jwt-secret", self.secret_file(), "--rooms-of", "0",
                            "--rate", "0", *self.watched())
        self.assertEqual(self.counts(report), {"connect": 12})
        self.assertEqual(report["summary"]["rooms"], 0)
        self.assertIn("resident_bytes_per_client", report["summary"])

    def test_matches(self):
        report = self.measure("matches", self.url, "--jwt-secret", self.secret_file(),
                              "--matches", "20", "--rate", "100", "--messages", "5",
                              "--message-interval", "0.05", "-i", "0.2", *self.watched())
        self.check_events(report)
        self.assertClean(report)
        self.assertEqual(report["summary"]["matches_held"], 20)
        self.assertEqual(self.counts(report), {"connect": 40, "create": 20, "join": 20,
                                               "message": 20 * 2 * 5 * 2, "leave": 40})

    def test_a_secret_that_is_not_the_servers(self):
        done = self.run_bench("rooms", self.url, *SMALL, "--jwt-secret", self.foreign_secret(),
                              code=1)
        self.assertRegex(done.stderr, "no client could connect to .*: AUTH_FAILED")

    def foreign_secret(self) -> str:
        file = self.folder / "foreign"
        file.write_text(secrets.token_hex(32))
        return str(file)


class StandInTest(RoomsCase):
    """What is wrong with a service is noticed, whatever it is."""

    # As long as what does not come is waited for; a busy machine delays what does.
    PATIENT = ("--timeout", "3")

    def against(self, service: RoomService, *arguments, code: int = 0) -> dict:
        return self.rooms(f"http://{service.place}", *arguments, code=code)

    def deliver_wrongly(self, wrong) -> dict:
        """`wrong(message, members)` is what is sent of each seventh message."""
        def deliver(seq, message, members):
            right = [(member, message) for member in members]
            return wrong(message, right) if seq % 7 == 0 else right
        with RoomService(deliver) as service:
            return self.against(service, *self.PATIENT, "--turnover", "0", code=2)

    def test_nothing_wrong(self):
        with RoomService(ping=True) as service:
            report = self.against(service, "--jwt-secret", self.secret_file(), "-O", "0")
            self.assertClean(report)
            self.assertEqual(service.pongs, 2 * 12)
            self.assertEqual(len(set(service.tokens)), 12)
            counts = self.counts(report)
            for event in ("create", "join", "leave"):
                self.assertEqual(counts[event], service.events["room:" + event])
            self.assertEqual(report["summary"]["sent"], service.events["room:message"] * 4)

    def test_guests(self):
        with RoomService() as service:
            self.assertEqual(self.counts(self.against(service))["login"], 12)
            self.assertEqual(service.logins, 12)
            self.assertEqual(set(service.tokens), {f"guest-{i + 1}" for i in range(12)})

    def test_a_lost_copy(self):
        report = self.deliver_wrongly(lambda message, right: right[1:])
        lost = report["errors"]["lost"]
        self.assertEqual(report["errors"], {"lost": lost})
        self.assertEqual(report["summary"]["sent"] - report["summary"]["delivered"], lost)

    def test_a_copy_twice(self):
        report = self.deliver_wrongly(lambda message, right: right + right[:1])
        self.assertEqual(report["errors"], {"duplicated": report["summary"]["duplicated"]})

    def test_an_altered_copy(self):
        def alter(message, right):
            data = message["data"] | {"p": message["data"]["p"][:-1] + "~"}
            return right[1:] + [(right[0][0], message | {"data": data})]
        report = self.deliver_wrongly(alter)
        self.assertEqual(report["errors"]["altered"], report["summary"]["damaged"])
        self.assertEqual(report["errors"]["lost"], report["errors"]["altered"])

    def test_two_orders(self):
        def swap(message, right):
            return [(member, message | {"seq": message["seq"] - (member is right[0][0])})
                    for member, _ in right]
        report = self.deliver_wrongly(swap)
        self.assertEqual(report["errors"], {"reordered": report["summary"]["reordered"]})

    def test_refusals_are_counted_by_code_once(self):
        with RoomService(refuse={"room:join": "ROOM_FULL"}) as service:
            report = self.against(service)
            self.assertEqual(report["errors"], {"ROOM_FULL": service.events["room:join"]})
            self.assertEqual(report["summary"]["rooms"], 0)

    def test_a_refused_client_is_told_with_its_code(self):
        for options, said in (({"refuse": {"connect": "DRAINING"}}, "DRAINING"),
                              ({"status": 503}, "HTTP 503")):
            with self.subTest(said), RoomService(**options) as service:
                done = self.run_bench("rooms", f"http://{service.place}", *SMALL,
                                      "--jwt-secret", self.secret_file(), code=1)
                self.assertRegex(done.stderr,
                                 f"\\Atandem-bench: no client could connect to .*: {said}\n\\Z")

    def test_no_answer(self):
        service = RoomService()
        service.on_join = lambda *_: None
        with service:
            report = self.against(service, *self.PATIENT)
            self.assertEqual(report["errors"], {"timeout": service.events["room:join"]})

    def test_matches(self):
        with RoomService() as service:
            report = self.measure("matches", f"http://{service.place}", "--matches", "8",
                                  "--rate", "80", "--players", "3", "--messages", "4",
                                  "--message-interval", "0.05", "-i", "0.1")
            self.check_events(report)
            self.assertClean(report)
            self.assertEqual(report["summary"]["matches_held"], 8)
            self.assertEqual(service.events, {"room:create": 8, "room:join": 16,
                                              "room:message": 8 * 3 * 4, "room:leave": 24})

    def test_text_csv_and_page(self):
        files = {kind: self.folder / f"report.{kind}" for kind in ("csv", "html", "json")}
        with RoomService() as service:
            done = self.run_bench("rooms", f"http://{service.place}", *SMALL, "--ramp", "6",
                                  *(word for kind, file in files.items()
                                    for word in (f"--{kind}", file)))
        for event in EVENTS:
            self.assertRegex(done.stdout, rf"(?m)^  {event} +\d")
        self.assertRegex(done.stdout, r"(?m)^  step 2 +12 +3 ")
        header, *lines = files["csv"].read_text().splitlines()
        self.assertTrue(header.startswith("clients,rooms,resident_bytes,"))
        self.assertEqual(len(lines), 2)
        self.assertEqual(len(json.loads(files["json"].read_text())["steps"]), 2)
        self.assertIn('"steps":', files["html"].read_text())


class PeerTest(RoomsCase):
    """npm's socket.io server as bench/compare has it, where it can be installed."""

    @classmethod
    def setUpClass(cls):
        sys.path.insert(0, str(ROOT / "bench" / "compare"))
        cls.addClassCleanup(sys.path.remove, str(ROOT / "bench" / "compare"))
        import processes
        import rooms
        try:
            rooms.install_peer(BUILD)
        except processes.SubjectFailed as why:
            raise unittest.SkipTest(str(why)) from None
        super().setUpClass()
        served = contextlib.ExitStack()
        cls.addClassCleanup(served.close)
        core = min(os.sched_getaffinity(0))
        cls.server = served.enter_context(rooms.NpmRooms(BUILD).serve(core, None))

    def test_rooms(self):
        url, *secret = map(str, self.server.route)
        report = self.rooms(url, *secret, "--pid", str(self.server.pid))
        self.assertClean(report)
        self.assertGreater(report["summary"]["events_per_server_cpu_s"], 0)

    def test_who_is_not_let_in(self):
        done = self.run_bench("rooms", self.server.route[0], *SMALL,
                              "--jwt-secret", self.secret_file(), code=1)
        self.assertRegex(done.stderr, "no client could connect to .*: AUTH_FAILED")

    def test_matches(self):
        url, *secret = map(str, self.server.route)
        report = self.measure("matches", url, *secret, "--matches", "10", "--rate", "50",
                              "--messages", "3", "--message-interval", "0.05")
        self.assertClean(report)
        self.assertEqual(report["summary"]["matches_held"], 10)


class MistakeTest(test_mistakes.MistakeTest):
    URL = "http://127.0.0.1:1"

    def test_values(self):
        url = self.URL
        self.assertAllRefused([
            (("rooms",), "url"),
            (("rooms", "127.0.0.1:3000"), "not an http:// address: 127.0.0.1:3000"),
            (("rooms", "https://127.0.0.1"), "not an http:// address"),
            (("rooms", url, url), url),
            (("rooms", url, "--clients", "0"), "--clients.* 0 "),
            (("rooms", url, "--clients", "some"), "--clients.*some"),
            (("rooms", url, "--clients", "900000"), "900,000 clients are 900,000 sockets, and this"),
            (("rooms", url, "--rooms-of", "1"), "2 to 64 members"),
            (("rooms", url, "--rooms-of", "65"), "--rooms-of.* 65 "),
            (("rooms", url, "--rooms-of", "8", "--clients", "7"), "fewer clients than members"),
            (("rooms", url, "--rooms-of", "0", "--rate", "5"), "without rooms there are no events"),
            (("rooms", url, "--rate", "-1"), "--rate.* -1 "),
            (("rooms", url, "--connect-rate", "0"), "--connect-rate.* 0 "),
            (("rooms", url, "--turnover", "1.5"), "--turnover.* 1.5 "),
            (("rooms", url, "--ramp", "0"), "--ramp.* 0 "),
            (("rooms", url, "--ramp", "50", "--clients", "49"), "--ramp"),
            (("rooms", url, "--profile", "huge"), "--profile.*huge"),
            (("rooms", url, "--visibility", "none"), "--visibility.*none"),
            (("rooms", url, "-l", "63"), "--length.* 63 "),
            (("rooms", url, "--timeout", "0"), "--timeout.* 0 "),
            (("rooms", url, "--jwt-issuer", "me"), "--jwt-secret"),
            (("rooms", url, "--relay", "127.0.0.1:1"), "--relay"),
            (("matches", url, "--matches", "0"), "--matches.* 0 "),
            (("matches", url, "--rate", "0"), "--rate.* 0 "),
            (("matches", url, "--players", "1"), "--players.* 1 "),
            (("matches", url, "--message-interval", "0"), "--message-interval.* 0 "),
        ])

    def test_files_that_are_not_there(self):
        empty = self.folder / "empty"
        empty.touch()
        unreadable = self.folder / "nothing" / "file"
        self.assertAllRefused([
            (("rooms", self.URL, "--jwt-secret", unreadable), f"cannot read {unreadable}"),
            (("matches", self.URL, "--jwt-secret", empty), "no secret in the JWT secret file"),
            (("rooms", self.URL, "--html", unreadable), f"cannot write {unreadable}"),
            (("rooms", self.URL, "--pid", "4194305"), "4194305"),
        ])

    def test_whoever_is_no_room_service(self):
        few = ("--clients", "2", "--rooms-of", "2", "--timeout", "1")
        with Silent() as silent, Closing() as closing, HttpServer() as http:
            self.assertAllRefused([
                (("rooms", self.URL, *few), "no client could connect to 127.0.0.1:1: refused"),
                (("rooms", f"http://{silent.place}", *few), "could connect to .*: timeout"),
                (("rooms", f"http://{closing.place}", *few), "could connect to .*: (closed|reset)"),
                (("rooms", f"http://{http.place}", *few), "could connect to .*: HTTP 404 at login"),
                (("matches", f"http://{http.place}", "--matches", "2", "--timeout", "1"),
                 "could connect to .*: HTTP 404 at login"),
                (("rooms", self.URL, "--metrics", f"http://{http.place}/metrics"), "answers 404"),
            ])

    def test_help(self):
        for mode in ("rooms", "matches"):
            self.assertIn("--jwt-secret", self.run_bench(mode, "--help").stdout)
            self.assertRegex(self.run_bench("--help").stdout, rf"(?m)^  {mode}\s")


if __name__ == "__main__":
    unittest.main()

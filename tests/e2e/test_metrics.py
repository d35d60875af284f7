"""The metrics page as Prometheus, dashboards and autoscalers read it."""

import re
import shutil
import subprocess
import time
import unittest

from harness import RelayTest

# Names that others chose, with what promtool says against them.
FAULTY_NAMES = {
    "gameserver_rooms_total", "gameserver_socket_event_duration_ms",
    "matchserver_active_matches_total", "rooms_active_total"}
COMPAT_NAMES = FAULTY_NAMES | {
    "gameserver_active_connections", "gameserver_redis_connected", "http_requests_total",
    "matchserver_active_matches", "matchserver_memory_usage_bytes", "p2p_connection_success_rate",
    "relay_bandwidth_bytes_total", "websocket_connections", "websocket_connections_total"}
# Has no sample before a room is open.
COMPAT_NAMES_ALWAYS = COMPAT_NAMES - {"rooms_active_total"}
PROCESS_NAMES = {
    "process_cpu_seconds_total", "process_max_fds", "process_open_fds",
    "process_resident_memory_bytes", "process_start_time_seconds", "process_virtual_memory_bytes"}
ROOM_NAMES = {
    "tandem_rooms", "tandem_rooms_created_total", "tandem_room_clients",
    "tandem_room_errors_total", "tandem_room_event_duration_seconds",
    "tandem_room_auth_failures_total", "tandem_room_rate_limited_total",
    "tandem_room_p2p_successes_total", "tandem_room_p2p_failures_total",
    "tandem_room_relay_sessions_allocated_total"}


def promtool(page: str) -> tuple[int, set[str], str]:
    """Its exit code, the names that it complains about, and all that it wrote."""
    done = subprocess.run(["promtool", "check", "metrics"], input=page, capture_output=True,
                          text=True, timeout=30)
    written = done.stdout + done.stderr
    return done.returncode, {line.split()[0] for line in written.splitlines() if line}, written


class Page(RelayTest):
    config = {"room.enabled": True, "room.port": 0}

    def page(self) -> str:
        status, page = self.relay.http("/metrics")
        self.assertEqual(status, 200)
        return page

    @staticmethod
    def names(page: str) -> set[str]:
        return set(re.findall(r"^# TYPE (\S+) ", page, re.M))


class CompatTest(Page):
    @unittest.skipUnless(shutil.which("promtool"), "promtool is not installed")
    def test_only_names_of_others_have_faults(self):
        code, names, written = promtool(self.page())
        self.assertIn(code, (0, 3), written)  # 3: it parses, but for the style
        self.assertLessEqual(names, FAULTY_NAMES, written)

    def test_the_names_that_others_look_for(self):
        self.assertLessEqual(COMPAT_NAMES_ALWAYS | ROOM_NAMES, self.names(self.page()))

    def test_requests_are_counted_by_status(self):
        def requests(status: int) -> int:
            found = re.search(rf'^http_requests_total{{status="{status}"}} (\d+)$', self.page(),
                              re.M)
            return int(found.group(1)) if found else 0

        before = requests(404)
        for _ in range(3):
            self.assertEqual(self.relay.http("/nothing")[0], 404)
        self.assertEqual(requests(404) - before, 3)


class PlainTest(Page):
    config = Page.config | {"monitoring.compat_metrics": False}

    @unittest.skipUnless(shutil.which("promtool"), "promtool is not installed")
    def test_promtool_has_no_complaint(self):
        self.assertJoined(*self.stream_pair())
        self.assertExchange(*self.datagram_pair())
        code, _, written = promtool(self.page())
        self.assertEqual((code, written), (0, ""))

    def test_no_name_of_others(self):
        names = self.names(self.page())
        self.assertEqual(names & COMPAT_NAMES, set())
        self.assertLessEqual(ROOM_NAMES | PROCESS_NAMES, names)
        for name in names - PROCESS_NAMES:
            self.assertRegex(name, "^(tandem|process)_")

    def test_the_process_is_this_one(self):
        page = self.page()

        def value(name: str) -> float:
            return float(re.search(rf"^{name} (\S+)$", page, re.M).group(1))

        self.assertLess(abs(value("process_start_time_seconds") - time.time()), 600)
        self.assertGreater(value("process_open_fds"), 3)
        self.assertGreater(value("process_max_fds"), value("process_open_fds"))
        self.assertGreater(value("process_virtual_memory_bytes"),
                           value("process_resident_memory_bytes"))
        self.assertGreater(value("process_resident_memory_bytes"), 1 << 20)


class NoMetricsTest(RelayTest):
    config = {"monitoring.metrics": False}

    def test_there_is_no_page(self):
        self.assertEqual(self.relay.http("/metrics")[0], 404)
        self.assertEqual(self.relay.http("/health")[0], 200)


if __name__ == "__main__":
    unittest.main()

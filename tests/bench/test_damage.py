"""What is done to the traffic on its way is found, and told for what it is."""

import unittest

from bench_case import BenchTest, on_a_machine_that_runs
import tandem_client as tc
from harness import eventually
from stand_ins import TcpProxy, UdpProxy

# Few enough that nothing is lost but what is dropped here.
AT_LEISURE = ("-t", "0.3", "-O", "0.1", "--rate", "300")
FEW = (*AT_LEISURE, "-P", "4")
DAMAGED = 2


def flipped(data: bytes, at: int) -> bytes:
    return data[:at] + bytes([data[at] ^ 1]) + data[at + 1:]


class TcpDamageTest(BenchTest):
    """One pair's bytes are altered once, a mebibyte from the beginning."""

    AT = 1 << 20

    def damaged_run(self, change, *arguments, at=AT) -> dict:
        """`change(chunk, at)` gives what goes on of the chunk that has the byte."""
        changes = []

        def alter(number, offset, chunk):
            if number != 0 or not offset <= at < offset + len(chunk):
                return chunk
            changes.append(at)
            return change(chunk, at - offset)

        with TcpProxy(alter=alter) as proxy:
            report = self.measure("tcp", "-t", "0.3", "-O", "0.1", "-P", "2", *arguments,
                                  "--via", proxy.place, "--sink", proxy.sink_port, code=DAMAGED)
        self.assertEqual(len(changes), 1)
        self.assertIn("the traffic was damaged", report["warnings"])
        return report

    def test_a_flipped_byte(self):
        self.damaged_run(flipped, "--verify", "full")

    def test_a_flipped_byte_of_a_stamp_is_found_by_samples_too(self):
        """Each block begins with one, behind the hello with which a connection begins."""
        self.damaged_run(flipped, at=self.AT + 24)

    def test_a_lost_byte(self):
        report = self.damaged_run(lambda chunk, at: chunk[:at] + chunk[at + 1:])
        self.assertEqual(report["summary"]["lost_bytes"], 1)

    def test_a_repeated_byte(self):
        self.damaged_run(lambda chunk, at: chunk[:at] + chunk[at:at + 1] + chunk[at:])

    def test_two_bytes_in_the_wrong_order(self):
        def swap(chunk, at):
            at = min(at, len(chunk) - 8)
            return chunk[:at] + chunk[at + 4:at + 8] + chunk[at:at + 4] + chunk[at + 8:]

        self.damaged_run(swap, "--verify", "full")

    def test_between_the_clients_and_a_relay(self):
        """A relay that damages: here one that is whole, behind what is not."""
        def alter(number, offset, chunk):
            return flipped(chunk, self.AT - offset) if 0 <= self.AT - offset < len(chunk) else chunk

        with TcpProxy(relay=self.relay.port, alter=alter) as proxy:
            report = self.measure("tcp", "-t", "0.3", "-O", "0.1", "-P", "2", "--verify", "full",
                                  "--relay", proxy.place, *self.relay_route()[2:], code=DAMAGED)
        self.assertGreaterEqual(report["options"]["pairs"], 1)

    def test_messages(self):
        """The number, the time at which it was due, the filler."""
        for byte in (5, 12, 40):
            def alter(number, offset, chunk, place=24 + 10 * 128 + byte):
                at = place - offset
                return flipped(chunk, at) if number == 0 and 0 <= at < len(chunk) else chunk

            with self.subTest(byte), TcpProxy(alter=alter) as proxy:
                report = self.measure("latency", *FEW, "--no-direct", "--via", proxy.place,
                                      "--sink", proxy.sink_port, code=DAMAGED)
                self.assertGreater(report["summary"]["damaged"], 0)


class Every:
    """Changes each tenth payload, and counts. `header` is the length of what a relay's datagrams
    begin with, a number that `change(datagram, header)` gets."""

    def __init__(self, change, header: int = 0):
        self._change = change
        self._header = header
        self._seen = 0
        self.changed = 0

    def __call__(self, datagram: bytes) -> list[bytes]:
        self._seen += 1
        if self._seen % 10:
            return [datagram]
        self.changed += 1
        return self._change(datagram, self._header)


class Swap:
    """Of each ten payloads one of a client goes after that client's next one."""

    def __init__(self):
        self._seen = 0
        self._held: bytes | None = None
        self.swapped = 0

    def __call__(self, datagram: bytes) -> list[bytes]:
        self._seen += 1
        if self._held is not None:
            held, self._held = self._held, None
            self.swapped += 1
            return [datagram, held]
        if self._seen % 10 == 0:
            self._held = datagram
            return []
        return [datagram]

    @property
    def left(self) -> int:
        return self._held is not None


class DatagramDamageTest(BenchTest):
    def through_a_proxy(self, alter, *arguments, code=0) -> dict:
        with UdpProxy(alter=alter) as proxy:
            report = self.measure(*arguments, "--via", proxy.place, "--sink", proxy.sink_port,
                                  code=code)
            self.assertTrue(eventually(lambda: proxy.payloads == report["summary"]["sent"]))
        return report["summary"]

    def through_the_relay(self, alter, *arguments, code=0) -> dict:
        with UdpProxy(relay=self.relay.port, alter=alter) as proxy:
            report = self.measure(*arguments, "--relay", proxy.place, *self.relay_route()[2:],
                                  code=code)
        return report["summary"]

    def each_way(self, change, check, code=0):
        """By a proxy to a sink, and on the way to a relay: the same is found."""
        for mode, run, header in (
                (("udp",), self.through_the_relay, tc.DATA_HEADER),
                (("latency", "--transport", "udp", "--no-direct"), self.through_a_proxy, 0)):
            def once(mode=mode, run=run, header=header):
                alter = Every(change, header)
                check(run(alter, *mode, *FEW, code=code), alter)

            with self.subTest(mode):
                on_a_machine_that_runs(once)

    def changed(self, change, *arguments, code=0, key: str):
        """By a proxy alone, and the figure is that of what was changed."""
        def once():
            alter = Every(change)
            summary = self.through_a_proxy(alter, *arguments, code=code)
            self.assertGreater(alter.changed, 0)
            self.assertEqual(summary[key], alter.changed)

        on_a_machine_that_runs(once)

    def test_altered(self):
        def check(summary, alter):
            self.assertGreater(alter.changed, 0)
            self.assertEqual(summary["damaged"], alter.changed)
            self.assertEqual(summary["duplicated"], 0)

        # Of the number that each payload begins with, beside its flow.
        self.each_way(lambda d, header: [flipped(d, header + 5)], check, code=DAMAGED)

    def test_an_altered_time(self):
        """A latency that would be none."""
        self.changed(lambda d, _: [flipped(d, 12)], "latency", "--transport", "udp", "--no-direct",
                     *FEW, code=DAMAGED, key="damaged")

    def test_an_altered_flow(self):
        self.changed(lambda d, _: [flipped(d, 0)], "udp", *FEW, code=DAMAGED, key="damaged")

    def test_altered_filler(self):
        self.changed(lambda d, _: [flipped(d, len(d) - 1)], "udp", "--verify", "full", *FEW,
                     code=DAMAGED, key="damaged")

    def test_cut_short(self):
        self.changed(lambda d, _: [d[:-1]], "udp", *FEW, code=DAMAGED, key="damaged")

    def test_repeated(self):
        def check(summary, alter):
            # Once the last one has come, nobody waits for more of it.
            self.assertIn(alter.changed - summary["duplicated"], (0, 1))
            self.assertEqual(summary["damaged"], 0)
            self.assertEqual(summary["delivered"], summary["sent"])

        self.each_way(lambda d, _: [d, d], check, code=DAMAGED)

    def test_dropped(self):
        """Loss is a figure and no damage."""
        def check(summary, alter):
            self.assertGreater(alter.changed, 0)
            self.assertEqual(summary["lost"], alter.changed)
            self.assertEqual(summary["reordered"], 0)

        self.each_way(lambda *_: [], check)

    def test_in_another_order(self):
        """One pair, so that a client's next datagram is the next one."""
        def once():
            alter = Swap()
            summary = self.through_a_proxy(alter, "udp", *AT_LEISURE, "-P", "1")
            self.assertGreater(alter.swapped, 0)
            self.assertEqual(summary["reordered"], alter.swapped)
            self.assertEqual(summary["lost"], alter.left)

        on_a_machine_that_runs(once)

    def test_another_flows(self):
        """What arrives at another pair's receiver is damage there."""
        held: list[bytes] = []

        def exchange(datagram):
            """The flows take turns, so the one before is another's."""
            held.append(datagram)
            return [held.pop(0)] if len(held) > 1 else []

        summary = self.through_a_proxy(exchange, "udp", *FEW, code=DAMAGED)
        self.assertGreater(summary["damaged"], 0)
        self.assertEqual(summary["delivered"], 0)

    def test_trains(self):
        self.changed(lambda *_: [], "udp", "--train", "--rate", "640", "-t", "0.5", "-O", "0.1",
                     key="lost")

    def test_loss_does_not_stop_a_closed_loop(self):
        """What is lost leaves the window, and no more is told as lost than was."""
        for way in (("-P", "4"), ("--train",)):
            with self.subTest(way):
                self.changed(lambda *_: [], "udp", *way, "--window", "64", "-t", "0.3", "-O", "0.1",
                             key="lost")

    def test_a_search_for_a_limit_finds_damage_too(self):
        with UdpProxy(alter=Every(lambda d, _: [d, d])) as proxy:
            self.measure("find-limit", "--sizes", "200", "--repeat", "1", "--resolution", "0.5",
                         "-t", "0.1", "-O", "0", "-P", "4", "--via", proxy.place, "--sink",
                         proxy.sink_port, code=DAMAGED)

    def test_a_route_that_swallows_everything(self):
        """Nothing is delivered of what was sent: no run to be proud of."""
        summary = self.through_a_proxy(lambda d: [], "udp", *FEW, code=DAMAGED)
        self.assertEqual(summary["lost"], summary["sent"])
        self.assertEqual(summary["delivered"], 0)


if __name__ == "__main__":
    unittest.main()

"""Behind a load balancer: PROXY protocol versions 1 and 2 (haproxy.org, proxy-protocol.txt)."""

import socket
import struct
import unittest

import tandem_client as tc
from harness import READINGS, V4, V6, RelayTest, scaled

SIGNATURE = b"\r\n\r\n\x00\r\nQUIT\n"
LOCAL, PROXY = 0x20, 0x21
TCP4, TCP6, UNSPEC = 0x11, 0x21, 0x00
CLIENT, SERVICE = "203.0.113.7", "192.0.2.1"
CLIENT6, SERVICE6 = "2001:db8::7", "2001:db8::1"


def v1(source=CLIENT, destination=SERVICE, family="TCP4", ports=(56324, 443)) -> bytes:
    return f"PROXY {family} {source} {destination} {ports[0]} {ports[1]}\r\n".encode()


def v2(command=PROXY, family=TCP4, source=CLIENT, destination=SERVICE, ports=(56324, 443),
       extra: bytes = b"") -> bytes:
    body = b""
    if family != UNSPEC:
        kind = socket.AF_INET if family == TCP4 else socket.AF_INET6
        body = (socket.inet_pton(kind, source) + socket.inet_pton(kind, destination)
                + struct.pack(">HH", *ports))
    body += extra
    return SIGNATURE + struct.pack(">BBH", command, family, len(body)) + body


HEADERS = {
    "v1 TCP4": v1(),
    "v1 TCP6": v1(CLIENT6, SERVICE6, "TCP6"),
    "v1 UNKNOWN": b"PROXY UNKNOWN\r\n",
    "v1 UNKNOWN with addresses": b"PROXY UNKNOWN ffff:f::1 ffff:f::2 65535 65535\r\n",
    "v2 TCP4": v2(),
    "v2 TCP6": v2(family=TCP6, source=CLIENT6, destination=SERVICE6),
    "v2 UNSPEC": v2(family=UNSPEC),
    "v2 with TLVs": v2(extra=struct.pack(">BH", 0x04, 100) + bytes(100)),
}


class BalancedTest(RelayTest):
    config = {"listen.proxy_protocol": True, "listen.trusted_proxies": [f"{V4}/32", f"{V6}/128"],
              "log.level": "debug"}

    # The bystander and every pair come through the balancer too.
    def stream(self, host=V4, header=None, **options):
        stream = super().stream(host, **options)
        if header is None:
            header = v1() if host == V4 else v1(CLIENT6, SERVICE6, "TCP6")
        stream.sendall(header)
        return stream

    def assertNotServed(self, header: bytes, source: str | None = None, **options):
        """Refused by an ERR or by a close, and surely not joined."""
        token, _ = self.tokens()
        try:
            code = self.stream(header=header, source=source, **options).join(token).refusal()
        except (tc.StreamClosed, ConnectionError):
            return
        self.assertIn(code, READINGS["untrusted load balancer"])


class ProxyProtocolTest(BalancedTest):
    def test_headers(self):
        for name, header in HEADERS.items():
            with self.subTest(name):
                a_token, b_token = self.tokens()
                a = self.stream(header=header).join(a_token).wait_waiting()
                b = self.stream(header=header).join(b_token).wait_paired()
                a.wait_paired()
                self.assertJoined(a, b)

    def test_header_and_line_in_one_segment_with_early_data(self):
        for name, header in HEADERS.items():
            with self.subTest(name):
                a_token, b_token = self.tokens()
                whole = header + tc.Stream.join_line(a_token) + b"early"
                a = self.stream(header=whole).wait_waiting()
                b = self.stream().join(b_token).wait_paired()
                self.assertEqual(b.read_exactly(5), b"early")
                self.assertJoined(a.wait_paired(), b)

    def test_one_byte_at_a_time(self):
        for name in ("v1 TCP4", "v2 TCP6", "v2 with TLVs"):
            with self.subTest(name):
                a_token, b_token = self.tokens()
                a = self.stream(header=b"")
                for byte in HEADERS[name] + tc.Stream.join_line(a_token):
                    a.sendall(bytes([byte]))
                a.wait_waiting()
                self.stream().join(b_token).wait_paired()

    def test_prove_and_a_large_stream(self):
        a, b = self.stream_pair(prove=True)
        block = bytes(range(256)) * 1024
        for _ in range(scaled(8, 64)):
            a.sendall(block)
            self.assertEqual(b.read_exactly(len(block)), block)

    def test_local_is_a_health_check(self):
        """Counted, no offence, no log line above debug."""
        for name, wire in {"LOCAL, then closed": v2(command=LOCAL, family=UNSPEC),
                           "LOCAL with addresses": v2(command=LOCAL),
                           "closed at once": b""}.items():
            with self.subTest(name):
                logged = len(self.relay.log())
                with self.counted("health checks"):
                    self.stream(header=wire).close()
                new = self.relay.log()[logged:]
                for level in ("info", "warn", "error", "fatal"):
                    self.assertNotIn(f'"level":"{level}"', new.replace(": ", ":"))

    def test_an_untrusted_sender_is_refused(self):
        for header in (v1(), v2()):
            self.assertNotServed(header, "127.0.0.2")
        self.assertJoined(*self.stream_pair())

    def test_a_client_without_a_header_is_refused(self):
        for source in (V4, "127.0.0.2"):
            with self.subTest(source):
                self.assertNotServed(b"", source)

    def test_malformed_headers(self):
        good = v2()
        malformed = {
            "v1 without CRLF": v1().rstrip() + b"\n",
            "v1 longer than 107 bytes": b"PROXY TCP4 " + b"1" * 120 + b"\r\n",
            "v1 bad address": v1(source="203.0.113.700"),
            "v1 family and address differ": v1(family="TCP6"),
            "v1 bad port": v1(ports=(70000, 443)),
            "v1 missing fields": b"PROXY TCP4 203.0.113.7\r\n",
            "v1 in small letters": v1().lower(),
            "v2 version 1": good[:12] + b"\x11" + good[13:],
            "v2 unknown command": good[:12] + b"\x2f" + good[13:],
            "v2 too short for its family": good[:14] + b"\x00\x04" + good[16:20],
            "v2 length far away": good[:14] + b"\xff\xff" + bytes(4096),
            "v2 torn signature": b"\r\n\r\n\x00\r\nQUIX\n" + good[12:],
        }
        with self.bystander():
            for name, header in malformed.items():
                with self.subTest(name):
                    self.assertNotServed(header, timeout=20)

    def test_the_address_in_the_header_counts_for_bans(self):
        self.relay.ctl("block", CLIENT)
        a_token, b_token = self.tokens()
        self.assertRefused(self.stream(header=v1()).join(a_token), "BLOCKED")
        self.assertRefused(self.stream(header=v2()).join(a_token), "BLOCKED")
        a = self.stream(header=v1("203.0.113.8")).join(a_token).wait_waiting()
        b = self.stream(header=v1("203.0.113.9")).join(b_token).wait_paired()
        self.assertJoined(a.wait_paired(), b)
        self.relay.ctl("unblock", CLIENT)
        self.assertJoined(*self.stream_pair())

    def test_the_address_in_the_header_is_logged(self):
        bad, _ = self.tokens(key=bytes(32))
        self.assertRefused(self.stream(header=v1("203.0.113.77")).join(bad), "BAD_TOKEN")
        self.assertLogged("Authentication failed for 203.0.113.77")


class ProxyLimitsTest(BalancedTest):
    config = BalancedTest.config | {"security.connections_per_address": 3}

    def test_connections_are_counted_by_the_address_in_the_header(self):
        tokens = [self.tokens()[0] for _ in range(4)]
        for token in tokens[:3]:
            self.stream(header=v1()).join(token).wait_waiting()
        self.assertRefused(self.stream(header=v1()).join(tokens[3]),
                           "RATE_LIMITED")
        self.stream(header=v1("203.0.113.8")).join(tokens[3]).wait_waiting()


if __name__ == "__main__":
    unittest.main()

"""The room service over plain HTTP: curl, probes, scrapers, reverse proxies in front, TLS."""

import json
import re
import shutil
import socket
import subprocess
import tempfile
import time
import unittest
from pathlib import Path

from harness import V4, eventually, free_port
from room_harness import (POLLING_FIRST, WEBSOCKET, RoomTest, http_request, room_daemon)

ROOMS, CODES = "/api/v1/rooms", "/api/v1/rooms/by-code/"
GUEST, RELAYS = "/api/v1/auth/guest", "/api/v1/relays"


def curl(*arguments: str, check: bool = True) -> subprocess.CompletedProcess:
    done = subprocess.run(["curl", "--silent", "--show-error", "--max-time", "10", *arguments],
                          capture_output=True, text=True, timeout=20)
    if check and done.returncode != 0:
        raise AssertionError(f"curl {arguments} ended with {done.returncode}: {done.stderr}")
    return done


def curled(*arguments: str) -> tuple[int, dict[str, str], str]:
    """Status, headers in lower case and body, as curl got them."""
    done = curl("--include", *arguments)
    head, _, body = done.stdout.partition("\n\n" if "\r\n" not in done.stdout else "\r\n\r\n")
    while head.startswith("HTTP/1.1 1"):
        head, _, body = body.partition("\n\n" if "\r\n" not in body else "\r\n\r\n")
    status, *lines = head.splitlines()
    headers = {name.strip().lower(): value.strip()
               for name, _, value in (line.partition(":") for line in lines)}
    return int(status.split()[1]), headers, body


class Observed(RoomTest):
    """What probes and scrapers read."""

    def each_port(self):
        for name, port in (("room", self.relay.room_port),
                           ("monitoring", self.relay.monitoring_port)):
            with self.subTest(name):
                yield port

    def test_health(self):
        for port in self.each_port():
            status, headers, text = http_request(port, "GET", "/health")
            self.assertEqual((status, headers["Content-Type"].partition(";")[0]),
                             (200, "application/json"))
            health = json.loads(text)
            self.assertEqual(health["status"], "ok")
            self.assertLessEqual({"status", "timestamp", "uptime", "memory", "connections", "rooms",
                                  "storage", "redis", "checks"}, {*health})
            self.assertLessEqual({"memory", "fileDescriptors"}, {*health["checks"]})

    def test_ready(self):
        for port in self.each_port():
            self.assertEqual(http_request(port, "GET", "/ready")[0], 200)
            self.relay.ctl("drain")
            try:
                self.assertEqual(http_request(port, "GET", "/ready")[0], 503)
            finally:
                self.relay.ctl("undrain")
            self.assertEqual(http_request(port, "GET", "/ready")[0], 200)

    def test_head(self):
        for port in self.each_port():
            for path in ("/health", "/ready", "/metrics"):
                done = curl("--head", f"http://{V4}:{port}{path}")
                self.assertRegex(done.stdout.splitlines()[0], r"^HTTP/1.1 200")
                self.assertRegex(done.stdout, r"(?i)\ncontent-length: [1-9]")

    def test_metrics(self):
        player = self.player()
        self.create(player)
        for port in self.each_port():
            status, headers, page = http_request(port, "GET", "/metrics")
            self.assertEqual(status, 200)
            self.assertTrue(headers["Content-Type"].startswith("text/plain"))
            for name in ("websocket_connections", "rooms_active_total", "gameserver_rooms_total",
                         "gameserver_redis_connected", "matchserver_active_matches",
                         "matchserver_memory_usage_bytes", "process_resident_memory_bytes",
                         "http_requests_total"):
                self.assertRegex(page, rf"(?m)^{name}(\{{.*\}})? [0-9.e+]+$")
            self.assertRegex(page, r'(?m)^rooms_active_total\{game_id="e2e"\} [1-9]')
            self.assertRegex(page, r"(?m)^tandem_room\w+(\{.*\})? [1-9]")

    @unittest.skipUnless(shutil.which("promtool"), "promtool is not installed")
    def test_promtool(self):
        page = http_request(self.relay.room_port, "GET", "/metrics")[2]
        own = "\n".join(line for line in page.splitlines() if re.match(r"(# \w+ )?tandem_", line))
        done = subprocess.run(["promtool", "check", "metrics"], input=own + "\n",
                              capture_output=True, text=True, timeout=30)
        self.assertEqual((done.returncode, done.stdout + done.stderr), (0, ""))


class Lists(RoomTest):
    """GET /api/v1/rooms and what belongs to it."""

    config = {"room.rooms_per_client": 200}

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        self = cls()
        host = self.player("Ada")
        numbers = [host.begin("room:create", {
            "name": f"Room {number}", "gameId": f"game-{number % 2}", "maxPlayers": 2,
            "region": "asia" if number < 10 else "europe"}) for number in range(120)]
        cls.rooms = [host.end(number)["room"] for number in numbers]
        cls.token, _ = self.guest("Reader")
        cls.addClassCleanup(self.doCleanups)

    def list(self, query: str = "", expect: int = 200):
        status, _, reply = self.http("GET", f"{ROOMS}?{query}" if query else ROOMS,
                                     token=self.token)
        self.assertEqual(status, expect, reply)
        return reply

    def test_pages_by_cursor(self):
        for limit in (1, 7, 50):
            with self.subTest(limit):
                got, cursor, pages = [], "", 0
                while cursor is not None:
                    page = self.list(f"limit={limit}" + (f"&cursor={cursor}" if cursor else ""))
                    self.assertLessEqual(len(page["rooms"]), limit)
                    got += [room["id"] for room in page["rooms"]]
                    cursor = page["nextCursor"]
                    pages += 1
                self.assertEqual(got, [room["id"] for room in reversed(self.rooms)])
                self.assertEqual(pages, -(-120 // limit))

    def test_a_page_has_at_most_50(self):
        self.assertEqual(len(self.list()["rooms"]), 50)
        self.assertEqual(len(self.list("limit=1000")["rooms"]), 50)

    def test_filters(self):
        count = lambda query: len(self.list(query)["rooms"])
        self.assertEqual({room["gameId"] for room in self.list("gameId=game-1")["rooms"]},
                         {"game-1"})
        self.assertEqual(count("region=asia"), 10)
        self.assertEqual(count("region=asia&gameId=game-0"), 5)
        self.assertEqual(count("text=room%2011"), 11)  # 11, 110 to 119
        self.assertEqual(count("hasPassword=true"), 0)
        self.assertEqual(count("open=true&limit=20"), 20)
        self.assertEqual(count("open=false"), 0)
        self.assertEqual(count("gameId=none"), 0)
        self.assertEqual(self.list("offset=118")["rooms"],
                         [self.http("GET", f"{ROOMS}/{room['id']}", token=self.token)[2]
                          for room in self.rooms[1::-1]])

    def test_wrong_queries(self):
        for query in ("limit=0", "limit=x", "cursor=%21", "offset=-1", "open=maybe", "gameId="):
            with self.subTest(query):
                self.assertEqual(self.list(query, expect=400)["error"]["code"], "BAD_REQUEST")

    def test_one_room(self):
        room = self.rooms[0]
        for path in (f"{ROOMS}/{room['id']}", CODES + room["code"], CODES + room["code"].lower()):
            with self.subTest(path):
                status, _, reply = self.http("GET", path, token=self.token)
                self.assertEqual((status, reply["id"], reply["code"]),
                                 (200, room["id"], room["code"]))
                self.assertNotIn("hostEndpoint", reply)
        for path in (f"{ROOMS}/nothing", CODES + "ZZZZZZ", CODES, f"{ROOMS}/", CODES + "%00"):
            with self.subTest(path):
                status, _, reply = self.http("GET", path, token=self.token)
                self.assertEqual((status, reply["error"]["code"]), (404, "NOT_FOUND"))

    def test_a_private_room_is_its_members(self):
        room = self.create(self.player("Alan"), visibility="private")
        for path in (f"{ROOMS}/{room['id']}", CODES + room["code"]):
            self.assertEqual(self.http("GET", path, token=self.token)[0], 404)

    def test_relays(self):
        relays = self.http("GET", RELAYS, token=self.token)[2]["relays"]
        self.assertEqual(len(relays), 1)
        self.assertLessEqual({"id", "region", "host", "port", "load"}, {*relays[0]})

    def test_by_curl(self):
        status, headers, body = curled("--oauth2-bearer", self.token,
                                       f"{self.url}{ROOMS}?limit=1", "--compressed")
        self.assertEqual((status, headers["content-type"].partition(";")[0]),
                         (200, "application/json"))
        self.assertEqual(len(json.loads(body)["rooms"]), 1)
        status, _, body = curled("--json", '{"username":"curl"}', f"{self.url}{GUEST}")
        self.assertEqual((status, {*json.loads(body)}), (200, {"token", "clientId", "expiresIn"}))


class Doors(RoomTest):
    """Who and what is refused, and how a browser is answered."""

    config = {"room.max_request_size": "64k", "room.cors_origins": ["https://play.example.org"],
              "listen.trusted_proxies": [f"{V4}/32"]}

    def code(self, status: int, *arguments, **options) -> str:
        got, headers, reply = self.http(*arguments, **options)
        self.assertEqual(got, status, reply)
        self.assertEqual(headers["Content-Type"].partition(";")[0], "application/json")
        self.assertTrue(reply["error"]["message"])
        return reply["error"]["code"]

    def test_guest_logins(self):
        status, _, reply = self.http("POST", GUEST, {"username": "Ada", "platform": "linux",
                                                     "version": "1", "more": [1]})
        self.assertEqual((status, reply["expiresIn"]), (200, 86_400))
        for body in ({}, {"username": ""}, {"username": "x" * 33}, {"username": 7},
                     {"username": "a\nb"}, {"username": "x", "platform": "p" * 17},
                     "", "{", "[]", "null", b'{"username":"\xff"}', "username=Ada"):
            with self.subTest(str(body)[:30]):
                self.assertEqual(self.code(400, "POST", GUEST, body), "BAD_REQUEST")

    def test_without_a_token(self):
        for path in (ROOMS, f"{ROOMS}/x", f"{CODES}ABCDEF", RELAYS):
            for token in (None, "wrong"):
                with self.subTest(f"{path} {token}"):
                    self.assertEqual(self.code(401, "GET", path, token=token), "AUTH_FAILED")
        self.assertEqual(self.http("GET", ROOMS)[1]["WWW-Authenticate"].split()[0], "Bearer")
        self.assertLogged(f"Authentication failed for {V4}")
        self.assertEqual(self.code(401, "DELETE", f"{ROOMS}/x", token=self.sign("somebody")),
                         "AUTH_FAILED")
        self.assertEqual(self.code(401, "POST", "/api/v1/sessions", {}), "AUTH_FAILED")

    def test_behind_a_proxy_the_real_address_counts(self):
        for header, counted in (("203.0.113.9", "203.0.113.9"),
                                ("198.51.100.1, 203.0.113.10", "203.0.113.10"),
                                ("203.0.113.11, 127.0.0.1", "203.0.113.11"),
                                ("2001:db8::5", "2001:db8::5"), ("nonsense", V4)):
            with self.subTest(header):
                self.http("GET", ROOMS, headers={"X-Forwarded-For": header})
                self.assertLogged(f"Authentication failed for {counted}")
        with self.subTest("whoever is no trusted proxy is not believed"):
            self.http("GET", ROOMS, headers={"X-Forwarded-For": "203.0.113.99"}, source="127.0.0.9")
            self.assertLogged("Authentication failed for 127.0.0.9")
            self.assertNotIn("203.0.113.99", self.relay.log())

    def test_methods_and_paths(self):
        token = self.sign("reader")
        for method, path in (("POST", ROOMS), ("PUT", ROOMS), ("GET", GUEST), ("POST", RELAYS),
                             ("POST", f"{CODES}ABCDEF")):
            with self.subTest(f"{method} {path}"):
                self.assertEqual(self.code(405, method, path, token=token), "METHOD_NOT_ALLOWED")
                self.assertTrue(self.http(method, path, token=token)[1]["Allow"])
        for path in ("/nothing", "/api/v1/nothing", "/socket.iox", "/../etc/passwd"):
            with self.subTest(path):
                self.assertEqual(self.http("GET", path, token=token)[0], 404)

    def test_sizes(self):
        self.assertEqual(self.http("POST", GUEST, {"username": "x", "y": "z" * 60_000})[0], 200)
        self.assertEqual(self.http("POST", GUEST, {"username": "x", "y": "z" * 66_000})[0], 413)
        status, _, _ = self.http("GET", ROOMS, headers={"X-Long": "x" * 20_000})
        self.assertEqual(status, 431)
        self.assertEqual(self.http("GET", "/health")[0], 200)

    def test_what_is_no_http(self):
        for request in (b"nonsense\r\n\r\n", b"GET / HTTP/9.9\r\n\r\n", b"GET  / HTTP/1.1\r\n\r\n",
                        b"GET / HTTP/1.1\r\nHost: a\r\nContent-Length: x\r\n\r\n",
                        b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\n"
                        b"Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
                        b"GET / HTTP/1.1\r\nHost: a\r\nBad Header: x\r\n\r\n"):
            with self.subTest(request):
                self.assertRegex(self.raw(request), rb"^HTTP/1.1 (400|505) ")

    def raw(self, request: bytes) -> bytes:
        with socket.create_connection((V4, self.relay.room_port), timeout=5) as sock:
            sock.sendall(request)
            got = b""
            while chunk := sock.recv(65536):
                got += chunk
            return got

    def test_cors(self):
        origin = "https://play.example.org"
        preflight = {"Origin": origin, "Access-Control-Request-Method": "POST",
                     "Access-Control-Request-Headers": "authorization,content-type"}
        for path in (GUEST, ROOMS, "/socket.io/?EIO=4&transport=polling"):
            with self.subTest(path):
                status, headers, _ = self.http("OPTIONS", path, headers=preflight)
                self.assertIn(status, (200, 204))
                self.assertEqual(headers["Access-Control-Allow-Origin"], origin)
                self.assertEqual(headers["Access-Control-Allow-Credentials"], "true")
                self.assertIn("POST", headers["Access-Control-Allow-Methods"])
                allowed = headers["Access-Control-Allow-Headers"].lower()
                self.assertIn("authorization", allowed)
                self.assertIn("content-type", allowed)
                self.assertIn("Origin", headers["Vary"])
        for path in ("/health", ROOMS):
            headers = self.http("GET", path, headers={"Origin": origin})[1]
            self.assertEqual(headers["Access-Control-Allow-Origin"], origin)
        with self.subTest("another origin"):
            for method in ("GET", "OPTIONS"):
                headers = self.http(method, GUEST, headers=preflight | {
                    "Origin": "https://evil.example.org"})[1]
                self.assertNotIn("Access-Control-Allow-Origin", headers)

    def test_security_headers(self):
        for path in ("/health", ROOMS, "/nothing", "/", "/dashboard",
                     "/socket.io/?EIO=4&transport=polling"):
            with self.subTest(path):
                _, headers, _ = self.http("GET", path)
                self.assertEqual(headers["X-Content-Type-Options"], "nosniff")
                self.assertEqual(headers["X-Frame-Options"], "DENY")
                self.assertIn("frame-ancestors 'none'", headers["Content-Security-Policy"])
                self.assertNotIn("unsafe-eval", headers["Content-Security-Policy"])

    def test_engine_io_errors(self):
        for query, code in (("", None), ("?transport=polling&EIO=3", 5),
                            ("?EIO=4&transport=carrier-pigeon", 0),
                            ("?EIO=4&transport=polling&sid=unknown", 1)):
            with self.subTest(query):
                status, _, reply = self.http("GET", f"/socket.io/{query}")
                self.assertEqual(status, 400)
                if code is not None:
                    self.assertEqual(reply["code"], code)


class Operator(RoomTest):
    """What only the operator's token opens."""

    def test_sessions(self):
        token = self.relay.operator_token()
        for port in (self.relay.room_port, self.relay.monitoring_port):
            with self.subTest(port):
                status, _, text = http_request(port, "POST", "/api/v1/sessions", "{}",
                                               {"Authorization": f"Bearer {token}"})
                self.assertEqual(status, 201, text)
                self.assertEqual({*json.loads(text)["tokens"]}, {"a", "b"})

    def test_closing_a_room(self):
        host = self.player()
        room = self.create(host)
        status, _, _ = self.http("DELETE", f"{ROOMS}/{room['id']}", token=self.sign(host.id))
        self.assertEqual(status, 401)
        status, _, _ = self.http("DELETE", f"{ROOMS}/{room['id']}",
                                 token=self.relay.operator_token())
        self.assertIn(status, (200, 204))
        self.assertEqual(host.event("room:closed"), {"roomId": room["id"], "reason": "operator"})
        status, _, _ = self.http("DELETE", f"{ROOMS}/{room['id']}",
                                 token=self.relay.operator_token())
        self.assertEqual(status, 404)

    def test_from_the_host(self):
        host = self.player("Ada")
        room = self.create(host, name="Seen by tandemctl")
        self.assertIn(room["id"], self.relay.ctl("rooms"))
        self.assertIn("Seen by tandemctl", self.relay.ctl("room", room["id"]))
        self.assertIn(host.id, self.relay.ctl("clients"))
        self.relay.ctl("room", "close", room["id"])
        self.assertEqual(host.event("room:closed")["reason"], "operator")

    def test_dashboard(self):
        for path in ("/", "/dashboard"):
            status, headers, page = self.http("GET", path)
            self.assertIn(status, (200, 302, 308))
            if status == 200:
                self.assertTrue(headers["Content-Type"].startswith("text/html"))
                self.assertNotIn(self.relay.operator_token(), page)


class WithoutGuests(RoomTest):
    config = {"room.guest_login": False}

    def test_there_are_none(self):
        status, _, reply = self.http("POST", GUEST, {"username": "Ada"})
        self.assertEqual((status, reply["error"]["code"]), (404, "NOT_FOUND"))
        self.player().round_trip()  # whoever has the secret mints


class OwnSecret(RoomTest):
    """The first start makes the secret; any program that reads it can mint."""

    @classmethod
    def make_daemon(cls):
        daemon = room_daemon({"room.jwt_secret_file": ""})
        del daemon.config["room.jwt_secret_file"]
        daemon.write_config({})
        return daemon

    def test_it_is_made(self):
        made = self.relay.folder / "state/jwt_secret"
        self.assertEqual(made.stat().st_mode & 0o777, 0o600)
        lines = [line for line in made.read_text().splitlines() if line and line[0] != "#"]
        self.assertEqual(len(lines), 1)
        words = lines[0].split()
        key_id, secret = (words[0], words[1]) if len(words) > 1 else (None, words[0])
        options = {"keyid": key_id} if key_id else {}
        token = self.node.sign({"sub": "minted", "iss": "sudachi-rooms", "name": "Minted",
                                "aud": "sudachi-multiplayer", "exp": int(time.time()) + 60},
                               secret, **options)
        self.assertEqual(self.open(token, WEBSOCKET).connected().id, "minted")
        self.open(self.guest()[0], WEBSOCKET).connected()


class Proxied(RoomTest):
    """Behind reverse proxies as they are shipped: stock clients through them, real addresses."""

    config = {"listen.trusted_proxies": [f"{V4}/32"]}
    program = ""

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.proxy_port = free_port()
        folder = Path(tempfile.mkdtemp(prefix="tandem-e2e-proxy-"))
        cls.addClassCleanup(shutil.rmtree, folder, True)
        config = folder / "config"
        config.write_text(cls.proxy_config(folder))
        log = cls.enterClassContext(open(folder / "log", "wb"))
        process = subprocess.Popen(cls.command(config), stdin=subprocess.DEVNULL, stdout=log,
                                   stderr=log)
        cls.addClassCleanup(cls._end, process)
        if not eventually(lambda: cls.answers() or process.poll() is not None, 20) \
                or process.poll() is not None:
            raise AssertionError((folder / "log").read_text())

    @staticmethod
    def _end(process):
        process.terminate()
        process.wait(20)

    @classmethod
    def answers(cls) -> bool:
        try:
            return http_request(cls.proxy_port, "GET", "/ready")[0] == 200
        except OSError:
            return False

    def check(self, client_address: str):
        proxied = f"http://{V4}:{self.proxy_port}"
        for transport in (WEBSOCKET, POLLING_FIRST):
            with self.subTest(transport):
                clients = [self.player(name, transport, url=proxied) for name in ("Ada", "Grace")]
                if transport is POLLING_FIRST:
                    for client in clients:
                        client.upgraded()
                room = self.room_of(*clients)
                clients[1].get("room:message", {"roomId": room["id"], "data": "through"})
                self.assertEqual(clients[0].event("room:message")["data"], "through")
        refused = self.open("wrong", WEBSOCKET, url=proxied, reconnection=False)
        self.assertEqual(refused.refusal()["data"]["code"], "AUTH_FAILED")
        http_request(self.proxy_port, "GET", ROOMS, source=client_address)
        self.assertLogged(f"Authentication failed for {client_address}")


@unittest.skipUnless(shutil.which("haproxy"), "haproxy is not installed")
class BehindHaproxy(Proxied):
    FORWARDING = "option forwardfor\n  server room {address}"

    @staticmethod
    def command(config):
        return ["haproxy", "-db", "-f", str(config)]

    @classmethod
    def proxy_config(cls, _):
        server = cls.FORWARDING.format(address=f"{V4}:{cls.relay.room_port}")
        return f"""
global
  maxconn 500
defaults
  mode http
  timeout connect 5s
  timeout client 60s
  timeout server 60s
  timeout tunnel 1h
listen rooms
  bind {V4}:{cls.proxy_port}
  {server}
"""

    def test_x_forwarded_for(self):
        self.check("127.0.0.77")


class BehindHaproxyWithProxyProtocol(BehindHaproxy):
    config = Proxied.config | {"listen.proxy_protocol": True}
    FORWARDING = "server room {address} send-proxy-v2"

    def test_x_forwarded_for(self):
        self.check("127.0.0.78")

    def test_version_1(self):
        for header, counted in ((b"PROXY TCP4 203.0.113.7 192.0.2.1 5000 80\r\n", "203.0.113.7"),
                                (b"PROXY TCP6 2001:db8::7 2001:db8::1 5000 80\r\n", "2001:db8::7")):
            with self.subTest(counted):
                with socket.create_connection((V4, self.relay.room_port), timeout=5) as sock:
                    sock.sendall(header + b"GET /api/v1/rooms HTTP/1.1\r\nHost: x\r\n"
                                 b"Connection: close\r\n\r\n")
                    self.assertTrue(sock.recv(100).startswith(b"HTTP/1.1 401"))
                self.assertLogged(f"Authentication failed for {counted}")


@unittest.skipUnless(shutil.which("nginx"), "nginx is not installed")
class BehindNginx(Proxied):
    @staticmethod
    def command(config):
        return ["nginx", "-c", str(config), "-p", str(config.parent), "-g", "daemon off;"]

    @classmethod
    def proxy_config(cls, folder):
        return f"""
pid {folder}/pid;
error_log stderr;
worker_processes 1;
events {{ worker_connections 200; }}
http {{
  access_log off;
  client_body_temp_path {folder}/body;
  proxy_temp_path {folder}/proxy;
  fastcgi_temp_path {folder}/fastcgi;
  uwsgi_temp_path {folder}/uwsgi;
  scgi_temp_path {folder}/scgi;
  map $http_upgrade $connection_upgrade {{ default upgrade; '' close; }}
  server {{
    listen {V4}:{cls.proxy_port};
    location / {{
      proxy_pass http://{V4}:{cls.relay.room_port};
      proxy_http_version 1.1;
      proxy_set_header Host $host;
      proxy_set_header Upgrade $http_upgrade;
      proxy_set_header Connection $connection_upgrade;
      proxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for;
      proxy_read_timeout 1h;
    }}
  }}
}}
"""

    def test_x_forwarded_for(self):
        self.check("127.0.0.79")


@unittest.skipUnless(shutil.which("openssl"), "openssl is not installed")
class Secured(RoomTest):
    """HTTPS and WSS on the room port itself."""

    @classmethod
    def make_daemon(cls):
        cls.folder = Path(tempfile.mkdtemp(prefix="tandem-e2e-tls-"))
        cls.addClassCleanup(shutil.rmtree, cls.folder, True)
        cls.certificate, key = cls.folder / "cert.pem", cls.folder / "key.pem"
        subprocess.run(
            ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1",
             "-nodes", "-days", "2", "-subj", "/CN=localhost", "-addext",
             f"subjectAltName=DNS:localhost,IP:{V4}", "-keyout", str(key), "-out",
             str(cls.certificate)], check=True, capture_output=True, timeout=30)
        return room_daemon({"room.tls_cert": str(cls.certificate), "room.tls_key": str(key)})

    @property
    def url(self):
        return f"https://{V4}:{self.relay.room_port}"

    def test_curl(self):
        for version in ("--tlsv1.2", "--tlsv1.3"):
            with self.subTest(version):
                done = curl("--cacert", str(self.certificate), version, "--fail",
                            f"{self.url}/health")
                self.assertEqual(json.loads(done.stdout)["status"], "ok")
        self.assertEqual(curl(f"{self.url}/health", check=False).returncode, 60)
        self.assertNotEqual(curl("--cacert", str(self.certificate), "--tls-max", "1.1",
                                 f"{self.url}/health", check=False).returncode, 0)

    def test_plain_text_is_answered_or_closed_at_once(self):
        before = time.monotonic()
        curl(f"http://{V4}:{self.relay.room_port}/health", check=False)
        self.assertLess(time.monotonic() - before, 5)

    def test_stock_clients(self):
        ca = self.certificate.read_text()
        for transport in (WEBSOCKET, POLLING_FIRST):
            with self.subTest(transport):
                clients = [self.player(name, transport, ca=ca) for name in ("Ada", "Grace")]
                room = self.room_of(*clients)
                clients[0].get("room:message", {"roomId": room["id"], "data": "x" * 200_000})
                self.assertEqual(len(clients[1].event("room:message")["data"]), 200_000)

    def test_a_half_handshake_hurts_nobody(self):
        halves = []
        for index in range(50):
            sock = socket.create_connection((V4, self.relay.room_port), timeout=5)
            self.addCleanup(sock.close)
            sock.sendall(b"\x16\x03\x01\x02\x00\x01"[:1 + index % 6])
            halves.append(sock)
        self.test_curl()


if __name__ == "__main__":
    unittest.main()

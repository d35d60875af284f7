"""The dashboard in a real browser, over a daemon with real sessions: what stands in the page is what
the API and the relay tell, what its buttons say happens, and nothing comes from elsewhere.

Leaves pictures in TANDEM_BUILD/artifacts.
"""

import json
import sys
import threading
import unittest
from urllib.parse import urlsplit

import tandem_client as tc
from browser import CHROMIUM, Browser
from harness import BUILD, V4, RelayTest, eventually
from room_harness import RoomTest

SKIPPED = 77
PICTURES = BUILD / "artifacts"
BACKGROUNDS = {"light": "rgb(244, 245, 247)", "dark": "rgb(19, 22, 27)"}
WIDE, NARROW, HIGH = 1280, 400, 900


class Talk:
    """A session over UDP and TCP that relays all the time, until it is closed."""

    def __init__(self, test: RelayTest):
        tokens = test.tokens()
        self.id = f"{tokens[0].session_id:016x}"
        self.datagrams = test.datagram_pair(tokens)
        self.streams = test.stream_pair(tokens)
        self._done = threading.Event()
        self._thread = threading.Thread(target=self._talk, daemon=True)
        self._thread.start()
        test.addCleanup(self.close)

    def close(self):
        self._done.set()
        self._thread.join(10)

    def _talk(self):
        a, b = self.streams
        try:
            while not self._done.wait(0.01):
                self.datagrams[0].send(b"d" * 900)
                a.sendall(b"s" * 4000)
                b.read_exactly(4000)
        except (OSError, tc.RelayError, tc.StreamClosed):
            pass  # it was kicked


class DashboardTest(RelayTest):
    config = {"node.id": "node-7", "node.region": "test-region"}

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.open_browser()

    @classmethod
    def open_browser(cls):
        cls.browser = Browser()
        cls.addClassCleanup(cls.browser.close)

    def setUp(self):
        super().setUp()
        self.origin = f"http://{V4}:{self.relay.monitoring_port}"

    # -- helpers

    def page(self, path: str = "/", *, width: int = WIDE):
        page = self.browser.open(self.origin + path, width, HIGH)
        self.addCleanup(page.close)
        return page

    def sign_in(self, page, token: str | None = None):
        page.wait("document.activeElement.id === 'token'")
        page.type(self.relay.operator_token() if token is None else token)
        page.press("Enter")

    def board(self, path: str = "/", *, width: int = WIDE):
        page = self.page(path, width=width)
        self.sign_in(page)
        page.wait("document.querySelector('#link').textContent === 'live'")
        return page

    def api(self, method: str, path: str, body=None, *, expect: int = 200):
        status, _, text = self.relay.request(
            method, path, None if body is None else json.dumps(body),
            {"Authorization": f"Bearer {self.relay.operator_token()}"})
        self.assertEqual(status, expect, text)
        return json.loads(text)

    def assertSound(self, page, *, without: str | None = None):
        """No fault was told in the page or the console, and all it asked for is its own origin's."""
        faults = [fault for fault in page.faults if without is None or without not in fault]
        self.assertEqual(faults, [])
        self.assertEqual(page.evaluate("[...document.querySelectorAll('.notice.bad span')]"
                                       ".map(note => note.textContent)"), [])
        slips = page.evaluate("document.body.innerText.match(/NaN|undefined|\\[object|Infinity/)")
        self.assertIsNone(slips)
        outside = {url for url in page.requested
                   if not url.startswith((f"{self.origin}/", "data:image/svg+xml", "about:"))}
        self.assertEqual(outside, set())

    def texts(self, page, selector: str) -> list[str]:
        return page.evaluate(f"[...document.querySelectorAll({json.dumps(selector)})]"
                             ".map(one => one.textContent)")

    def wait_for_row(self, page, table: str, key: str):
        page.wait(f"document.querySelector('#{table} tr[data-key=\"{key}\"]') !== null")

    def wait_for_no_row(self, page, table: str, key: str):
        page.wait(f"document.querySelector('#{table} tr[data-key=\"{key}\"]') === null")

    def wait_for_notice(self, page, text: str):
        page.wait(f"document.querySelector('#notices').innerText.includes({json.dumps(text)})")


class Figures(DashboardTest):
    def test_what_it_shows_is_what_the_api_tells(self):
        talk = Talk(self)
        stranger = self.stranger_socket()
        for _ in range(5):
            stranger.sendto(b"\x00" * 40, self.relay.address())  # drops
        page = self.board()
        page.wait("document.querySelector('#tile-throughput').textContent.match(/[1-9].*bit/)")
        self.wait_for_row(page, "sessions", talk.id)
        overview = self.api("GET", "/api/v1/overview")
        self.check_header(page, overview)
        self.check_session(page, talk)
        self.check_counters(page)
        page.wait("Number(document.querySelectorAll('.plots figure').length) === 9")
        self.assertEqual(page.evaluate("[...document.querySelectorAll('.plots figure')]"
                                       ".filter(plot => !plot.hidden).length"), 6)  # no rooms
        self.assertSound(page)

    def check_header(self, page, overview):
        self.assertEqual(overview["id"], "node-7")
        self.assertEqual(self.texts(page, "#node, #state, #health, #version"),
                         ["node-7", "serving", "health ok", f"Tandem {overview['version']}"])
        self.assertIn("test-region", self.texts(page, "#region")[0])
        self.assertRegex(self.texts(page, "#uptime")[0], r"^up \d+\s(s|min)")
        sessions = overview["relay"]["sessions"]
        self.assertGreaterEqual(sessions, 1)
        self.assertRegex(page.evaluate("document.title"), f"^node-7 · {sessions} sessions?$")
        self.assertTrue(self.texts(page, "#tile-sessions")[0].startswith(f"{sessions}of 100"))
        self.assertEqual(len(self.texts(page, "#shards tr")), len(overview["relay"]["shards"]))

    def check_session(self, page, talk):
        row = self.texts(page, f'#sessions tr[data-key="{talk.id}"]')[0]
        known = self.api("GET", f"/api/v1/sessions/{talk.id}")
        self.assertTrue(known["paired"])
        for side in ("a", "b"):
            address, udp = known[side]["udp"].rsplit(":", 1)
            self.assertIn(f"{address} UDP {udp} · TCP {known[side]['tcp'].rsplit(':', 1)[1]}", row)
        self.assertIn("paired", row)
        # A rate, once it was asked for twice.
        page.wait(f"""/[1-9][\\d.,]*\\s[kM]?bit/.test(
            document.querySelector('#sessions tr[data-key="{talk.id}"] td:nth-child(3)').textContent)""")

    def check_counters(self, page):
        """Of what does not move any more: the same in the page, in the API and in the metrics."""
        dropped = self.api("GET", "/api/v1/overview")["traffic"]["datagrams"]["dropped"]
        self.assertGreaterEqual(sum(dropped.values()), 5)
        self.assertEqual(sum(dropped.values()), self.relay.metric("dropped"))
        for reason, count in dropped.items():
            shown = page.wait("""[...document.querySelectorAll('#drops tr')].map(row =>
                [...row.cells].map(cell => cell.textContent))
                .find(([name]) => name === """ + json.dumps(reason.replace("_", " ")) + ")")
            self.assertEqual(shown[2], f"{count:,}")

    def test_pictures_in_both_schemes_and_widths(self):
        for _ in range(3):
            Talk(self)
        page = self.board("/dashboard")
        page.wait("past.count >= 3")
        for _ in range(40):
            self.stranger_socket().sendto(b"\x00" * 40, self.relay.address())
        # Enough of a history for plots that say something.
        page.wait("past.count >= 8", timeout=40)
        for scheme, background in BACKGROUNDS.items():
            page.prefer(scheme)
            page.wait(f"getComputedStyle(document.body).backgroundColor === '{background}'")
            page.evaluate("new Promise(requestAnimationFrame)")
            page.picture(PICTURES / f"dashboard-{scheme}.png")
        page.resize(NARROW, HIGH)
        page.wait(f"innerWidth === {NARROW} && document.querySelector('canvas').width < {NARROW}")
        self.assertEqual(page.evaluate("document.documentElement.scrollWidth"), NARROW)
        page.picture(PICTURES / "dashboard-narrow.png")
        print(f"pictures: {PICTURES}/dashboard-*.png")
        self.assertSound(page)

    def test_the_switch_wins_over_the_system(self):
        page = self.board()
        page.prefer("dark")
        background = "getComputedStyle(document.body).backgroundColor"
        for theme, seen in (("light", "light"), ("dark", "dark"), ("auto", "dark")):
            page.click("#theme")
            self.assertEqual(self.texts(page, "#theme"), [f"Theme: {theme}"])
            self.assertEqual(page.evaluate(background), BACKGROUNDS[seen])
        self.assertSound(page)

    def test_plots_by_pointer_and_keyboard(self):
        page = self.board()
        page.wait("past.count >= 4", timeout=30)
        for across, minutes in ((1, 5), (2, 15), (3, 60)):
            page.click(f".ranges button:nth-child({across})")
            self.assertEqual(page.evaluate("rangeMinutes"), minutes)
        page.click(".ranges button:nth-child(1)")
        page.point(".plots figure canvas", 0.97)
        page.wait("/^\\d\\d:\\d\\d:\\d\\d/.test(document.querySelector('.plots .tip').innerText)")
        page.point("#bar", 0.5)
        page.wait("document.querySelector('.plots .tip').hidden")
        page.evaluate("document.querySelector('.plots canvas').focus()")
        page.press("ArrowLeft")
        page.wait("!document.querySelector('.plots .tip').hidden")
        page.press("Escape")
        page.wait("document.querySelector('.plots .tip').hidden")
        self.assertRegex(page.evaluate("document.querySelector('.plots canvas').ariaLabel"),
                         r"^Throughput: shard 0 .*bit/s, shard 1 .*bit/s$")
        self.assertSound(page)

    def test_the_history_is_bounded(self):
        page = self.board()
        page.wait("past.count >= 2")
        page.evaluate("""for (let i = 0; i < 5000; ++i)
            past.push(Date.now() - 7200e3 + i, {[`made up ${i}`]: i, sessions: i})""")
        self.assertLessEqual(page.evaluate("past.series.size"), 400)
        self.assertEqual(page.evaluate("past.times.length"), 1800)
        self.assertEqual(page.evaluate("past.last('sessions')"), 4999)
        self.assertSound(page)


class Actions(DashboardTest):
    def test_a_session_is_kicked(self):
        talk, other = Talk(self), Talk(self)
        page = self.board()
        self.wait_for_row(page, "sessions", talk.id)
        kick = f'#sessions tr[data-key="{talk.id}"] button[aria-label^="Kick"]'
        page.click(kick)
        page.wait("document.querySelector('#ask').open")
        self.assertIn(talk.id, self.texts(page, "#ask")[0])
        page.press("Escape")
        page.wait("!document.querySelector('#ask').open")
        self.api("GET", f"/api/v1/sessions/{talk.id}")  # nothing happened
        page.click(kick)
        page.click("#ask button[type=submit]")
        self.wait_for_notice(page, f"Session {talk.id} was ended")
        self.wait_for_no_row(page, "sessions", talk.id)
        self.wait_for_row(page, "sessions", other.id)
        self.api("GET", f"/api/v1/sessions/{talk.id}", expect=404)
        self.assertLogged("kick")
        self.assertSound(page)

    def test_kicking_what_has_gone_is_told(self):
        talk = Talk(self)
        page = self.board()
        self.wait_for_row(page, "sessions", talk.id)
        page.click(f'#sessions tr[data-key="{talk.id}"] button[aria-label^="Kick"]')
        self.relay.ctl("kick", talk.id)
        page.click("#ask button[type=submit]")
        page.wait("document.querySelector('#ask .wrong').innerText.includes('did not work')")
        page.press("Escape")
        self.assertSound(page, without="404")

    def test_a_network_is_blocked_and_let_in_again(self):
        talk = Talk(self)
        page = self.board()
        self.wait_for_row(page, "sessions", talk.id)
        page.click(f'#sessions tr[data-key="{talk.id}"] button[aria-label^="Block"]')
        self.assertEqual(page.evaluate("document.querySelector('#ask-network').value"), V4)
        page.press("Escape")
        page.click("#add-block")
        page.wait("document.activeElement.id === 'ask-network'")
        page.type("not a network")
        page.press("Enter")
        page.wait("document.querySelector('#ask .wrong').innerText.includes('network')")
        page.evaluate("document.querySelector('#ask-network').select()")
        page.type("203.0.113.7/24")
        page.press("Enter")
        self.wait_for_row(page, "blocks", "203.0.113.0/24")
        blocked = self.relay.ctl_json("blocks")["blocks"]
        self.assertEqual([(one["network"], one["automatic"]) for one in blocked],
                         [("203.0.113.0/24", False)])
        self.assertLessEqual(blocked[0]["remainingMs"], 3_600_000)
        page.click('#blocks tr[data-key="203.0.113.0/24"] button')
        self.wait_for_no_row(page, "blocks", "203.0.113.0/24")
        self.assertEqual(self.relay.ctl_json("blocks")["blocks"], [])
        self.assertSound(page, without="400")

    def test_the_node_is_drained_and_undrained(self):
        page = self.board()
        self.addCleanup(self.relay.ctl, "undrain")
        for state, ready, button in (("draining", 503, "Undrain"), ("serving", 200, "Drain")):
            page.click("#drain")
            page.click("#ask button[type=submit]")
            page.wait(f"document.querySelector('#state').textContent === '{state}'")
            self.assertEqual(self.relay.ready_status(), ready)
            self.assertEqual(self.texts(page, "#drain"), [button])
        self.assertSound(page)

    def test_by_keyboard_alone(self):
        talk = Talk(self)
        page = self.board()
        self.wait_for_row(page, "sessions", talk.id)
        focused = "document.activeElement.getAttribute('aria-label') ?? ''"
        for _ in range(40):
            page.press("Tab")
            if page.evaluate(focused) == f"Kick session {talk.id}":
                break
        else:
            self.fail("Tab does not reach the session's button")
        # It stays the focused one while the table is drawn anew.
        rounds = page.evaluate("rounds")
        page.wait(f"rounds >= {rounds} + 3")
        self.assertEqual(page.evaluate(focused), f"Kick session {talk.id}")
        page.press("Enter")
        page.wait("document.querySelector('#ask').open && "
                  "document.activeElement.textContent === 'Cancel'")
        page.press("Tab")
        page.press("Enter")
        self.wait_for_no_row(page, "sessions", talk.id)
        self.assertSound(page)


class Access(DashboardTest):
    def test_without_the_token_there_is_only_the_prompt(self):
        page = self.page()
        page.wait("document.activeElement.id === 'token'")
        self.assertEqual([urlsplit(url).path for url in page.requested
                          if url.startswith("http")], ["/"])
        self.assertTrue(page.evaluate("document.querySelector('#board').hidden"))
        self.assertNotIn("node-7", page.evaluate("document.body.innerText"))
        self.sign_in(page, "wrong")
        page.wait("document.querySelector('#refused').innerText.includes('not this node')")
        self.assertTrue(page.evaluate("document.querySelector('#board').hidden"))
        self.assertLogged(f"Authentication failed for {V4}")
        page.evaluate("document.querySelector('#token').value = ''")
        self.sign_in(page)
        page.wait("document.querySelector('#link').textContent === 'live'")
        self.assertSound(page, without="401")

    def test_a_reload_keeps_the_token_and_signing_out_forgets_it(self):
        page = self.board()
        page.navigate(self.origin + "/dashboard")
        page.wait("document.querySelector('#link').textContent === 'live'")
        page.click("#leave")
        page.wait("document.activeElement.id === 'token'")
        self.assertEqual(page.evaluate("sessionStorage.length"), 0)
        self.assertTrue(page.evaluate("document.querySelector('#board').childElementCount === 0"))
        self.assertSound(page)

    def test_the_page_and_its_policy(self):
        status, headers, text = self.relay.request("GET", "/dashboard")
        self.assertEqual(status, 200)
        self.assertEqual(headers["Content-Type"], "text/html; charset=utf-8")
        policy = headers["Content-Security-Policy"]
        self.assertIn("default-src 'none'", policy)
        self.assertIn("script-src 'sha256-", policy)
        self.assertNotIn("unsafe", policy)
        self.assertEqual(self.relay.request("GET", "/")[2], text)
        self.assertEqual(self.relay.request("POST", "/", "")[0], 405)

    def test_what_the_policy_refuses_is_told(self):
        """The page's own check that it would be seen."""
        page = self.board()
        page.evaluate("document.body.append(Object.assign(document.createElement('img'), "
                      "{src: 'http://127.0.0.9/x.png'}))")
        self.wait_for_notice(page, "Refused by the page's policy: img-src")
        self.assertTrue(any("Content Security Policy" in fault or "ContentSecurityPolicy" in fault
                            for fault in page.faults), page.faults)


class Rooms(DashboardTest):
    """The room service's part over made-up answers: names are clients' own, whatever they hold."""

    ANSWERS = """
        const real = fetch;
        window.closedRooms = [];
        window.events = 0;
        window.fetch = async (path, options) => {
          const answer = body => new Response(JSON.stringify(body));
          if (path === "/api/v1/overview") {
            const reply = await real(path, options);
            if (!reply.ok) return reply;
            events += 20;
            return answer({...await reply.json(),
              rooms: {enabled: true, rooms: 2 - closedRooms.length, roomsMax: 5000, members: 5, clients: 7,
                connections: 8, connectionsMax: 10000, websockets: 6, subscribers: 1, events,
                eventsRefused: 0, p2pSucceeded: 3, p2pFailed: 1, authenticationsFailed: 0},
              latency: {p50Ms: 1, p95Ms: 2, p99Ms: 3, boundsMs: [1, 2, 5], counts: [0, events, 0, 0]},
              storage: {driver: "sqlite", status: "behind", queued: 9, queueMax: 10, written: 1,
                failed: 0, dropped: 2},
              cluster: {configured: true, connected: false, responseMs: 0, nodes: 0}});
          }
          if (options.method === "DELETE" && path.startsWith("/api/v1/rooms/")) {
            closedRooms.push(path);
            return answer({roomId: path.slice(14)});
          }
          if (!path.startsWith("/api/v1/rooms")) return real(path, options);
          const room = (id, name) => ({id, code: "ABC123", name, gameId: "18446744073709551615",
            gameVersion: "1.0", hostName: "<i>h</i>", currentPlayers: 2, maxPlayers: 8,
            hasPassword: true, visibility: "private", locked: true, region: "eu",
            createdAt: Date.now() - 90_500, updatedAt: Date.now(), metadata: null});
          return answer({rooms: [room("r-1", "<img src=x onerror=alert(1)>"), room("r-2", "two")]
            .slice(closedRooms.length), nextCursor: null});
        };
        0"""

    def test_rooms_are_shown_and_closed(self):
        page = self.page()
        page.evaluate(self.ANSWERS)
        self.sign_in(page)
        self.wait_for_row(page, "rooms", "r-1")
        cells = self.texts(page, '#rooms tr[data-key="r-1"] > *')
        self.assertIn("<img src=x onerror=alert(1)>", cells[0])
        self.assertIn("18446744073709551615", cells[1])
        self.assertIn("<i>h</i>", cells[2])
        self.assertEqual(cells[3], "2 of 8")
        self.assertEqual(cells[4], "privatelocked, password")
        self.assertRegex(cells[5], r"^1\smin 3\d")
        page.wait("document.querySelector('#tile-latency').textContent === '1.95ms'")
        self.assertEqual(self.texts(page, "#tile-rooms, #tile-clients"), ["2of 5\u202fk", "7"])
        self.assertEqual(page.evaluate("[...document.querySelectorAll('.plots figure')]"
                                       ".filter(plot => !plot.hidden).length"), 9)
        self.assertTrue({"behind", "not connected"} <= {*self.texts(page, "#system-panel .badge")})
        page.click('#rooms tr[data-key="r-1"] button')
        page.click("#ask button[type=submit]")
        self.wait_for_no_row(page, "rooms", "r-1")
        self.assertEqual(page.evaluate("closedRooms"), ["/api/v1/rooms/r-1"])
        self.assertSound(page)


class LiveRooms(RoomTest, DashboardTest):
    """With clients of npm's."""

    config = {"room.rooms_per_client": 21}

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.open_browser()

    def test_a_room_is_shown_as_it_is_and_closed_for_its_players(self):
        ada, bob = self.player("Ada"), self.player("Bob")
        room = self.room_of(ada, bob, name="Arcade night", gameId="18446744073709551615",
                            visibility="unlisted")
        page = self.board()
        self.wait_for_row(page, "rooms", room["id"])
        cells = self.texts(page, f'#rooms tr[data-key="{room["id"]}"] > *')
        self.assertIn("Arcade night", cells[0])
        self.assertIn("18446744073709551615", cells[1])
        self.assertIn("Ada", cells[2])
        self.assertEqual(cells[3:5], ["2 of 8", "unlisted"])
        self.assertEqual(self.texts(page, "#tile-clients"), ["2"])
        page.click(f'#rooms tr[data-key="{room["id"]}"] button')
        page.click("#ask button[type=submit]")
        for player in (ada, bob):
            player.event("room:closed", roomId=room["id"], reason="operator")
        self.wait_for_no_row(page, "rooms", room["id"])
        self.wait_for_notice(page, "Room Arcade night was closed.")
        self.assertSound(page)

    def test_more_rooms_than_are_shown(self):
        ada = self.player("Ada")
        for number in range(21):
            self.create(ada, name=f"Room {number}")
        page = self.board()
        shown = "document.querySelectorAll('#rooms tr[data-key]').length === {}"
        for rows, total, button in ((20, "20 of 21", "More"), (21, "all 21", "Fewer"),
                                    (20, "20 of 21", "More")):
            page.wait(shown.format(rows))
            self.assertEqual(self.texts(page, "#rooms-total, #more-rooms"), [total, button])
            page.click("#more-rooms")
        self.assertSound(page)


class Restarts(DashboardTest):
    def test_it_says_that_the_daemon_restarted(self):
        page = self.board()
        page.wait("past.count >= 2")
        self.relay.stop()
        page.wait("document.querySelector('#link').textContent.startsWith('no answer')")
        self.wait_for_notice(page, "No answer from the node")
        self.relay.start()
        self.wait_for_notice(page, "The node restarted at")
        page.wait("document.querySelector('#link').textContent === 'live'")
        self.assertNotIn("No answer", page.evaluate("document.querySelector('#notices').innerText"))
        rounds = page.evaluate("past.count")
        page.wait(f"past.count >= {rounds} + 2")
        self.assertSound(page, without="ERR_CONNECTION_REFUSED")

    def test_it_asks_for_nothing_while_it_is_hidden(self):
        page = self.board()
        page.wait("past.count >= 2")
        hide = ("Object.defineProperty(document, 'hidden', {{configurable: true, value: {}}});"
                "document.dispatchEvent(new Event('visibilitychange'))")
        page.evaluate(hide.format("true"))
        page.wait("document.querySelector('#link').textContent === 'paused'")
        page.evaluate("underWay")
        count = len(page.requested)
        page.evaluate("new Promise(done => setTimeout(done, 2.5 * POLL_MS))")
        self.assertEqual(len(page.requested), count)
        page.evaluate(hide.format("false"))
        page.wait("document.querySelector('#link').textContent === 'live'")
        self.assertGreater(len(page.requested), count)
        self.assertSound(page)


class Routes(DashboardTest):
    def test_each_wants_the_token(self):
        for method, path in (("GET", "/api/v1/overview"), ("GET", "/api/v1/sessions"),
                             ("GET", "/api/v1/sessions/0123456789abcdef"),
                             ("DELETE", "/api/v1/sessions/0123456789abcdef"),
                             ("GET", "/api/v1/blocks"), ("POST", "/api/v1/blocks"),
                             ("DELETE", "/api/v1/blocks?network=192.0.2.1"),
                             ("POST", "/api/v1/drain"), ("DELETE", "/api/v1/rooms/x")):
            for headers in ({}, {"Authorization": "Bearer wrong"}):
                status, reply, _ = self.relay.request(method, path, headers=headers)
                self.assertEqual((status, reply["WWW-Authenticate"]), (401, "Bearer"), path)
        self.assertLogged(f"Authentication failed for {V4}")

    def test_they_do_what_tandemctl_does(self):
        self.assertJoined(*self.stream_pair(tokens := self.tokens()))
        session = f"{tokens[0].session_id:016x}"
        self.assertEqual(self.api("GET", "/api/v1/sessions?limit=5")["sessions"][0]["id"], session)
        self.api("DELETE", f"/api/v1/sessions/{session}")
        self.assertTrue(eventually(lambda: self.relay.metric("sessions") == 0))
        self.api("DELETE", f"/api/v1/sessions/{session}", expect=404)
        made = self.api("POST", "/api/v1/blocks", {"network": "198.51.100.9", "seconds": 60})
        self.assertEqual(made, {"network": "198.51.100.9/32", "seconds": 60})
        listed = self.api("GET", "/api/v1/blocks")["blocks"]
        self.assertEqual([block["network"] for block in listed], [made["network"]])
        self.api("DELETE", f"/api/v1/blocks?network={made['network']}")
        self.api("POST", "/api/v1/blocks", {"network": "198.51.100.9", "why": 1}, expect=400)
        self.api("DELETE", "/api/v1/rooms/nobody", expect=404)


if __name__ == "__main__":
    if CHROMIUM is None:
        print("skipped: chromium is not installed")
        sys.exit(SKIPPED)
    unittest.main()

"""Coming back: after a lost connection, to a second device, after the grace, after the server's restart,
with a new token. Nothing is missed, nothing comes twice."""

import contextlib
import signal
import sqlite3
import time
import unittest

from harness import eventually
from room_harness import POLLING, POLLING_FIRST, WEBSOCKET, Client, RoomTest, binary


class Returning(RoomTest):
    def absent(self, client) -> bool:
        """The server knows that its connection is gone."""
        clients = self.relay.ctl_json("clients")["clients"]
        known = [each for each in clients if each["id"] == client.id]
        return bool(known) and not known[0]["connected"]


def heard(client, count: int, timeout: float = 10.0) -> list:
    """The data of so many messages and of any more, whether they come as events or in room:resumed's
    list."""
    got: list = []

    def take():
        while client.seen("room:resumed"):
            missed = client.event("room:resumed")["missed"]
            got.extend(each["args"][0]["data"] for each in missed
                       if each["event"] == "room:message")
        while client.seen("room:message"):
            got.append(client.event("room:message")["data"])
        return len(got) >= count

    eventually(take, timeout)
    client.round_trip()
    take()
    return got


class LostConnection(Returning):
    config = {"room.reconnect_grace_s": 20}

    def test_what_was_missed_comes_once(self):
        for transport, loss in ((WEBSOCKET, Client.lose), (WEBSOCKET, Client.cut),
                                (POLLING_FIRST, Client.lose), (POLLING_FIRST, Client.cut),
                                (POLLING, Client.lose)):
            with self.subTest(f"{transport} {loss.__name__}"):
                host, guest = self.player("Ada"), self.player("Grace", transport)
                if transport is POLLING_FIRST:
                    guest.upgraded()
                room = self.room_of(host, guest)
                for number in range(20):
                    host.send("room:message", {"roomId": room["id"], "data": number})
                loss(guest)
                for number in range(20, 40):
                    host.send("room:message", {"roomId": room["id"], "data": number})
                guest.turn("disconnect")
                guest.connected()
                for number in range(40, 60):
                    host.send("room:message", {"roomId": room["id"], "data": number})
                self.assertEqual(heard(guest, 60), [*range(60)])
                guest.get("room:ready", {"roomId": room["id"], "ready": True})  # it is still there
                host.event("player:ready")
                self.assertEqual(host.seen("player:left"), [])
                self.assertEqual(host.seen("player:joined"), [])

    def test_binary_is_not_lost_either(self):
        host, guest = self.player("Ada"), self.player("Grace")
        room = self.room_of(host, guest)
        guest.lose()
        guest.turn("disconnect")
        for number in range(5):
            host.get("room:message", {"roomId": room["id"], "data": binary(bytes([number] * 100))})
        guest.connected()
        self.assertEqual(heard(guest, 5), [binary(bytes([number] * 100)) for number in range(5)])

    def test_again_and_again(self):
        host, guest = self.player("Ada"), self.player("Grace")
        room = self.room_of(host, guest)
        numbers = iter(range(10_000))
        sent: list[int] = []
        for _ in range(8):
            for _ in range(5):
                sent.append(next(numbers))
                host.send("room:message", {"roomId": room["id"], "data": sent[-1]})
            guest.lose()
            guest.turn("disconnect")
            guest.connected()
        self.assertEqual(heard(guest, len(sent)), sent)

    def test_the_whole_room_is_known_again(self):
        """A client that starts anew (no socket.io state of its own) is told everything."""
        host, guest = self.player("Ada"), self.player("Grace")
        room = self.room_of(host, guest, password="secret")
        token = self.sign(guest.id, "Grace")
        guest.disconnect()
        self.assertTrue(eventually(lambda: self.absent(guest)))
        host.get("room:update", {"roomId": room["id"], "name": "Renamed", "locked": True})
        host.get("room:message", {"roomId": room["id"], "data": "while you were away"})
        again = self.open(token, WEBSOCKET).connected()
        resumed = again.event("room:resumed")
        self.assertEqual(resumed["roomId"], room["id"])
        self.assertEqual((resumed["room"]["name"], resumed["room"]["locked"]), ("Renamed", True))
        self.assertEqual([player["clientId"] for player in resumed["players"]],
                         [host.id, guest.id])
        self.assertEqual(resumed["self"]["playerId"], 2)
        self.assertEqual(resumed["seq"], 1)
        self.assertIn("while you were away",
                      [missed["args"][0].get("data") for missed in resumed["missed"]])
        self.assertEqual(host.seen("player:left"), [])

    def test_a_follower_of_lists_goes_on_following(self):
        host, follower = self.player("Ada"), self.player("Grace")
        game = f"return-{time.time_ns()}"
        follower.get("room:subscribe", {"gameId": game})
        follower.forget()
        follower.lose()
        follower.turn("disconnect")
        follower.connected()
        if not follower.state()["recovered"]:
            follower.get("room:subscribe", {"gameId": game})
        self.create(host, gameId=game)
        follower.event("room:list:update", type="add")

    def test_more_is_missed_than_is_kept(self):
        """Bounded, and said so: what is there is whole, and seq shows the rest."""
        host, guest = self.player("Ada"), self.player("Grace")
        room = self.room_of(host, guest)
        token = self.sign(guest.id, "Grace")
        guest.disconnect()
        self.assertTrue(eventually(lambda: self.absent(guest)))
        before = self.relay.resident_bytes()
        text = "x" * 30_000
        for number in range(600):
            host.send("room:message", {"roomId": room["id"], "data": [number, text]})
        host.round_trip()
        host.get("room:message", {"roomId": room["id"], "data": "the last"})
        grown = self.relay.resident_bytes() - before
        again = self.open(token, WEBSOCKET).connected()
        resumed = again.event("room:resumed")
        self.assertEqual(resumed["seq"], 601)
        self.assertIs(resumed["complete"], False)
        self.assertLess(grown, 8 << 20)
        again.get("room:message", {"roomId": room["id"], "data": "here"})
        host.forget()


class Takeover(Returning):
    def test_a_second_connection_takes_over(self):
        for transport in (WEBSOCKET, POLLING_FIRST):
            with self.subTest(transport):
                host, older = self.player("Ada"), self.player("Grace", transport)
                room = self.room_of(host, older)
                newer = self.open(self.sign(older.id, "Grace"), transport).connected()
                self.assertEqual(newer.event("room:resumed")["roomId"], room["id"])
                self.assertEqual(older.turn("disconnect")["reason"], "io server disconnect")
                host.get("room:message", {"roomId": room["id"], "data": "to the newer one"})
                self.assertEqual(newer.event("room:message")["data"], "to the newer one")
                newer.get("room:ready", {"roomId": room["id"], "ready": True})
                host.event("player:ready")
                self.assertEqual(host.seen("player:left"), [])
                self.assertEqual(host.seen("player:joined"), [])
                # The older one's client does not come back by itself and so does not take over.
                self.assertNotIn("connect", older.turns())
                self.assertFalse(older.state()["connected"])
                self.assertTrue(newer.state()["connected"])


class Grace(Returning):
    config = {"room.reconnect_grace_s": 1, "room.session_lifetime_s": 60}

    def test_past_the_grace_the_seat_is_free(self):
        host, guest = self.player("Ada"), self.player("Grace")
        room = self.room_of(host, guest, maxPlayers=3, password="secret")
        token = self.sign(guest.id, "Grace")
        guest.disconnect()
        left = host.event("player:left", timeout=10)
        self.assertEqual((left["clientId"], left["reason"]), (guest.id, "timeout"))
        host.get("room:update", {"roomId": room["id"], "locked": True})
        again = self.open(token, WEBSOCKET).connected()
        again.round_trip()
        self.assertEqual(again.seen("room:resumed"), [])
        with self.subTest("the same one may take it again while it is free"):
            back = again.get("room:join", {"roomId": room["id"]})
            self.assertEqual(back["self"]["playerId"], 2)
        stranger = self.player("Mallory")
        stranger.refused("room:join", {"roomId": room["id"]}, code="ROOM_LOCKED")

    def test_a_host_whose_grace_ends_is_replaced(self):
        host, guest = self.player("Ada"), self.player("Grace")
        room = self.room_of(host, guest)
        host.disconnect()
        new = guest.event("room:host", timeout=10)
        self.assertEqual((new["roomId"], new["hostId"]), (room["id"], guest.id))
        self.assertEqual(guest.event("player:left")["reason"], "timeout")

    def test_the_last_one_takes_the_room_along(self):
        host, watcher = self.player("Ada"), self.player("Grace")
        game = f"grace-{time.time_ns()}"
        watcher.get("room:subscribe", {"gameId": game})
        watcher.forget()
        room = self.create(host, gameId=game)
        watcher.event("room:list:update", type="add")
        host.disconnect()
        watcher.event("room:list:update", timeout=10, type="remove")
        watcher.refused("room:join", {"roomId": room["id"]}, code="NOT_FOUND")


class ClosedTest(Returning):
    config = {"room.reconnect_grace_s": 30, "room.room_timeout_s": 1}

    def test_a_room_without_a_connected_member_is_closed(self):
        host, watcher = self.player("Ada"), self.player("Grace")
        game = f"closed-{time.time_ns()}"
        self.create(host, gameId=game)
        token = self.sign(host.id, "Ada")
        host.disconnect()
        self.assertTrue(eventually(
            lambda: not watcher.get("room:list", {"gameId": game})["rooms"], 10))
        again = self.open(token, WEBSOCKET).connected()
        again.round_trip()
        self.assertEqual([resumed["roomId"] for resumed in again.seen("room:resumed")], [])


class Restart(Returning):
    config = {"storage.driver": "sqlite", "room.reconnect_grace_s": 30}

    def restart(self, number: int):
        self.relay.signal(number)
        self.relay.wait(20)
        self.relay.start()

    def check(self, number: int):
        host, guest = self.player("Ada"), self.player("Grace", POLLING_FIRST)
        fields = {"name": "Lives on", "gameId": "18446744073709551615", "password": "secret",
                  "metadata": {"deep": [1, "zwei"]}, "maxPlayers": 4, "region": "asia",
                  "hostEndpoint": "192.0.2.7:4000"}
        room = host.get("room:create", fields)["room"]
        guest.get("room:join", {"roomId": room["id"], "password": "secret"})
        guest.get("room:ready", {"roomId": room["id"], "ready": True})
        host.get("room:update", {"roomId": room["id"], "name": "Still lives on"})
        last = host.get("room:message", {"roomId": room["id"], "data": "before"})["seq"]
        banned = self.player("Mallory")
        host.get("room:ban", {"roomId": room["id"], "clientId": banned.id})
        for client in (host, guest, banned):
            client.forget()
        # What was acknowledged is written at most a moment later; a crash may cost that moment.
        if number == signal.SIGKILL:
            time.sleep(1.5)
        self.restart(number)

        for client, seat in ((host, 1), (guest, 2)):
            client.connected(timeout=20)
            resumed = client.event("room:resumed")
            kept = resumed["room"]
            self.assertEqual(
                {key: kept[key] for key in fields if key not in ("password", "name")},
                {key: fields[key] for key in fields if key not in ("password", "name")})
            self.assertEqual((kept["id"], kept["code"], kept["name"], kept["createdAt"]),
                             (room["id"], room["code"], "Still lives on", room["createdAt"]))
            self.assertIs(kept["hasPassword"], True)
            self.assertEqual(kept["hostId"], host.id)
            self.assertEqual(resumed["self"]["playerId"], seat)
            self.assertEqual([player["clientId"] for player in resumed["players"]],
                             [host.id, guest.id])
        stranger = self.player("Alan")
        stranger.refused("room:join", {"code": room["code"]}, code="BAD_PASSWORD")
        stranger.refused("room:join", {"code": room["code"], "password": "wrong"},
                         code="BAD_PASSWORD")
        stranger.get("room:join", {"code": room["code"], "password": "secret"})
        banned.connected(timeout=20)
        banned.refused("room:join", {"roomId": room["id"], "password": "secret"}, code="BANNED")
        host.get("room:message", {"roomId": room["id"], "data": "after"})
        message = guest.event("room:message")
        self.assertEqual(message["data"], "after")
        self.assertGreater(message["seq"], last)
        self.assertEqual(guest.event("player:joined")["player"]["playerId"], 3)

    def test_it_is_stopped_and_started(self):
        self.check(signal.SIGTERM)

    def test_it_is_killed(self):
        self.check(signal.SIGKILL)

    def test_who_does_not_come_back_in_time(self):
        self.relay.write_config({"room.reconnect_grace_s": 2})
        self.addCleanup(self.relay.write_config, {"room.reconnect_grace_s": 30})
        host, guest = self.player("Ada"), self.player("Grace")
        room = self.room_of(host, guest)
        host.disconnect()
        self.restart(signal.SIGTERM)
        guest.connected(timeout=20)
        self.assertEqual(guest.event("room:resumed")["roomId"], room["id"])
        self.assertEqual(guest.event("player:left", timeout=15)["reason"], "timeout")
        self.assertEqual(guest.event("room:host")["hostId"], guest.id)

    def database(self):
        return contextlib.closing(sqlite3.connect(
            f"file:{self.relay.folder}/state/tandem.db?mode=ro", uri=True))

    def test_what_lasted_when_it_ended(self):
        host, guest = self.player("Ada"), self.player("Grace")
        room = self.room_of(host, guest)
        host.get("p2p:success", {"roomId": room["id"], "targetClientId": guest.id,
                                 "connectionType": "lan", "latencyMs": 12})
        self.restart(signal.SIGTERM)
        with self.database() as database:
            kept = database.execute("SELECT client_id, connection_type FROM connection_metrics"
                                    " WHERE room_id = ? AND duration_seconds IS NOT NULL",
                                    (room["id"],)).fetchall()
        self.assertEqual(kept, [(host.id, "lan")])
        for client in (host, guest):
            client.connected(timeout=20)

    def test_how_members_reached_each_other_is_kept(self):
        host, guest = self.player("Ada"), self.player("Grace")
        room = self.room_of(host, guest)
        host.get("p2p:success", {"roomId": room["id"], "targetClientId": guest.id,
                                 "connectionType": "lan", "latencyMs": 12})
        guest.get("p2p:failure", {"roomId": room["id"], "targetClientId": host.id})
        guest.get("room:leave", {"roomId": room["id"]})
        expected = [(host.id, "lan", 12, False),  # what it measured
                    (host.id, "lan", None, True),  # over when both got a relay
                    (host.id, "relay", None, True), (guest.id, "relay", None, True)]
        with self.database() as database:
            def kept():
                return database.execute(
                    "SELECT client_id, connection_type, latency_ms, duration_seconds IS NOT NULL"
                    " FROM connection_metrics WHERE room_id = ? ORDER BY id",
                    (room["id"],)).fetchall()
            eventually(lambda: len(kept()) == 4, 5)
            self.assertCountEqual(kept(), expected)


class Tokens(Returning):
    config = {"room.reconnect_grace_s": 10}

    def test_one_that_ends_on_a_live_socket(self):
        for transport in (WEBSOCKET, POLLING_FIRST):
            with self.subTest(transport):
                host, sub = self.player("Ada"), f"short-{time.time_ns()}"
                client = self.open(self.sign(sub, expires_in=4), transport).connected()
                room = self.room_of(host, client)
                client.show(self.sign(sub))  # what its program gives next time
                self.assertNotEqual(client.turn("disconnect", timeout=15)["reason"],
                                    "io server disconnect")
                client.connected()
                client.get("room:ready", {"roomId": room["id"], "ready": True})
                host.event("player:ready")
                self.assertEqual(host.seen("player:left"), [])

    def test_without_a_fresh_one_it_stays_outside(self):
        client = self.open(self.sign(f"short-{time.time_ns()}", expires_in=3), WEBSOCKET).connected()
        client.turn("disconnect", timeout=15)
        self.assertEqual(client.refusal()["data"]["code"], "AUTH_FAILED")

    def test_somebody_elses_recovery(self):
        """Who shows another's session with a token of its own gets nothing of the other's."""
        host, guest = self.player("Ada"), self.player("Grace")
        room = self.room_of(host, guest)
        guest.lose()
        guest.show(self.sign("mallory", "Mallory"))
        guest.turn("disconnect")
        host.get("room:message", {"roomId": room["id"], "data": "for Grace"})
        guest.connected()
        self.assertEqual(guest.id, "mallory")
        guest.round_trip()
        self.assertFalse(guest.state()["recovered"])
        self.assertEqual(guest.seen("room:message") + guest.seen("room:resumed"), [])
        guest.refused("room:ready", {"roomId": room["id"], "ready": True}, code="NOT_IN_ROOM")


if __name__ == "__main__":
    unittest.main()

"""Two stock socket.io-client sockets and the rooms: what each event gets, who else hears of it, and every
refusal. With the client's default transports and with WebSocket alone."""

import time
import unittest
import uuid

from room_harness import POLLING, POLLING_FIRST, SECRET, WEBSOCKET, RoomTest, binary

ROOM_FIELDS = {"id", "code", "name", "gameId", "gameVersion", "hostId", "hostName", "currentPlayers",
               "maxPlayers", "hasPassword", "visibility", "locked", "region", "createdAt",
               "updatedAt", "metadata"}
MEMBER_FIELDS = ROOM_FIELDS | {"hostEndpoint", "hostPeerId"}
PLAYER_FIELDS = {"clientId", "playerId", "name", "joinedAt", "ready"}
NOWHERE = str(uuid.UUID(int=0))


class Both:
    """Everything that does not hang on the transport, for one set of transports."""

    transport: dict

    def pair(self):
        return (self.player("Ada", self.transport), self.player("Grace", self.transport))

    def assertRecent(self, milliseconds: int):
        self.assertLess(abs(time.time() * 1000 - milliseconds), 60_000)

    def test_a_guest_comes_in(self):
        token, client_id = self.guest("Ada", platform="linux", version="1.2.0")
        client = self.open(token, self.transport).connected()
        self.assertEqual({*client.greeting},
                         {"clientId", "serverTime", "serverVersion", "node", "region"})
        self.assertEqual(client.id, client_id)
        self.assertEqual((client.greeting["node"], client.greeting["region"]),
                         ("e2e-node", "europe"))
        self.assertRecent(client.greeting["serverTime"])
        room = self.create(client)
        self.assertEqual((room["hostId"], room["hostName"]), (client_id, "Ada"))

    def test_create(self):
        host = self.player("Ada", self.transport)
        wanted = {"name": "Prüfstand ☕", "gameId": "0100000000010000", "gameVersion": "1.2",
                  "maxPlayers": 4, "visibility": "unlisted", "region": "asia",
                  "metadata": {"mode": "co-op", "list": [1, {"two": None}], "text": "\u2028 <b>"},
                  "hostEndpoint": "192.0.2.7:4000", "hostPeerId": "peer-7"}
        ack = host.get("room:create", wanted)
        event = host.event("room:created")
        self.assertEqual({key: ack[key] for key in event}, event)
        self.assertIs(event["success"], True)
        room = event["room"]
        self.assertEqual({*room}, MEMBER_FIELDS)
        self.assertEqual({key: room[key] for key in wanted}, wanted)
        self.assertEqual(str(uuid.UUID(room["id"])), room["id"])
        self.assertRegex(room["code"], r"^[0-9A-HJKMNP-TV-Z]{6,8}$")
        self.assertEqual((room["currentPlayers"], room["hasPassword"], room["locked"]),
                         (1, False, False))
        self.assertRecent(room["createdAt"])
        self.assertGreaterEqual(room["updatedAt"], room["createdAt"])

    def test_create_with_the_least(self):
        host = self.player("Ada", self.transport)
        room = self.create(host, name="Least", gameId=7)
        self.assertEqual((room["maxPlayers"], room["visibility"], room["region"], room["metadata"],
                          room["gameVersion"], room["gameId"]),
                         (8, "public", "europe", {}, "", "7"))

    def test_list(self):
        host, guest = self.pair()
        game = f"list-{uuid.uuid4()}"
        rooms = [self.create(host, name=f"Room {index}", gameId=game, maxPlayers=2)
                 for index in range(5)]
        self.create(host, name="Unlisted", gameId=game, visibility="unlisted")
        self.create(host, name="Private", gameId=game, visibility="private")
        self.join(rooms[0], guest)

        listed = guest.get("room:list", {"gameId": game})
        event = guest.event("room:list")
        self.assertEqual((listed["rooms"], listed["nextCursor"]),
                         (event["rooms"], event["nextCursor"]))
        self.assertEqual([room["id"] for room in listed["rooms"]],
                         [room["id"] for room in reversed(rooms)])  # the newest first
        self.assertEqual({*listed["rooms"][0]}, ROOM_FIELDS)
        self.assertIsNone(listed["nextCursor"])

        paged, cursor = [], None
        while True:
            page = guest.get("room:list", {"gameId": game, "limit": 2}
                             | ({"cursor": cursor} if cursor else {}))
            self.assertLessEqual(len(page["rooms"]), 2)
            paged += page["rooms"]
            cursor = page["nextCursor"]
            if cursor is None:
                break
        self.assertEqual(paged, listed["rooms"])
        offset = guest.get("room:list", {"gameId": game, "limit": 2, "offset": 2})["rooms"]
        self.assertEqual(offset, listed["rooms"][2:4])

        for wanted, names in (({"open": True}, ["Room 4", "Room 3", "Room 2", "Room 1"]),
                              ({"open": False}, ["Room 0"]), ({"text": "room 3"}, ["Room 3"]),
                              ({"region": "asia"}, []), ({"hasPassword": True}, [])):
            with self.subTest(wanted):
                got = guest.get("room:list", {"gameId": game} | wanted)["rooms"]
                self.assertEqual([room["name"] for room in got], names)

    def test_subscribe(self):
        host, follower, other, silent = (self.player(name, self.transport)
                                         for name in ("Ada", "Grace", "Edsger", "Barbara"))
        game = f"follow-{uuid.uuid4()}"
        follower.get("room:subscribe", {"gameId": game})
        other.get("room:subscribe", {"gameId": "another game"})
        silent.get("room:unsubscribe", {})
        for client in (follower, other, silent):
            client.forget()  # rooms of other tests, before it had subscribed
        room = self.create(host, gameId=game)

        added = follower.event("room:list:update", type="add")
        self.assertEqual({*added["room"]}, ROOM_FIELDS)
        self.assertEqual(added["room"]["id"], room["id"])
        # One who never said anything about lists hears of every public room.
        while host.event("room:list:update", type="add")["room"]["id"] != room["id"]:
            pass
        host.get("room:update", {"roomId": room["id"], "name": "Renamed"})
        updated = follower.event("room:list:update", type="update")
        self.assertEqual(updated["room"]["name"], "Renamed")
        # Many changes at once are few updates, and the last one has all of them.
        for number in range(20):
            host.get("room:update", {"roomId": room["id"], "name": f"Name {number}"})
        while updated["room"]["name"] != "Name 19":
            updated = follower.event("room:list:update", type="update")
        host.get("room:leave", {"roomId": room["id"]})
        removed = follower.event("room:list:update", type="remove")
        self.assertEqual(removed["room"]["id"], room["id"])

        follower.get("room:unsubscribe", {"gameId": game})
        self.create(host, gameId=game)
        while host.event("room:list:update", type="add")["room"]["gameId"] != game:
            pass
        for client in (follower, other, silent):
            client.round_trip()
            self.assertEqual(client.seen("room:list:update"), [])

    def test_a_room_that_turns_private_leaves_the_list(self):
        host, follower = self.pair()
        game = f"private-{uuid.uuid4()}"
        follower.get("room:subscribe", {"gameId": game})
        follower.forget()
        room = self.create(host, gameId=game)
        follower.event("room:list:update", type="add")
        host.get("room:update", {"roomId": room["id"], "visibility": "private"})
        follower.event("room:list:update", type="remove")
        host.get("room:update", {"roomId": room["id"], "visibility": "public"})
        follower.event("room:list:update", type="add")

    def test_join_by_id(self):
        host, guest = self.pair()
        room = self.create(host, hostEndpoint="192.0.2.7:4000")
        ack = guest.get("room:join", {"roomId": room["id"]})
        event = guest.event("room:joined")
        self.assertEqual({key: ack[key] for key in event}, event)
        self.assertEqual({*event}, {"room", "players", "self"})
        self.assertEqual({*event["room"]}, MEMBER_FIELDS)
        self.assertEqual(event["room"]["hostEndpoint"], "192.0.2.7:4000")
        self.assertEqual(event["room"]["currentPlayers"], 2)
        self.assertEqual([player["clientId"] for player in event["players"]], [host.id, guest.id])
        self.assertEqual([player["playerId"] for player in event["players"]], [1, 2])
        self.assertEqual(event["self"], event["players"][1])
        self.assertEqual({*event["self"]}, PLAYER_FIELDS)
        self.assertEqual((event["self"]["name"], event["self"]["ready"]), ("Grace", False))
        self.assertRecent(event["self"]["joinedAt"])

        joined = host.event("player:joined")
        self.assertEqual(joined, {"roomId": room["id"], "player": event["self"]})
        with self.subTest("once more"):
            again = guest.get("room:join", {"roomId": room["id"]})
            self.assertEqual(again["players"], event["players"])
            host.round_trip()
            self.assertEqual(host.seen("player:joined"), [])

    def test_join_by_code(self):
        host, guest = self.pair()
        room = self.create(host, visibility="unlisted")
        typed = f"{room['code'][:3]}-{room['code'][3:]}".lower()
        joined = guest.get("room:join", {"code": typed})
        self.assertEqual(joined["room"]["id"], room["id"])

    def test_ready(self):
        host, guest = self.pair()
        room = self.room_of(host, guest)
        for ready in (True, False):
            guest.get("room:ready", {"roomId": room["id"], "ready": ready})
            for client in (host, guest):
                self.assertEqual(client.event("player:ready"),
                                 {"roomId": room["id"], "clientId": guest.id, "ready": ready})

    def test_update(self):
        host, guest = self.pair()
        room = self.room_of(host, guest)
        wanted = {"name": "Later", "maxPlayers": 5, "visibility": "unlisted", "locked": True,
                  "metadata": {"map": "two"}}
        ack = host.get("room:update", {"roomId": room["id"]} | wanted)
        for client in (host, guest):
            updated = client.event("room:updated")["room"]
            self.assertEqual({key: updated[key] for key in wanted}, wanted)
            self.assertEqual({*updated}, MEMBER_FIELDS)
        self.assertEqual(ack["room"], updated)

    def test_messages_are_in_one_order_for_all(self):
        clients = [self.player(name, self.transport) for name in ("Ada", "Grace", "Edsger")]
        room = self.room_of(*clients)
        for number in range(30):
            for client in clients:
                client.send("room:message", {"roomId": room["id"], "data": {"n": number}})
        heard = [[client.event("room:message") for _ in range(90)] for client in clients]
        self.assertEqual(heard[0], heard[1])
        self.assertEqual(heard[0], heard[2])
        self.assertEqual([message["seq"] for message in heard[0]], [*range(1, 91)])
        self.assertEqual({*heard[0][0]}, {"roomId", "from", "seq", "data"})
        for client in clients:
            own = [message["data"]["n"] for message in heard[0] if message["from"] == client.id]
            self.assertEqual(own, [*range(30)])

    def test_any_json_comes_as_it_went(self):
        host, guest = self.pair()
        room = self.room_of(host, guest)
        for data in (None, True, 0, -1.5e-7, "", "\u2028\U0001f3b2 \"\\\u0000", [], {},
                     [[[{"deep": [1, 2, {"er": None}]}]]], {"to": "nobody", "roomId": 7},
                     {"_placeholder": "no", "num": 0}, "x" * 60_000):
            with self.subTest(repr(data)[:40]):
                ack = host.get("room:message", {"roomId": room["id"], "data": data})
                for client in (host, guest):
                    message = client.event("room:message")
                    self.assertEqual((message["data"], message["from"]), (data, host.id))
                self.assertEqual(ack.get("seq", message["seq"]), message["seq"])

    def test_binary_both_ways(self):
        host, guest = self.pair()
        room = self.room_of(host, guest)
        blob, other = bytes(range(256)) * 100, b"\x00\xff"
        for source, sink in ((host, guest), (guest, host)):
            for data in (binary(blob), {"a": binary(blob), "b": [binary(other), "text"]},
                         binary(b"")):
                source.get("room:message", {"roomId": room["id"], "data": data})
                for client in (source, sink):
                    message = client.event("room:message")
                    self.assertEqual((message["from"], message["data"]), (source.id, data))

    def test_a_message_for_one(self):
        clients = [self.player(name, self.transport) for name in ("Ada", "Grace", "Edsger")]
        host, guest, third = clients
        room = self.room_of(*clients)
        host.get("room:message", {"roomId": room["id"], "data": "psst", "to": guest.id})
        host.get("room:message", {"roomId": room["id"], "data": binary(b"hush"), "to": guest.id})
        host.get("room:message", {"roomId": room["id"], "data": "all"})
        heard = [guest.event("room:message") for _ in range(3)]
        self.assertEqual([message["data"] for message in heard], ["psst", binary(b"hush"), "all"])
        self.assertEqual([message["seq"] for message in heard], [1, 2, 3])
        for client in (host, third):
            self.assertEqual(client.event("room:message"), heard[2])  # the others see a gap

    def test_signals(self):
        clients = [self.player(name, self.transport) for name in ("Ada", "Grace", "Edsger")]
        host, guest, third = clients
        room = self.room_of(*clients)
        for data in ({"type": "offer", "sdp": "v=0\r\no=- 0 0 IN IP4 0.0.0.0\r\n"},
                     {"candidate": binary(b"\x01\x02")}):
            host.get("p2p:signal", {"roomId": room["id"], "targetClientId": guest.id, "data": data})
            self.assertEqual(guest.event("p2p:signal"),
                             {"roomId": room["id"], "fromClientId": host.id, "data": data})
        for client in (host, third):
            client.round_trip()
            self.assertEqual(client.seen("p2p:signal"), [])
        host.get("p2p:success", {"roomId": room["id"], "targetClientId": guest.id,
                                 "latencyMs": 12.5, "connectionType": "direct"})

    def test_leave(self):
        host, guest = self.pair()
        room = self.room_of(host, guest)
        ack = guest.get("room:leave", {"roomId": room["id"]})
        self.assertEqual(ack["roomId"], room["id"])
        self.assertEqual(guest.event("room:left"), {"roomId": room["id"]})
        left = host.event("player:left")
        self.assertEqual((left["roomId"], left["clientId"], left["reason"]),
                         (room["id"], guest.id, "left"))
        guest.refused("room:message", {"roomId": room["id"], "data": 1}, code="NOT_IN_ROOM")
        host.get("room:leave", {"roomId": room["id"]})  # the last one takes the room along
        host.refused("room:join", {"roomId": room["id"]}, code="NOT_FOUND")

    def test_the_host_goes(self):
        clients = [self.player(name, self.transport) for name in ("Ada", "Grace", "Edsger")]
        host, second, third = clients
        room = self.room_of(*clients)
        host.get("room:leave", {"roomId": room["id"]})
        for client in (second, third):
            client.event("player:left", clientId=host.id)
            new = client.event("room:host")
            self.assertEqual((new["roomId"], new["hostId"]), (room["id"], second.id))
            self.assertTrue(new["reason"])
        second.get("room:update", {"roomId": room["id"], "name": "Mine"})
        self.assertEqual(third.event("room:updated")["room"]["hostName"], "Grace")

    def test_transfer(self):
        host, guest = self.pair()
        room = self.room_of(host, guest)
        host.get("room:transfer", {"roomId": room["id"], "clientId": guest.id})
        for client in (host, guest):
            self.assertEqual(client.event("room:host")["hostId"], guest.id)
        host.refused("room:update", {"roomId": room["id"], "name": "No"}, code="NOT_HOST")
        guest.get("room:update", {"roomId": room["id"], "name": "Yes"})

    def test_kick_and_come_back(self):
        host, guest = self.pair()
        room = self.room_of(host, guest)
        host.get("room:kick", {"roomId": room["id"], "clientId": guest.id, "reason": "idle"})
        kicked = guest.event("room:kicked")
        self.assertEqual((kicked["roomId"], kicked["reason"]), (room["id"], "idle"))
        self.assertEqual(host.event("player:left", clientId=guest.id)["reason"], "idle")
        guest.refused("room:ready", {"roomId": room["id"], "ready": True}, code="NOT_IN_ROOM")
        self.join(room, guest)

    def test_ban(self):
        host, guest = self.pair()
        room = self.room_of(host, guest)
        host.get("room:ban", {"roomId": room["id"], "clientId": guest.id})
        self.assertEqual(guest.event("room:kicked")["roomId"], room["id"])
        host.event("player:left", clientId=guest.id)
        guest.refused("room:join", {"roomId": room["id"]}, code="BANNED")
        guest.refused("room:join", {"code": room["code"]}, code="BANNED")
        stranger = self.player("Alan", self.transport)
        host.get("room:ban", {"roomId": room["id"], "clientId": stranger.id})  # who is not there
        stranger.refused("room:join", {"roomId": room["id"]}, code="BANNED")

    def test_what_is_refused(self):
        host, guest = self.pair()
        room = self.create(host, maxPlayers=2)
        name = {"roomId": room["id"]}
        there = {"roomId": NOWHERE}
        with self.subTest("NOT_FOUND"):
            guest.refused("room:join", there, code="NOT_FOUND")
            guest.refused("room:join", {"code": "ZZZZZZ"}, code="NOT_FOUND")
            guest.refused("room:leave", there, code="NOT_FOUND")
            guest.refused("room:message", there | {"data": 1}, code="NOT_FOUND")
        with self.subTest("NOT_IN_ROOM"):
            for event, more in (("room:leave", {}), ("room:message", {"data": 1}),
                                ("room:ready", {"ready": True}),
                                ("p2p:signal", {"targetClientId": host.id, "data": 1}),
                                ("p2p:failure", {"targetClientId": host.id})):
                guest.refused(event, name | more, code="NOT_IN_ROOM")
            host.refused("p2p:failure", name | {"targetClientId": guest.id}, code="NOT_IN_ROOM")
            host.refused("room:kick", name | {"clientId": guest.id}, code="NOT_IN_ROOM")
        self.join(room, guest)
        with self.subTest("NOT_HOST"):
            for event, more in (("room:update", {"name": "Mine"}),
                                ("room:kick", {"clientId": host.id}),
                                ("room:ban", {"clientId": host.id}),
                                ("room:transfer", {"clientId": guest.id})):
                guest.refused(event, name | more, code="NOT_HOST")
        with self.subTest("ROOM_FULL"):
            third = self.player("Edsger", self.transport)
            third.refused("room:join", name, code="ROOM_FULL")
        with self.subTest("ROOM_LOCKED"):
            host.get("room:update", name | {"maxPlayers": 3, "locked": True})
            third.refused("room:join", name, code="ROOM_LOCKED")
            host.get("room:update", name | {"locked": False})
            self.join(room, third)

    def test_passwords(self):
        host, guest = self.pair()
        room = self.create(host, password="correct horse")
        self.assertIs(room["hasPassword"], True)
        name = {"roomId": room["id"]}
        guest.refused("room:join", name, code="BAD_PASSWORD")
        guest.refused("room:join", name | {"password": "battery staple"}, code="BAD_PASSWORD")
        self.join(room, guest, password="correct horse")
        guest.get("room:leave", name)
        host.get("room:update", name | {"password": "another"})
        guest.refused("room:join", name | {"password": "correct horse"}, code="BAD_PASSWORD")
        host.get("room:update", name | {"password": None})
        self.assertIs(host.get("room:list", {"text": room["name"]})["success"], True)
        self.join(room, guest)

    def test_malformed_requests(self):
        client = self.player("Ada", self.transport)
        for event, *arguments in (
                ("room:create", {}), ("room:create", {"name": "", "gameId": 1}),
                ("room:create", {"name": "x" * 129, "gameId": 1}),
                ("room:create", {"name": "a\u0007b", "gameId": 1}),
                ("room:create", {"name": "x", "gameId": 1.5}),
                ("room:create", {"name": "x", "gameId": []}),
                ("room:create", {"name": "x", "gameId": 1, "maxPlayers": 1}),
                ("room:create", {"name": "x", "gameId": 1, "maxPlayers": 9}),
                ("room:create", {"name": "x", "gameId": 1, "maxPlayers": "4"}),
                ("room:create", {"name": "x", "gameId": 1, "visibility": "secret"}),
                ("room:create", {"name": "x", "gameId": 1, "gameVersion": "v" * 33}),
                ("room:create", {"name": "x", "gameId": 1, "region": "r" * 17}),
                ("room:create", {"name": "x", "gameId": 1, "hostEndpoint": "h" * 129}),
                ("room:create", {"name": "x", "gameId": 1, "metadata": {"x": "y" * 4096}}),
                ("room:create", "name"), ("room:create", [1]), ("room:create", None),
                ("room:create",), ("room:create", 7, {"name": "x", "gameId": 1}),
                ("room:create", {"name": "x", "gameId": 1, "metadata": {"b": binary(b"1")}}),
                ("room:join", {}), ("room:join", {"code": "!"}), ("room:join", {"roomId": 7}),
                ("room:list", {"limit": 0}), ("room:list", {"limit": "a"}),
                ("room:list", {"cursor": "!"}), ("room:ready", {"roomId": NOWHERE}),
                ("room:message", {"roomId": NOWHERE}), ("room:nonsense", {}), ("x" * 100, {}),
                ("relay:report", {"sessionId": "zz"}), ("relay:beacons", {"relays": {}})):
            with self.subTest(f"{event} {arguments}"[:60]):
                client.refused(event, *arguments, code="BAD_REQUEST")
        # None of that cost it its connection.
        self.create(client)

    def test_without_a_callback(self):
        """The events come all the same."""
        client = self.player("Ada", self.transport)
        client.send("room:create", {"name": "Quiet", "gameId": 1})
        self.assertEqual(client.event("room:created")["room"]["name"], "Quiet")
        client.send("room:join", {"roomId": NOWHERE})
        self.assertEqual(client.event("error")["code"], "NOT_FOUND")

    def test_game_ids_keep_their_64_bits(self):
        client = self.player("Ada", self.transport)
        for game in ("18446744073709551615", "9007199254740993", "0100ABF008968000"):
            self.assertEqual(self.create(client, gameId=game)["gameId"], game)
            self.assertEqual(len(client.get("room:list", {"gameId": game})["rooms"]), 1)
            client.get("room:leave", {"roomId": client.get("room:list", {"gameId": game})
                                      ["rooms"][0]["id"]})
        self.assertEqual(self.create(client, gameId=2**53)["gameId"], "9007199254740992")

    def test_who_is_let_in(self):
        now = int(time.time())
        good = {"sub": "somebody", "iss": "sudachi-rooms", "aud": "sudachi-multiplayer",
                "exp": now + 60}
        refused = {
            "none": None, "empty": "", "no JWT": "not.a.token",
            "another secret": self.node.sign(good, "x" * 40, keyid="main"),
            "unknown kid": self.node.sign(good, keyid="who"),
            "expired": self.node.sign(good | {"exp": now - 60}, keyid="main"),
            "another issuer": self.node.sign(good | {"iss": "somebody"}, keyid="main"),
            "another audience": self.node.sign(good | {"aud": "somebody"}, keyid="main"),
            "not yet": self.node.sign(good | {"nbf": now + 600}, keyid="main"),
            "no exp": self.node.sign({k: v for k, v in good.items() if k != "exp"}, keyid="main"),
            "no sub": self.node.sign({k: v for k, v in good.items() if k != "sub"}, keyid="main"),
            "HS512": self.node.sign(good, algorithm="HS512", keyid="main"),
        }
        for what, token in refused.items():
            with self.subTest(what):
                client = self.open(token, self.transport, reconnection=False)
                refusal = client.refusal()
                self.assertEqual(refusal["data"]["code"], "AUTH_FAILED")
                self.assertTrue(refusal["data"]["message"])
                self.assertTrue(refusal["message"])
        self.assertLogged("Authentication failed for 127.0.0.1")
        accepted = {
            "kid": self.node.sign(good, keyid="main"),
            "no kid": self.node.sign(good | {"sub": "two"}),
            "an older key": self.node.sign(good | {"sub": "three"}, SECRET[::-1], keyid="old"),
            "aud is a list": self.node.sign(good | {"sub": "four", "aud": [
                "x", "sudachi-multiplayer"]}, keyid="main"),
            "a clock a little ahead": self.node.sign(good | {
                "sub": "five", "nbf": now + 5, "iat": now + 5}, keyid="main"),
        }
        for what, token in accepted.items():
            with self.subTest(what):
                self.open(token, self.transport).connected()


class WebSocketAlone(Both, RoomTest):
    transport = WEBSOCKET

    def test_it_is_one(self):
        client = self.player("Ada", self.transport)
        self.assertEqual(client.state()["transport"], "websocket")


class DefaultTransports(Both, RoomTest):
    transport = POLLING_FIRST

    def test_it_begins_polling_and_is_upgraded(self):
        client = self.open(self.sign("upgrader"), self.transport)
        self.assertEqual(client.turn("connect")["began"], "polling")
        self.assertEqual(client.turn("upgrade")["transport"], "websocket")
        client.greeting = client.event("connected")
        room = self.create(client)
        client.get("room:message", {"roomId": room["id"], "data": binary(b"123")})
        self.assertEqual(client.event("room:message")["data"], binary(b"123"))

    def test_nothing_is_lost_while_it_upgrades(self):
        host = self.player("Ada")
        room = self.create(host)
        for attempt in range(5):
            sub = f"upgrading-{attempt}"
            client = self.open(self.sign(sub), self.transport)
            client.turn("connect")
            client.begin("room:join", {"roomId": room["id"]})
            host.event("player:joined", timeout=10)
            numbers = [*range(100)]
            for number in numbers:
                host.send("room:message", {"roomId": room["id"], "data": number})
            client.upgraded()
            heard = [client.event("room:message")["data"] for _ in numbers]
            self.assertEqual(heard, numbers)
            client.get("room:leave", {"roomId": room["id"]})
            host.event("player:left")
            host.forget()


class PollingAlone(Both, RoomTest):
    transport = POLLING

    def test_it_stays_so(self):
        client = self.player("Ada", self.transport)
        client.round_trip()
        self.assertEqual(client.state()["transport"], "polling")


class Limits(RoomTest):
    config = {"room.rate_limit.max": 12, "room.rate_limit.window_s": 60,
              "room.rate_limit.block_s": 2, "room.message_rate_limit.max": 10,
              "room.message_rate_limit.window_s": 2, "room.message_rate_limit.block_s": 0,
              "room.rooms_per_client": 3, "room.max_rooms": 5, "room.max_connections": 6}

    def test_too_many_requests(self):
        client = self.player()
        for _ in range(12):
            client.round_trip()
        error = client.refused("room:list", {}, code="RATE_LIMITED")
        self.assertIn(error["retryAfter"], (1, 2))
        self.assertLogged("Rate limit exceeded for 127.0.0.1")
        bystander = self.player("Grace")
        bystander.round_trip()
        deadline = time.monotonic() + 10
        while not client.ask("room:list", {})["success"] and time.monotonic() < deadline:
            time.sleep(0.2)
        client.round_trip()

    def test_messages_have_a_budget_of_their_own(self):
        client = self.player()
        room = self.create(client)
        for number in range(10):
            client.get("room:message", {"roomId": room["id"], "data": number})
        error = client.refused("room:message", {"roomId": room["id"], "data": 10},
                               code="RATE_LIMITED")
        self.assertIn(error["retryAfter"], (1, 2))
        client.round_trip()
        client.get("room:leave", {"roomId": room["id"]})

    def test_too_many_rooms(self):
        clients = [self.player() for _ in range(2)]
        rooms = [(clients[0], self.create(clients[0])) for _ in range(3)]
        clients[0].refused("room:create", {"name": "x", "gameId": 1}, code="OVER_CAPACITY")
        rooms += [(clients[1], self.create(clients[1])) for _ in range(2)]
        clients[1].refused("room:create", {"name": "x", "gameId": 1}, code="OVER_CAPACITY")
        for client, room in rooms:
            client.get("room:leave", {"roomId": room["id"]})
        self.create(clients[1])
        clients[1].disconnect()

    def test_tries_of_a_password(self):
        host, guesser, guest = self.player(), self.player("Mallory"), self.player("Grace")
        room = self.create(host, password="right")
        tries = [guesser.ask("room:join", {"roomId": room["id"], "password": f"{number}"})["error"]
                 for number in range(8)]
        codes = [error["code"] for error in tries]
        self.assertEqual(codes[:3], ["BAD_PASSWORD"] * 3)
        self.assertEqual(codes[-1], "RATE_LIMITED")
        self.assertGreater(tries[-1]["retryAfter"], 0)
        self.join(room, guest, password="right")  # somebody else's tries are not its
        host.get("room:leave", {"roomId": room["id"]})

    def tearDown(self):
        # The rooms and seats of one test are not the next one's limit.
        self.doCleanups()
        for room in self.relay.ctl_json("rooms").get("rooms", []):
            self.relay.ctl("room", "close", room["id"])


class Draining(RoomTest):
    """The rooms are in memory alone here; test_rooms_return.py has those that are stored."""

    def test_a_node_that_drains(self):
        clients = [self.player("Ada"), self.player("Grace", POLLING)]
        room = self.room_of(*clients)
        token, _ = self.guest()
        self.relay.ctl("drain")
        self.addCleanup(self.relay.ctl, "undrain")
        with self.subTest("who was there is told, and goes on elsewhere by itself"):
            for client in clients:
                self.assertEqual(client.event("room:closed"),
                                 {"roomId": room["id"], "reason": "draining"})
                # Anything else would keep socket.io-client from connecting again.
                self.assertNotEqual(client.turn("disconnect")["reason"], "io server disconnect")
                client.refusal()
        with self.subTest("nobody new"):
            for transport in (WEBSOCKET, POLLING):
                self.open(token, transport, reconnection=False).refusal()
            status, headers, reply = self.http("POST", "/api/v1/auth/guest", {"username": "Late"})
            self.assertEqual((status, reply["error"]["code"]), (503, "DRAINING"))
            status, headers, _ = self.http("GET", "/socket.io/?EIO=4&transport=polling")
            self.assertEqual(status, 503)
            self.assertTrue(headers["Retry-After"])
            self.assertEqual(self.http("GET", "/ready")[0], 503)
        self.relay.ctl("undrain")
        for client in clients:
            client.connected(timeout=20)
        self.create(clients[0])


if __name__ == "__main__":
    unittest.main()

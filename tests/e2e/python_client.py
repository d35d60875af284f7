"""Two python-socketio clients in a room, printed as one JSON line. Run by an interpreter that has the
library (Debian's own: python3-socketio); not a test by itself.

usage: python_client.py URL TRANSPORT... -- TOKEN TOKEN
"""

import json
import queue
import sys

import socketio


class Player:
    """Its handlers take exactly what the API says that an event has: one object."""

    def __init__(self, url, token, transports):
        self.heard = queue.Queue()
        self.client = socketio.Client(reconnection=False)
        for event in ("connected", "room:created", "room:joined", "player:joined", "player:left",
                      "room:message", "use:relay", "error"):
            self.client.on(event, self.handler(event))
        self.client.connect(url, auth={"token": token}, transports=transports)
        self.greeting = self.next("connected")

    def handler(self, event):
        def handle(payload):
            self.heard.put((event, payload))
        return handle

    def next(self, event, timeout=10):
        while True:
            name, payload = self.heard.get(timeout=timeout)
            if name == event:
                return payload

    def call(self, event, payload):
        return self.client.call(event, payload, timeout=10)


def main():
    split = sys.argv.index("--")
    url, transports, tokens = sys.argv[1], sys.argv[2:split], sys.argv[split + 1:]
    host, guest = (Player(url, token, transports) for token in tokens)
    created = host.call("room:create", {"name": "From Python", "gameId": 2**64 - 1})
    room = created["room"]
    guest.call("room:join", {"roomId": room["id"]})
    host.next("player:joined")
    blob = bytes(range(256))
    acked = guest.call("room:message", {"roomId": room["id"], "data": {"blob": blob, "text": "ü"}})
    messages = [player.next("room:message") for player in (host, guest)]
    host.call("p2p:failure", {"roomId": room["id"],
                              "targetClientId": guest.greeting["clientId"]})
    grants = [player.next("use:relay") for player in (host, guest)]
    refused = guest.call("room:kick", {"roomId": room["id"],
                                       "clientId": host.greeting["clientId"]})
    error = guest.next("error")
    transport = guest.client.transport()
    guest.client.disconnect()
    host.client.disconnect()
    print(json.dumps({
        "gameId": room["gameId"], "acked": acked["success"], "transport": transport,
        "blobs": [message["data"]["blob"] == blob for message in messages],
        "from": [message["from"] for message in messages],
        "ids": [player.greeting["clientId"] for player in (host, guest)],
        "sessions": [grant["sessionId"] for grant in grants],
        "refused": refused["error"]["code"], "error": error["code"]}))


if __name__ == "__main__":
    main()

#!/usr/bin/env python3
"""Plants includes, forbidden and allowed, in a small tree and checks what arrows.py says of them."""

import tempfile
import unittest
from pathlib import Path

import arrows

TREE = [
    "common/endpoint.h", "common/config.cc", "common/config.h",
    "relay/io.h", "relay/shard.h", "relay/shard_pool.cc", "relay/main.cc", "relay/buffer_pool.h",
    "relay/core/session.h", "relay/core/wire.cc", "relay/uring/ring.h", "relay/dpdk/eal.h",
    "room/server.h", "room/server.cc", "room/storage/store.h", "room/storage/store.cc",
    "room/lobby/room_registry.h", "room/text/json_scan.h", "room/socket_io/engine_io.h",
    "room/web/web_server.h", "room/metrics_page.h",
]

FORBIDDEN = [
    ("common/endpoint.h", '"relay/io.h"'),
    ("common/endpoint.h", '"room/server.h"'),
    ("room/server.h", '"relay/io.h"'),
    ("relay/io.h", '"room/server.h"'),
    ("relay/shard_pool.cc", '"room/server.h"'),
    ("relay/core/session.h", '"relay/io.h"'),
    ("relay/core/session.h", '"relay/uring/ring.h"'),
    ("relay/io.h", '"relay/core/session.h"'),
    ("relay/io.h", '"relay/shard.h"'),
    ("relay/buffer_pool.h", '"relay/core/session.h"'),
    ("relay/uring/ring.h", '"relay/core/session.h"'),
    ("relay/uring/ring.h", '"relay/shard.h"'),
    ("relay/uring/ring.h", '"relay/dpdk/eal.h"'),
    ("relay/dpdk/eal.h", '"relay/core/session.h"'),
    ("relay/shard.h", '"relay/dpdk/eal.h"'),
    ("relay/main.cc", '"relay/dpdk/eal.h"'),
    ("relay/core/wire.cc", '"session.h"'),  # not from the root
    ("common/config.h", "<toml++/toml.h>"),
    ("relay/main.cc", "<toml++/toml.h>"),
    ("relay/uring/ring.h", "<rte_mbuf.h>"),
    ("relay/shard.h", "<liburing.h>"),
    ("room/server.h", "<boost/asio.hpp>"),
    ("common/endpoint.h", "<spdlog/spdlog.h>"),
    ("room/server.cc", "<sqlite3.h>"),
    ("room/storage/store.h", "<sqlite3.h>"),
    ("room/lobby/room_registry.h", '"room/storage/store.h"'),
    ("room/text/json_scan.h", '"room/lobby/room_registry.h"'),
    ("room/storage/store.h", '"room/server.h"'),
    ("room/web/web_server.h", '"room/socket_io/engine_io.h"'),
    ("room/socket_io/engine_io.h", '"room/lobby/room_registry.h"'),
    ("room/socket_io/engine_io.h", '"room/server.h"'),
    ("relay/core/session.h", "<chrono>"),
    ("relay/core/wire.cc", "<sys/socket.h>"),
]

ALLOWED = [
    ("common/config.cc", "<toml++/toml.h>"),
    ("common/config.cc", '"common/endpoint.h"'),
    ("room/server.h", '"common/endpoint.h"'),
    ("room/server.cc", "<boost/asio.hpp>"),
    ("room/storage/store.cc", "<sqlite3.h>"),
    ("relay/main.cc", '"room/server.h"'),
    ("room/lobby/room_registry.h", '"room/text/json_scan.h"'),
    ("room/socket_io/engine_io.h", '"room/web/web_server.h"'),
    ("room/socket_io/engine_io.h", '"room/metrics_page.h"'),
    ("room/server.h", '"room/lobby/room_registry.h"'),
    ("relay/main.cc", '"relay/shard.h"'),
    ("relay/shard.h", '"relay/core/session.h"'),
    ("relay/shard_pool.cc", '"relay/uring/ring.h"'),
    ("relay/uring/ring.h", '"relay/io.h"'),
    ("relay/uring/ring.h", "<liburing.h>"),
    ("relay/dpdk/eal.h", "<rte_mbuf.h>"),
    ("relay/core/session.h", "<cstdint>"),
    ("common/endpoint.h", "<chrono>"),
]


class Arrows(unittest.TestCase):
    def violations_of(self, source, target):
        with tempfile.TemporaryDirectory() as folder:
            root = Path(folder)
            for path in TREE:
                (root / path).parent.mkdir(parents=True, exist_ok=True)
                (root / path).write_text("#pragma once\n")
            (root / source).write_text(f"#pragma once\n\n#include {target}\n")
            return list(arrows.violations(root))

    def test_forbidden_includes_are_found_where_they_stand(self):
        for source, target in FORBIDDEN:
            with self.subTest(source=source, target=target):
                found = self.violations_of(source, target)
                self.assertEqual(len(found), 1)
                self.assertTrue(found[0].startswith(f"{source}:3: "), found[0])

    def test_allowed_includes_pass(self):
        for source, target in ALLOWED:
            with self.subTest(source=source, target=target):
                self.assertEqual(self.violations_of(source, target), [])


if __name__ == "__main__":
    unittest.main()

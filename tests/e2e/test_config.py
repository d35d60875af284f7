"""What the daemon says to a configuration that cannot work: one clear line and an exit code."""

import json
import os
import socket
import subprocess
import unittest

from harness import BUILD, V4, Daemon, clean_environment, eventually


class ConfigTest(unittest.TestCase):
    def daemon(self, config=None) -> Daemon:
        relay = Daemon(config)
        self.addCleanup(relay.discard)
        return relay

    def assertRefused(self, relay: Daemon, *words: str, arguments=()):
        """It ends by itself, and one line of error names each of the words."""
        relay.spawn(*arguments)
        try:
            code = relay.wait(20)
        except subprocess.TimeoutExpired:
            self.fail(f"it runs\n{relay.log()}")
        self.assertGreater(code, 0, "an exit code, not a signal")
        lines = [line for line in relay.log().splitlines() if self.is_error(line)]
        self.assertEqual(len(lines), 1, relay.log())
        for word in words:
            self.assertIn(word, lines[0])

    def is_error(self, line: str) -> bool:
        """A JSON line above warn, or a plain one from before the log began."""
        try:
            return json.loads(line).get("level") in ("error", "fatal")
        except ValueError:
            return bool(line.strip())

    def test_an_unknown_key(self):
        self.assertRefused(self.daemon({"engine.shardz": 2}), "shardz", "tandem.toml")

    def test_an_unknown_section(self):
        self.assertRefused(self.daemon({"engin.shards": 2}), "engin")

    def test_wrong_types(self):
        for key, value in (("listen.port", "seven"), ("engine.shards", True),
                           ("listen.address", 7), ("room.enabled", "perhaps"),
                           ("security.exempt", "10.0.0.0/8, nonsense"),
                           ("engine.submission", 3)):
            with self.subTest(key):
                self.assertRefused(self.daemon({key: value}), key.split(".")[1])

    def test_impossible_values(self):
        for key, value in (("listen.port", 70000), ("listen.port", -1), ("engine.shards", 100000),
                           ("listen.address", ["300.1.2.3"]), ("engine.submission", "magic"),
                           ("engine.zero_copy", "always"), ("log.level", "loud"),
                           ("security.exempt", ["10.0.0.0/40"]), ("security.max_packet_size", 1),
                           ("sessions.max_sessions", -5), ("bandwidth.session_mbps", -1)):
            with self.subTest(f"{key} = {value}"):
                self.assertRefused(self.daemon({key: value}), key.split(".")[1])

    def test_the_line_is_named(self):
        relay = self.daemon()
        lines = relay.config_file.read_text().splitlines()
        lines += ["[node]", "weigth = 3"]
        relay.config_file.write_text("\n".join(lines) + "\n")
        self.assertRefused(relay, "weigth", str(len(lines)))

    def test_not_toml(self):
        relay = self.daemon()
        relay.config_file.write_text("[listen\nport = 1\n")
        self.assertRefused(relay, "tandem.toml")

    def test_no_such_file(self):
        relay = self.daemon()
        relay.config_file.unlink()
        self.assertRefused(relay, "tandem.toml")

    def test_no_such_key_file(self):
        """A file that was named is never made: the fleet's keys are somewhere else, then."""
        relay = self.daemon()
        missing = relay.folder / "absent" / "keys"
        relay.write_config({"security.key_file": str(missing)})
        self.assertRefused(relay, str(missing))
        self.assertFalse(missing.exists())

    def test_an_empty_operator_token(self):
        relay = self.daemon()
        (relay.folder / "operator-token").write_text(" \n")
        self.assertRefused(relay, "operator-token", "no token")

    def test_bad_key_files(self):
        for text in ("1 abcd\n", "1\n", "one " + "00" * 32 + "\n", "1 " + "0g" * 32 + "\n"):
            with self.subTest(text):
                relay = self.daemon()
                relay.key_file.write_text(text)
                self.assertRefused(relay, "keys")

    def test_port_in_use(self):
        for kind in (socket.SOCK_STREAM, socket.SOCK_DGRAM):
            with self.subTest(kind), socket.socket(socket.AF_INET, kind) as taken:
                relay = self.daemon()
                taken.bind((V4, relay.port))
                if kind == socket.SOCK_STREAM:
                    taken.listen()
                self.assertRefused(relay, str(relay.port))

    def test_monitoring_port_in_use(self):
        relay = self.daemon()
        with socket.create_server((V4, relay.monitoring_port)):
            self.assertRefused(relay, str(relay.monitoring_port))

    def test_an_address_that_is_not_here(self):
        self.assertRefused(self.daemon({"listen.address": ["203.0.113.1"]}), "203.0.113.1")

    def test_wrong_flags(self):
        self.assertRefused(self.daemon(), "engine.shardz",
                           arguments=("--set", "engine.shardz=2"))

    def run_tandemd(self, *arguments: str, **environment: str) -> subprocess.CompletedProcess:
        return subprocess.run([str(BUILD / "tandemd"), *arguments], capture_output=True, text=True,
                              timeout=20, env=clean_environment(**environment))

    def test_check_config(self):
        good = self.daemon()
        done = self.run_tandemd("--config", str(good.config_file), "--check-config")
        self.assertEqual(done.returncode, 0, done.stderr)
        bad = self.daemon({"engine.shardz": 2})
        done = self.run_tandemd("--config", str(bad.config_file), "--check-config")
        self.assertNotEqual(done.returncode, 0)
        self.assertIn("shardz", done.stdout + done.stderr)
        self.assertIn("tandem.toml", done.stdout + done.stderr)

    def test_version(self):
        done = self.run_tandemd("--version")
        self.assertEqual(done.returncode, 0)
        self.assertRegex(done.stdout, r"\d+\.\d+")

    def test_flags_stand_above_the_environment_and_that_above_the_file(self):
        """Shown by which monitoring port answers."""
        relay = self.daemon()
        file_port = relay.monitoring_port
        other = self.daemon().monitoring_port
        flag = self.daemon().monitoring_port
        for arguments, environment, expected in (
                ((), {}, file_port),
                ((), {"TANDEM_MONITORING_PORT": str(other)}, other),
                (("--set", f"monitoring.port={flag}"), {"TANDEM_MONITORING_PORT": str(other)},
                 flag)):
            with self.subTest(arguments=arguments, environment=environment):
                process = subprocess.Popen(
                    [str(BUILD / "tandemd"), "--config", str(relay.config_file), *arguments],
                    env=clean_environment(STATE_DIRECTORY=str(relay.folder), **environment),
                    stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
                try:
                    relay.monitoring_port = expected
                    self.assertTrue(eventually(relay.ready, timeout=20))
                finally:
                    process.terminate()
                    self.assertEqual(process.wait(20), 0)

    def test_the_environment_names_the_file_where_no_flag_does(self):
        """Also for tandemctl, which looks there for the admin socket."""
        named, flag = self.daemon(), self.daemon({"engine.shardz": 2})
        done = self.run_tandemd("--check-config", TANDEM_CONFIG=str(flag.config_file))
        self.assertIn("shardz", done.stderr)
        done = self.run_tandemd("--config", str(named.config_file), "--check-config",
                                TANDEM_CONFIG=str(flag.config_file))
        self.assertEqual(done.returncode, 0, done.stderr)
        done = self.run_tandemd("--check-config", TANDEM_CONFIG=str(named.folder / "absent"))
        self.assertIn("absent", done.stderr)
        done = self.run_tandemd("--check-config", TANDEM_CONFIG="")
        self.assertEqual(done.returncode, 0, done.stderr)

        with open(named.log_file, "wb") as log:
            named.process = subprocess.Popen(
                [str(BUILD / "tandemd")], stdout=log, stderr=log,
                env=clean_environment(STATE_DIRECTORY=str(named.folder),
                                      TANDEM_CONFIG=str(named.config_file)))
        self.assertTrue(eventually(named.ready, timeout=20), named.log())
        asked = subprocess.run([str(BUILD / "tandemctl"), "version"], capture_output=True, text=True,
                               timeout=20, env=clean_environment(TANDEM_CONFIG=str(named.config_file)))
        self.assertEqual((asked.returncode, asked.stdout[:8]), (0, "tandemd "), asked.stderr)
        self.assertIsNone(named.complaint(named.stop()))

    def test_without_any_file(self):
        """The embedded defaults start; keys are made in the state folder, for the owner alone."""
        relay = self.daemon()
        state = relay.folder / "state"
        state.mkdir()
        settings = {"listen.port": relay.port, "monitoring.port": relay.monitoring_port,
                    "admin.socket": relay.admin_socket, "room.port": 0}
        arguments = [part for key, value in settings.items()
                     for part in ("--set", f"{key}={value}")]
        with open(relay.log_file, "wb") as log:
            relay.process = subprocess.Popen(
                [str(BUILD / "tandemd"), *arguments], stdout=log, stderr=log, cwd=relay.folder,
                env=clean_environment(STATE_DIRECTORY=str(state)))
        self.assertTrue(eventually(relay.ready, timeout=20), relay.log())
        made = [path for path in state.rglob("*") if "key" in path.name]
        self.assertTrue(made, os.listdir(state))
        for path in made:
            self.assertEqual(path.stat().st_mode & 0o777, 0o600, path)
        self.assertIsNone(relay.complaint(relay.stop()))


if __name__ == "__main__":
    unittest.main()

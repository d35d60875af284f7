#include "room/operator/admin_server.h"

#include <doctest/doctest.h>
#include <sys/stat.h>

#include <array>
#include <fstream>
#include <vector>

#include "room/operator/admin_protocol.h"
#include "tests/unit/room/loop_thread.h"
#include "tests/unit/room/loopback.h"

namespace tandem {
namespace {

void echo(std::string_view line, const std::function<void(std::string)>& answer) {
  if (line == "throw") throw std::runtime_error("as asked");
  std::string marked(1, '<');
  marked.append(line).append(1, '>');
  answer(marked);
}

TEST_CASE("who may come in") {
  const std::array<gid_t, 2> groups{100, 50};
  constexpr uid_t kDaemon = 900;
  constexpr gid_t kGroup = 50;
  CHECK(judge_peer({0, 0, {}}, kDaemon, kGroup) == PeerVerdict::admitted);
  CHECK(judge_peer({kDaemon, 1, {}}, kDaemon, kGroup) == PeerVerdict::admitted);
  CHECK(judge_peer({1000, kGroup, {}}, kDaemon, kGroup) == PeerVerdict::admitted);
  CHECK(judge_peer({1000, 1, groups}, kDaemon, kGroup) == PeerVerdict::admitted);
  CHECK(judge_peer({1000, 1, {}}, kDaemon, kGroup) == PeerVerdict::refused);
  CHECK(judge_peer({1000, 1, std::span(groups).first(1)}, kDaemon, kGroup) == PeerVerdict::refused);
}

TEST_CASE("lines are answered in order, pipelined and in pieces") {
  const TempFolder folder;
  ControlLoop loop;
  AdminServer server(loop.context(), {}, echo);
  REQUIRE(server.listen(folder.file("admin.sock")));
  const LoopThread running(loop);
  Client client = Client::to_path(folder.file("admin.sock"));
  client.send("one\ntwo\nthr");
  CHECK(client.read_until("<two>\n") == "<one>\n<two>\n");
  client.send("ee\n\n");
  CHECK(client.read_until("<>\n") == "<three>\n<>\n");
  client.send("half");
  client.finish();
  CHECK(client.read_all().empty());
  CHECK(client.closed());
}

TEST_CASE("what is wrong with one connection stays there") {
  const TempFolder folder;
  ControlLoop loop;
  AdminServer server(loop.context(), {.connections_max = 4}, echo);
  REQUIRE(server.listen(folder.file("admin.sock")));
  const LoopThread running(loop);
  Client good = Client::to_path(folder.file("admin.sock"));

  Client endless = Client::to_path(folder.file("admin.sock"));
  endless.send(std::string(kAdminRequestMax + 10, 'x'));
  CHECK(endless.read_until("\n").find("longer than a request may be") != std::string::npos);
  Client throwing = Client::to_path(folder.file("admin.sock"));
  throwing.send("throw\n");
  throwing.read_all();
  CHECK(throwing.closed());

  good.send("still\n");
  CHECK(good.read_until("\n") == "<still>\n");

  std::vector<Client> crowd;
  for (int i = 0; i < 8; ++i) crowd.push_back(Client::to_path(folder.file("admin.sock")));
  crowd.back().read_all();
  CHECK(crowd.back().closed());
  good.send("and now\n");
  CHECK(good.read_until("\n") == "<and now>\n");
}

TEST_CASE("who says nothing is let go") {
  const TempFolder folder;
  ControlLoop loop;
  AdminServer server(loop.context(), {.idle_deadline = 50 * kNanosPerMillisecond}, echo);
  REQUIRE(server.listen(folder.file("admin.sock")));
  const LoopThread running(loop);
  Client idle = Client::to_path(folder.file("admin.sock"));
  idle.read_all();
  CHECK(idle.closed());
}

TEST_CASE("an answer may come after the connection and the server have gone") {
  const TempFolder folder;
  std::function<void(std::string)> kept;
  {
    ControlLoop loop;
    AdminServer server(loop.context(), {}, [&](std::string_view, auto answer) {
      kept = std::move(answer);
      loop.stop();
    });
    REQUIRE(server.listen(folder.file("admin.sock")));
    Client client = Client::to_path(folder.file("admin.sock"));
    client.send("later\n");
    loop.run();
  }
  REQUIRE(kept);
  kept("too late");
}

TEST_CASE("the socket's file") {
  const TempFolder folder;
  const std::string path = folder.file("run/admin.sock");  // its folder is made
  ControlLoop loop;
  struct stat file {};
  {
    AdminServer server(loop.context(), {}, echo);
    REQUIRE(server.listen(path));
    REQUIRE(::stat(path.c_str(), &file) == 0);
    CHECK((file.st_mode & 07777) == 0660);

    AdminServer second(loop.context(), {}, echo);
    const auto refused = second.listen(path);
    REQUIRE(!refused);
    CHECK(refused.error() == "another daemon listens there");
  }
  CHECK(::stat(path.c_str(), &file) != 0);

  SUBCASE("what a crash left is replaced") {
    const int crashed = ::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    path.copy(address.sun_path, sizeof address.sun_path - 1);
    REQUIRE(::bind(crashed, reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0);
    ::close(crashed);
    AdminServer server(loop.context(), {}, echo);
    CHECK(server.listen(path));
  }
  SUBCASE("any other file is not") {
    std::ofstream(path) << "precious";
    AdminServer server(loop.context(), {}, echo);
    CHECK(!server.listen(path));
    CHECK(std::filesystem::file_size(path) == 8);
  }
  SUBCASE("nor is one that another daemon has put there since") {
    auto server = std::make_unique<AdminServer>(loop.context(), AdminLimits{}, echo);
    REQUIRE(server->listen(path));
    std::filesystem::remove(path);
    AdminServer other(loop.context(), {}, echo);
    REQUIRE(other.listen(path));
    server.reset();
    CHECK(::stat(path.c_str(), &file) == 0);
  }
  SUBCASE("a path that no socket can have") {
    AdminServer server(loop.context(), {}, echo);
    CHECK(server.listen("/tmp/" + std::string(120, 'x')).error() ==
          "a socket's path has at most 107 bytes");
    CHECK(!server.listen("/nowhere/at/all/admin.sock"));
  }
}

}  // namespace
}  // namespace tandem

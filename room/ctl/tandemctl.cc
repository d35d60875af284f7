// tandemctl: the operator's tool. Turns the command line into one admin request, and its answer
// into text.
//
// Exit codes: 0 done, 1 the daemon (or minting) said no, 2 wrong usage, 3 no daemon there.
#include <fmt/format.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <cstdio>
#include <filesystem>
#include <optional>
#include <string>

#include "common/clock.h"
#include "common/config.h"
#include "common/token.h"
#include "room/ctl/admin_client.h"
#include "room/ctl/tables.h"
#include "room/operator/admin_protocol.h"
#include "room/version.h"

namespace tandem {
namespace {

enum class Exit : int { done = 0, refused = 1, usage = 2, no_daemon = 3 };

struct CommandLine {
  std::string socket;
  bool json = false;
  std::string key_file;  // set: mint without a daemon
  std::optional<AdminRequest> request;
};

// Where the daemon of this host listens, as it finds out itself; a file that is broken or not for
// our eyes leaves the default.
std::string default_socket() {
  ConfigSources sources{
      .file = {}, .overrides = {}, .environment = process_environment(), .root = ::geteuid() == 0};
  const std::string& named = sources.environment["TANDEM_CONFIG"];
  if (auto file = read_config_file(named.empty() ? std::string(kDefaultConfigPath) : named)) {
    sources.file = std::move(*file);
    if (const auto config = load_config(sources)) return config->admin.socket;
    sources.file.reset();
  }
  if (const auto config = load_config(sources)) return config->admin.socket;
  return Config().admin.socket;
}

// ---- words of the command line ----

std::string check_id(const std::string& text) {
  return parse_session_id(text) ? "" : text + " is no session id: that is 16 hex digits";
}
std::string check_network(const std::string& text) {
  return Network::parse(text) ? "" : text + " is no address and no network";
}
std::string check_level(const std::string& text) {
  return parse_log_level(text) ? "" : text + " is none of debug, info, warn, error, fatal";
}

// As the daemon sees it, whose folder is another.
std::string absolute(const std::string& path) {
  std::error_code error;
  const std::string made = std::filesystem::absolute(path, error).lexically_normal();
  return error ? path : made;
}
std::string check_path(const std::string& text) {
  return is_admin_path(absolute(text)) ? "" : "this is no path that a backup can have";
}

// What CLI11 writes into; its options hold references, so this stays where it is.
struct Words {
  std::string id;
  std::string network;
  std::uint32_t seconds = 0;
  std::uint32_t rows_max = admin::Sessions{}.max;
  std::string room;
  std::string level;
  std::string path;
  bool new_session = false;
  std::string slot = "both";
  bool tcp = false;
  bool udp = false;
  MintRequest mint;
};

class Parser {
 public:
  explicit Parser(CommandLine& line) : line_(line) {
    app_.require_subcommand(1);
    app_.set_version_flag("--version", fmt::format("tandemctl {}", version()));
    app_.add_option("--socket", line_.socket,
                    "the daemon's admin socket (default: admin.socket of its configuration)");
    app_.add_flag("--json", line_.json, "print the daemon's answer as it is");
    app_.footer("Exit codes: 0 done, 1 the daemon said no, 2 wrong usage, 3 no daemon there.");
    app_.fallthrough();  // --json and --socket may also follow the command
    add_looking();
    add_acting();
    add_running();
    add_rooms();
    add_keeping();
    add_token();
  }

  // The code to exit with, or nothing where there is a request to be made.
  std::optional<Exit> parse(int argc, char** argv) {
    try {
      app_.parse(argc, argv);
    } catch (const CLI::ParseError& error) {
      return app_.exit(error) == 0 ? Exit::done : Exit::usage;
    }
    return std::nullopt;
  }

 private:
  template <class Make>
  CLI::App* command(const char* name, const char* help, Make make) {
    CLI::App* added = app_.add_subcommand(name, help);
    added->callback([this, make] { line_.request = make(); });
    return added;
  }

  void add_looking() {
    command("status", "how the daemon is: health, sessions, shards, what is in use",
            [] { return admin::Status{}; });
    add_max(command("sessions", "the busiest sessions",
                    [this] { return admin::Sessions{words_.rows_max}; }));
    add_id(command("session", "one session with both its sides",
                   [this] { return admin::Session{*parse_session_id(words_.id)}; }));
    command("blocks", "what is blocked, by whom and for how long", [] { return admin::Blocks{}; });
    command("version", "the daemon's version", [] { return admin::Version{}; });
  }

  void add_acting() {
    add_id(command("kick", "end a session; its tokens are refused from then on",
                   [this] { return admin::Kick{*parse_session_id(words_.id)}; }));
    CLI::App* block = command("block", "drop everything from an address or a network", [this] {
      return admin::Block{*Network::parse(words_.network), words_.seconds};
    });
    add_network(block);
    block->add_option("--for", words_.seconds, "seconds (default: until it is removed)")
        ->check(CLI::Range(1u, UINT32_MAX));
    add_network(command("unblock", "lift a block",
                        [this] { return admin::Unblock{*Network::parse(words_.network)}; }));
  }

  void add_running() {
    command("drain", "refuse new sessions, keep those that run",
            [] { return admin::SetDraining{true}; });
    command("undrain", "take new sessions again", [] { return admin::SetDraining{false}; });
    command("reload", "read the configuration again and apply what can change live",
            [] { return admin::Reload{}; });
    command("loglevel", "change the log's level until the next reload",
            [this] { return admin::SetLogLevel{*parse_log_level(words_.level)}; })
        ->add_option("level", words_.level, "debug, info, warn, error or fatal")
        ->required()
        ->check(check_level);
  }

  void add_rooms() {
    add_max(command("rooms", "the rooms", [this] { return admin::Rooms{words_.rows_max}; }));
    add_max(command("clients", "who is there, and who may still come back",
                    [this] { return admin::Clients{words_.rows_max}; }));
    CLI::App* room = app_.add_subcommand("room", "one room with its players; `close` ends it");
    room->require_subcommand(0, 1);
    room->fallthrough(false);
    CLI::App* close = room->add_subcommand("close", "end a room; its members are told");
    add_room(room, false);
    add_room(close, true);
    room->callback([this, close] {
      if (!close->parsed()) {
        if (words_.room.empty()) throw CLI::RequiredError("room");
        line_.request = admin::Room{words_.room};
      } else {
        line_.request = admin::CloseRoom{words_.room};
      }
    });
  }

  void add_keeping() {
    command("backup", "a consistent copy of the daemon's database, while it runs",
            [this] { return admin::Backup{absolute(words_.path)}; })
        ->add_option("file", words_.path,
                     "made by the daemon, where it may write; what is there is not replaced")
        ->required()
        ->check(check_path);
  }

  void add_token() {
    CLI::App* token = app_.add_subcommand("token", "tokens, by hand");
    token->require_subcommand(1);
    token->fallthrough();
    CLI::App* mint = token->add_subcommand("mint", "mint the tokens of a session");
    mint->callback([this] { line_.request = mint_request(); });
    mint->fallthrough();
    CLI::Option_group* which = mint->add_option_group("session", "");
    which->add_option("--session", words_.id, "of this session: 16 hex digits")->check(check_id);
    which->add_flag("--new", words_.new_session, "of a new session");
    which->require_option(1);
    mint->add_option("--slot", words_.slot, "a, b or both (default both)")
        ->check(CLI::IsMember({"a", "b", "both"}));
    mint->add_flag("--tcp", words_.tcp, "allow TCP (without --tcp and --udp: both)");
    mint->add_flag("--udp", words_.udp, "allow UDP");
    mint->add_flag("--prove", words_.mint.prove, "TCP needs PROVE: the secret never travels");
    mint->add_option("--expires", words_.mint.expires_in_s, "seconds (default 3600)")
        ->check(CLI::Range(1u, UINT32_MAX));
    mint->add_option("--rate-kbps", words_.mint.rate_kbps,
                     "cap in 1000 bit/s, both directions together (default: the server's)");
    mint->add_option("--lanes", words_.mint.lanes_max, "cap on TCP lanes (default: the server's)");
    mint->add_option("--key-file", line_.key_file,
                     "mint with the keys of this file, without a daemon");
  }

  MintRequest mint_request() const {
    MintRequest mint = words_.mint;
    if (!words_.new_session) mint.session_id = parse_session_id(words_.id);
    if (words_.slot == "a") mint.slots = MintSlots::a;
    if (words_.slot == "b") mint.slots = MintSlots::b;
    if (words_.tcp || words_.udp) {
      mint.tcp = words_.tcp;
      mint.udp = words_.udp;
    }
    return mint;
  }

  void add_room(CLI::App* to, bool required) {
    to->add_option("room", words_.room, "the room's id or its code")
        ->required(required)
        ->check([](const std::string& text) {
          return text.size() <= kAdminRoomNameMax ? "" : "that is no room's id and no code";
        });
  }
  void add_max(CLI::App* to) {
    to->add_option("--max", words_.rows_max, "at most so many (1 to 10000, default 50)")
        ->check(CLI::Range(1u, kAdminRowsMax));
  }
  void add_id(CLI::App* to) {
    to->add_option("id", words_.id, "the session's id: 16 hex digits")->required()->check(check_id);
  }
  void add_network(CLI::App* to) {
    to->add_option("network", words_.network, "192.0.2.7, 198.51.100.0/24, 2001:db8::/32")
        ->required()
        ->check(check_network);
  }

  CommandLine& line_;
  Words words_;
  CLI::App app_{"Looks after a Tandem relay through its admin socket.", "tandemctl"};
};

// ---- doing it ----

constexpr int kBackupPatience = 24 * 3600;  // seconds; a copy takes what its size takes

Result<std::string, std::string> mint_offline(const std::string& key_file,
                                              const MintRequest& request) {
  const auto text = read_config_file(key_file);
  if (!text) return unexpected(to_string(text.error()));
  const auto keyring = parse_keyring(text->text);
  if (!keyring) return unexpected(fmt::format("{}: {}", key_file, keyring.error()));
  // How long a token may live (sessions.token_max_age_s) only the relay knows.
  const auto minted = mint_tokens(
      *keyring, request, request.session_id.value_or(random_session_id()), unix_now(), UINT32_MAX);
  if (!minted) return unexpected(minted.error());
  return encode_minted(*minted);
}

Exit complain(Exit code, const std::string& reason) {
  fmt::print(stderr, "tandemctl: {}\n", reason);
  return code;
}

Exit show(const CommandLine& line, const std::string& answer) {
  fmt::print("{}", line.json ? answer + '\n' : human_answer(*line.request, answer));
  return Exit::done;
}

Exit ask(const CommandLine& line) {
  const std::string socket = line.socket.empty() ? default_socket() : line.socket;
  const bool copies = std::holds_alternative<admin::Backup>(*line.request);
  const auto answer =
      ask_daemon(socket, encode_request(*line.request), copies ? kBackupPatience : kAnswerPatience);
  if (!answer) return complain(Exit::no_daemon, answer.error());
  const auto refusal = refusal_in(*answer);
  if (!refusal) return show(line, *answer);
  if (line.json) fmt::print("{}\n", *answer);
  return complain(Exit::refused, refusal->message);
}

Exit run(int argc, char** argv) {
  CommandLine line;
  Parser parser(line);
  if (const auto code = parser.parse(argc, argv)) return *code;
  const auto* mint = std::get_if<MintRequest>(&*line.request);
  if (mint == nullptr || line.key_file.empty()) return ask(line);
  const auto answer = mint_offline(line.key_file, *mint);
  return answer ? show(line, *answer) : complain(Exit::refused, answer.error());
}

}  // namespace
}  // namespace tandem

int main(int argc, char** argv) {
  try {
    return static_cast<int>(tandem::run(argc, argv));
  } catch (const std::exception& error) {
    fmt::print(stderr, "tandemctl: {}\n", error.what());
    return 1;
  }
}

#include "bench/load/tokens.h"

#include <fstream>
#include <nlohmann/json.hpp>
#include <stdexcept>

namespace tandem::bench {
namespace {

constexpr const char* kSessionsPath = "/api/v1/sessions";

std::vector<TokenPair> mint_all(const std::string& key_file, std::size_t count) {
  const TokenMint mint(key_file);
  const auto base = random_session_base();
  std::vector<TokenPair> tokens;
  tokens.reserve(count);
  for (std::size_t i = 0; i < count; ++i) {
    const auto id = session_id_of(base, i);
    tokens.push_back({mint.mint_for(id, Slot::a), mint.mint_for(id, Slot::b)});
  }
  return tokens;
}

std::string read_secret(const std::string& path) {
  std::ifstream file(path);
  std::string secret;
  if (!std::getline(file, secret) || secret.empty()) {
    throw std::runtime_error("no operator's token in " + path);
  }
  return secret;
}

std::vector<TokenPair> ask_for_all(const TokenSource& source, std::size_t count) {
  const auto secret = read_secret(source.operator_token_file);
  HttpClient client(parse_url(source.api));
  std::vector<TokenPair> tokens;
  tokens.reserve(count);
  for (std::size_t i = 0; i < count; ++i) {
    const auto answer = client.post(kSessionsPath, "{}", secret);
    if (answer.status != 200 && answer.status != 201) {
      throw std::runtime_error(source.api + kSessionsPath + " answers " +
                               std::to_string(answer.status) + ": " + answer.body.substr(0, 200));
    }
    tokens.push_back(parse_session_answer(answer.body));
  }
  return tokens;
}

}  // namespace

std::vector<TokenPair> make_tokens(const TokenSource& source, std::size_t count) {
  return source.api.empty() ? mint_all(source.key_file, count) : ask_for_all(source, count);
}

TokenPair parse_session_answer(std::string_view json) {
  const auto answer = nlohmann::json::parse(json, nullptr, false);
  const auto token = [&answer](const char* slot) {
    if (answer.is_object() && answer.contains("tokens") && answer["tokens"].is_object()) {
      const auto& tokens = answer["tokens"];
      if (tokens.contains(slot) && tokens[slot].is_string()) {
        if (const auto parsed = parse_token_text(tokens[slot].get<std::string>())) return *parsed;
      }
    }
    throw std::runtime_error("the answer to POST /api/v1/sessions has no token for slot " +
                             std::string(slot));
  };
  return {token("a"), token("b")};
}

}  // namespace tandem::bench

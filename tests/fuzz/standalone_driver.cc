// Runs a fuzz target without libFuzzer, so that any compiler and sanitizer exercises it as a test:
// the corpus first, then inputs made from it by a seeded generator, so that a run can be had again.
//
//   <target> <corpus folder> <inputs> [<seed>]
//
// A finding ends it with SIGABRT and leaves the input in the working folder, as `finding`; in a
// corpus folder of its own, it is run again.
#include <algorithm>
#include <charconv>
#include <csignal>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <random>
#include <string_view>
#include <vector>

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size);

namespace {

using Bytes = std::vector<uint8_t>;

constexpr size_t kInputMax = 2048;

std::vector<Bytes> read_corpus(const std::filesystem::path& folder) {
  std::vector<std::filesystem::path> paths;
  for (const auto& entry : std::filesystem::directory_iterator(folder))
    if (entry.is_regular_file()) paths.push_back(entry.path());
  std::ranges::sort(paths);  // the folder's own order differs between machines
  std::vector<Bytes> corpus;
  for (const auto& path : paths) {
    std::ifstream file(path, std::ios::binary);
    corpus.emplace_back(std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>());
  }
  return corpus;
}

class Generator {
 public:
  Generator(const std::vector<Bytes>& corpus, uint64_t seed) : corpus_(corpus), random_(seed) {}

  Bytes next() {
    Bytes bytes;
    if (below(8) == 0) {
      bytes.resize(below(300));
      std::ranges::generate(bytes, [this] { return byte(); });
      return bytes;
    }
    bytes = sample();
    for (size_t changes = 1 + below(6); changes != 0; --changes) change(bytes);
    if (bytes.size() > kInputMax) bytes.resize(kInputMax);
    return bytes;
  }

 private:
  size_t below(size_t bound) { return bound == 0 ? 0 : random_() % bound; }
  uint8_t byte() { return static_cast<uint8_t>(random_()); }
  const Bytes& sample() { return corpus_[below(corpus_.size())]; }

  // Values at which lengths, signs and separators turn.
  uint8_t edge() {
    constexpr uint8_t kEdges[] = {0, 1, 3, 4, 0x7f, 0x80, 0xff, ' ', '\n', '\r', '=', '0', '9'};
    return kEdges[below(std::size(kEdges))];
  }

  void change(Bytes& bytes) {
    const auto at = [&](size_t bound) { return static_cast<std::ptrdiff_t>(below(bound)); };
    switch (below(bytes.empty() ? 2 : 7)) {
      case 0:
        bytes.insert(bytes.begin() + at(bytes.size() + 1), below(2) == 0 ? byte() : edge());
        break;
      case 1: {
        const Bytes& other = sample();
        const auto from = at(other.size() + 1);
        bytes.insert(bytes.begin() + at(bytes.size() + 1), other.begin() + from, other.end());
        break;
      }
      case 2:
        bytes[below(bytes.size())] ^= static_cast<uint8_t>(1 << below(8));
        break;
      case 3:
        bytes[below(bytes.size())] = edge();
        break;
      case 4:
        bytes.resize(below(bytes.size()));
        break;
      case 5:
        bytes.erase(bytes.begin() + at(bytes.size()));
        break;
      default:
        bytes[below(bytes.size())] = byte();
    }
  }

  const std::vector<Bytes>& corpus_;
  std::mt19937_64 random_;
};

// For the abort of a failed check, and of a sanitizer that is told to abort.
const Bytes* running = nullptr;

void keep_finding(int) {
  if (std::FILE* file = std::fopen("finding", "wb")) {
    std::fwrite(running->data(), 1, running->size(), file);
    std::fclose(file);
  }
  std::fputs("the input is in the file finding\n", stderr);
}

void run(const Bytes& bytes) {
  running = &bytes;
  LLVMFuzzerTestOneInput(bytes.data(), bytes.size());
}

uint64_t parse_number(std::string_view text) {
  uint64_t number = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (error != std::errc{} || end != text.data() + text.size()) {
    std::fprintf(stderr, "not a number: %s\n", text.data());
    std::exit(2);
  }
  return number;
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 3 && argc != 4) {
    std::fprintf(stderr, "usage: %s <corpus folder> <inputs> [<seed>]\n", argv[0]);
    return 2;
  }
  const std::vector<Bytes> corpus = read_corpus(argv[1]);
  if (corpus.empty()) {
    std::fprintf(stderr, "no corpus in %s\n", argv[1]);
    return 2;
  }
  const uint64_t inputs = parse_number(argv[2]);
  const uint64_t seed = argc == 4 ? parse_number(argv[3]) : 1;

  std::signal(SIGABRT, keep_finding);
  for (const Bytes& bytes : corpus) run(bytes);
  Generator generator(corpus, seed);
  for (uint64_t i = 0; i < inputs; ++i) run(generator.next());
  std::printf("%zu of the corpus and %llu made from it with seed %llu: no finding\n", corpus.size(),
              static_cast<unsigned long long>(inputs), static_cast<unsigned long long>(seed));
}

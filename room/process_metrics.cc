#include "room/process_metrics.h"

#include <fcntl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <charconv>
#include <filesystem>
#include <iterator>
#include <string>

namespace tandem {
namespace {

// /proc gives no size beforehand; what is read here is well below the bound (a 256-core /proc/stat
// comes to some 40 KiB).
std::string read_small_file(const char* path) {
  constexpr std::size_t kBytesMax = 256 * 1024;
  std::string text;
  const int fd = ::open(path, O_RDONLY | O_CLOEXEC);
  if (fd < 0) return text;
  char piece[4096];
  while (text.size() < kBytesMax) {
    const ssize_t count = ::read(fd, piece, sizeof piece);
    if (count <= 0) break;
    text.append(piece, static_cast<std::size_t>(count));
  }
  ::close(fd);
  return text;
}

std::uint64_t count_descriptors() {
  // Since Linux 6.2 the folder's size is their number. Before that each one has to be listed, some
  // 30 ms for 100,000.
  struct stat folder {};
  if (::stat("/proc/self/fd", &folder) == 0 && folder.st_size > 0)
    return static_cast<std::uint64_t>(folder.st_size);
  std::error_code failed;
  const std::filesystem::directory_iterator entries("/proc/self/fd", failed);
  if (failed) return 0;
  // The iterator's own descriptor is among them.
  const auto listed = std::distance(begin(entries), end(entries));
  return listed > 0 ? static_cast<std::uint64_t>(listed) - 1 : 0;
}

std::uint64_t soft_limit(__rlimit_resource resource) {
  rlimit limit{};
  return ::getrlimit(resource, &limit) == 0 ? limit.rlim_cur : 0;
}

std::optional<std::uint64_t> parse_figure(std::string_view text) {
  std::uint64_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc{} || end == text.data()) return std::nullopt;
  return value;
}

}  // namespace

std::optional<ProcessStat> parse_process_stat(std::string_view text) {
  // The second field is the name in parentheses, which may hold blanks and parentheses itself.
  const std::size_t name_end = text.rfind(')');
  if (name_end == std::string_view::npos) return std::nullopt;
  text.remove_prefix(name_end + 1);

  ProcessStat stat;
  for (int field = 3; field <= 24; ++field) {
    const std::size_t start = text.find_first_not_of(' ');
    if (start == std::string_view::npos) return std::nullopt;
    text.remove_prefix(start);
    const std::string_view word = text.substr(0, text.find_first_of(" \n"));
    text.remove_prefix(word.size());

    std::uint64_t* into = nullptr;
    if (field == 14) into = &stat.user_ticks;
    if (field == 15) into = &stat.system_ticks;
    if (field == 20) into = &stat.threads;
    if (field == 22) into = &stat.start_ticks;
    if (field == 23) into = &stat.virtual_bytes;
    if (field == 24) into = &stat.resident_pages;
    if (into == nullptr) continue;
    const auto value = parse_figure(word);
    if (!value) return std::nullopt;
    *into = *value;
  }
  return stat;
}

std::optional<std::uint64_t> find_figure(std::string_view text, std::string_view key) {
  while (!text.empty()) {
    std::string_view line = text.substr(0, text.find('\n'));
    text.remove_prefix(line.size() == text.size() ? line.size() : line.size() + 1);
    if (!line.starts_with(key)) continue;
    line.remove_prefix(key.size());
    const std::size_t digits = line.find_first_not_of(" \t");
    if (digits == 0 || digits == std::string_view::npos) continue;
    return parse_figure(line.substr(digits));
  }
  return std::nullopt;
}

ProcessSample sample_process() {
  ProcessSample sample;
  const auto ticks = static_cast<double>(::sysconf(_SC_CLK_TCK));
  if (const auto stat = parse_process_stat(read_small_file("/proc/self/stat"))) {
    const auto booted = find_figure(read_small_file("/proc/stat"), "btime").value_or(0);
    sample.cpu_seconds = static_cast<double>(stat->user_ticks + stat->system_ticks) / ticks;
    sample.start_time =
        static_cast<double>(booted) + static_cast<double>(stat->start_ticks) / ticks;
    sample.threads = stat->threads;
    sample.virtual_bytes = stat->virtual_bytes;
    sample.resident_bytes =
        stat->resident_pages * static_cast<std::uint64_t>(::sysconf(_SC_PAGESIZE));
  }
  const std::string memory = read_small_file("/proc/meminfo");
  sample.host_memory_bytes = find_figure(memory, "MemTotal:").value_or(0) * 1024;
  sample.host_memory_available_bytes = find_figure(memory, "MemAvailable:").value_or(0) * 1024;
  sample.virtual_bytes_max = soft_limit(RLIMIT_AS);
  sample.descriptors_open = count_descriptors();
  sample.descriptors_max = soft_limit(RLIMIT_NOFILE);
  return sample;
}

void append_process_metrics(const ProcessSample& sample, Metrics& into) {
  using enum MetricType;
  const auto add = [&into](std::string_view name, std::string_view help, MetricType type,
                           double value) {
    into.push_back({name, help, type, {}, value});
  };
  add("process_cpu_seconds_total", "Total user and system CPU time spent in seconds.", counter,
      sample.cpu_seconds);
  add("process_start_time_seconds", "Start time of the process since unix epoch in seconds.", gauge,
      sample.start_time);
  add("process_threads", "Number of OS threads in the process.", gauge,
      static_cast<double>(sample.threads));
  add("process_resident_memory_bytes", "Resident memory size in bytes.", gauge,
      static_cast<double>(sample.resident_bytes));
  add("process_virtual_memory_bytes", "Virtual memory size in bytes.", gauge,
      static_cast<double>(sample.virtual_bytes));
  add("process_virtual_memory_max_bytes", "Maximum amount of virtual memory available in bytes.",
      gauge, static_cast<double>(sample.virtual_bytes_max));
  add("process_open_fds", "Number of open file descriptors.", gauge,
      static_cast<double>(sample.descriptors_open));
  add("process_max_fds", "Maximum number of open file descriptors.", gauge,
      static_cast<double>(sample.descriptors_max));
}

}  // namespace tandem

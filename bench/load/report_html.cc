#include "bench/load/report.h"
#include "bench/report/page.h"

namespace tandem::bench {
namespace {

// Within a script element "</script" ends it and "<!--" may keep it from ending. In JSON "<" stands
// within strings alone, where its escape means the same.
std::string without_tags(std::string_view json) {
  std::string safe;
  safe.reserve(json.size());
  for (const char c : json) {
    if (c == '<') {
      safe += "\\u003c";
    } else {
      safe += c;
    }
  }
  return safe;
}

}  // namespace

std::string to_html(const Report& report) {
  std::string page(page_before_report());
  page += without_tags(to_json(report));
  page += page_after_report();
  return page;
}

}  // namespace tandem::bench

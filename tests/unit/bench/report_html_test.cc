#include <doctest/doctest.h>

#include <nlohmann/json.hpp>

#include "tests/unit/bench/sample_report.h"

namespace tandem::bench {
namespace {

constexpr std::string_view kOpening = R"(<script type="application/json" id="report">)";

// What a browser takes for the report: all up to the next end of a script.
std::string written(const std::string& page) {
  const std::size_t from = page.find(kOpening) + kOpening.size();
  return page.substr(from, page.find("</script", from) - from);
}

std::size_t count(std::string_view text, std::string_view part) {
  std::size_t found = 0;
  for (std::size_t at = text.find(part); at != text.npos; at = text.find(part, at + 1)) ++found;
  return found;
}

TEST_CASE("the page is whole, and the JSON stands where it looks for it") {
  const std::string page = to_html(sample_report());
  CHECK(page.starts_with("<!DOCTYPE html>"));
  CHECK(page.ends_with("</html>\n"));
  CHECK(count(page, kOpening) == 1);
  CHECK(count(page, "/*REPORT*/") == 0);
  using Json = nlohmann::json;
  CHECK(Json::parse(written(page)) == Json::parse(to_json(sample_report())));
}

TEST_CASE("no text of a report ends its script or begins another") {
  Report report = sample_report();
  const std::string hostile = "</script><b>x</b><!-- <script>";
  report.warnings = {hostile};
  report.options.add(hostile, hostile);
  const std::string page = to_html(report);
  const auto json = nlohmann::json::parse(written(page));
  CHECK(json["warnings"][0] == hostile);
  CHECK(json["options"][hostile] == hostile);
  CHECK(count(page, "<b>x") == 0);
  CHECK(count(page, "</script>") == count(to_html(Report()), "</script>"));
}

TEST_CASE("the page needs nothing else") {
  const std::string page = to_html(sample_report());
  CHECK(count(page, "default-src 'none'") == 1);
  for (const char* request : {" src=", "<link", "@import", "fetch(", "XMLHttpRequest", "import("})
    CHECK_MESSAGE(count(page, request) == 0, request);
  // The names of XML's namespaces are no addresses.
  CHECK(count(page, "http") == count(page, "http://www.w3.org/") + count(page, "http-equiv"));
}

}  // namespace
}  // namespace tandem::bench
